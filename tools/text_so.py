# SPDX-License-Identifier: Apache-2.0
"""libtext.so for each architecture: our own C for long texts that are not UTF-8."""

from __future__ import annotations

from pathlib import Path

from tools import shared_library
from tools.fetch import ROOT

_SOURCE = ROOT / "agent" / "native" / "utf8.c"
EXPORTS = ("repair_utf8",)


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
    flags=("-O2", "-Wl,-soname,libtext.so", "-Wl,--version-script=exports.map"),
    prepare=_prepare,
    made_by=(Path(__file__), _SOURCE),
)
