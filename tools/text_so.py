# SPDX-License-Identifier: Apache-2.0
"""libtext.so for each architecture: our own C for long texts that a process chose."""

from __future__ import annotations

from pathlib import Path

from tools import shared_library
from tools.fetch import ROOT

_SOURCE = ROOT / "agent" / "native" / "text.c"
EXPORTS = ("escape_json", "is_seen", "join_arguments", "repair_utf8")


def library(architecture: str) -> Path:
    """The path of libtext.so for an architecture, built if need be. Raises BuildError."""
    return shared_library.library(RECIPE, architecture)


def _prepare(tree: Path) -> list[str]:
    (tree / _SOURCE.name).write_bytes(_SOURCE.read_bytes())
    (tree / "exports.map").write_text(f"{{ global: {'; '.join(EXPORTS)}; local: *; }};\n")
    return [_SOURCE.name]


RECIPE = shared_library.Recipe(
    name="libtext",
    archives=(),
    flags=("-O3", "-Wl,-soname,libtext.so", "-Wl,--version-script=exports.map"),
    prepare=_prepare,
    made_by=(Path(__file__), _SOURCE),
)
