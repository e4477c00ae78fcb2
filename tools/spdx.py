# SPDX-License-Identifier: Apache-2.0
"""Each source file states its licence: the BPF programs GPL-2.0-only, the others Apache-2.0.

    python3 -m tools.spdx [--fix]

Prints the files that do not, and fails; `--fix` writes the line at the top of Python files and of
scripts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tools.fetch import ROOT

TAG = "SPDX-License-Identifier: "
SCRIPT = f"# {TAG}Apache-2.0\n"
_OURS = (
    *(".ci", "agent", "bench", "bpf", "btfs", "deploy", "tests", "tools"),
    *("build_zipapp.py", "install.sh", "uninstall.sh"),
)
_C = tuple(f"{mark} {TAG}" for mark in ("/*", "//"))
# Programs that the kernel loads are GPL-2.0-only wherever they are, others Apache-2.0.
_LICENCES = ("GPL-2.0-only", "Apache-2.0")


def sources(root: Path) -> Iterator[Path]:
    """Our Python, C and shell, sorted in each folder."""
    for name in _OURS:
        path = root / name
        for file in [path] if path.is_file() else sorted(path.rglob("*")):
            if file.suffix in {".c", ".h"} or _is_script(file):
                yield file


def _is_script(path: Path) -> bool:
    """Python or shell: by its name, or by its first line."""
    if path.suffix in {".py", ".sh"}:
        return True
    if path.suffix or not path.is_file():
        return False
    with path.open("rb") as file:
        return file.read(2) == b"#!"


def unstated(root: Path) -> list[Path]:
    """The files without their line: behind `#!` in scripts, the very first in C."""
    return [path for path in sources(root) if not _is_stated(path, root)]


def _is_stated(path: Path, root: Path) -> bool:
    text = path.read_text()
    if path.suffix not in {".c", ".h"}:
        return _body(text).startswith(SCRIPT)
    allowed = _LICENCES[:1] if path.is_relative_to(root / "bpf") else _LICENCES
    first = text.partition("\n")[0].removesuffix(" */")
    return any(first == mark + licence for mark in _C for licence in allowed)


def stated(text: str) -> str:
    """A script with its line."""
    body = _body(text)
    return text[: len(text) - len(body)] + SCRIPT + body


def _body(text: str) -> str:
    return text.partition("\n")[2] if text.startswith("#!") else text


def main(arguments: list[str]) -> int:
    """Exit code."""
    lacking = unstated(ROOT)
    if arguments == ["--fix"]:
        for path in [path for path in lacking if path.suffix not in {".c", ".h"}]:
            path.write_text(stated(path.read_text()))
        lacking = unstated(ROOT)
    for path in lacking:
        print(f"{path.relative_to(ROOT)}: no line `{TAG}...`: python3 -m tools.spdx --fix")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
