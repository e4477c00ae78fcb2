# SPDX-License-Identifier: Apache-2.0
"""Names that were mistyped."""

from __future__ import annotations

from typing import Iterable

_ALIKE = 0.8  # as difflib measures: a letter or two, or a missing word
_ENDINGS = (".conf", ".txt", ".yaml", ".yml", ".json")  # which a drop-in file must not have
_MAX_LENGTH = 60


def nearest(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, or an empty string."""
    import difflib  # late: few names are mistyped

    meant = name.lower().replace("_", "-")
    for ending in _ENDINGS:
        if meant.endswith(ending):
            meant = meant[: -len(ending)]
    close = difflib.get_close_matches(meant[:_MAX_LENGTH], list(known), 1, _ALIKE)
    return close[0] if close else ""
