# SPDX-License-Identifier: Apache-2.0
"""libtetrapy.so for each architecture: our own C."""

from __future__ import annotations

from pathlib import Path

from tools import shared_library
from tools.fetch import ROOT

_NAMES = ("btf.h", "function.c", "messages.c", "text.c", "types.c")
_SOURCES = tuple(ROOT / "agent" / "native" / name for name in _NAMES)
EXPORTS = (
    "escape_json",
    "find_function",
    "is_seen",
    "join_arguments",
    "pass_warning",
    "pass_warnings_to",
    "repair_utf8",
    "select_types",
)


def library(architecture: str) -> Path:
    """The path of libtetrapy.so for an architecture, built if need be. Raises BuildError."""
    return shared_library.library(RECIPE, architecture)


def _prepare(tree: Path) -> list[str]:
    for source in _SOURCES:
        (tree / source.name).write_bytes(source.read_bytes())
    (tree / "exports.map").write_text(f"{{ global: {'; '.join(EXPORTS)}; local: *; }};\n")
    return [source.name for source in _SOURCES if source.suffix == ".c"]


RECIPE = shared_library.Recipe(
    name="libtetrapy",
    archives=(),
    flags=("-O3", "-Wl,-soname,libtetrapy.so", "-Wl,--version-script=exports.map"),
    prepare=_prepare,
    made_by=(Path(__file__), *_SOURCES),
)
