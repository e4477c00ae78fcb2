# SPDX-License-Identifier: Apache-2.0
"""Each source file states its licence: the Python files Apache-2.0, the BPF programs GPL-2.0-only.

    python3 -m tools.spdx [--fix]

Prints the files that do not, and fails; `--fix` writes the line at the top of Python files.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

from tools.fetch import ROOT

TAG = "SPDX-License-Identifier: "
PYTHON = f"# {TAG}Apache-2.0\n"
_OURS = ("agent", "bench", "btfs", "tests", "tools", "build_zipapp.py")
_BPF = (f"/* {TAG}GPL-2.0-only */\n", f"// {TAG}GPL-2.0-only\n")


def python_files(root: Path) -> Iterator[Path]:
    """Our Python sources, sorted."""
    for name in _OURS:
        path = root / name
        yield from [path] if path.is_file() else sorted(path.rglob("*.py"))


def unstated(root: Path) -> list[Path]:
    """The files without their line: behind `#!` in Python, the very first in C."""
    python = [path for path in python_files(root) if not _has_line(path.read_text())]
    programs = sorted((root / "bpf").glob("*.[ch]"))
    return python + [path for path in programs if not path.read_text().startswith(_BPF)]


def _has_line(text: str) -> bool:
    return _body(text).startswith(PYTHON)


def stated(text: str) -> str:
    """A Python source with its line."""
    body = _body(text)
    return text[: len(text) - len(body)] + PYTHON + body


def _body(text: str) -> str:
    return text.partition("\n")[2] if text.startswith("#!") else text


def main(arguments: list[str]) -> int:
    """Exit code."""
    lacking = unstated(ROOT)
    if arguments == ["--fix"]:
        for path in [path for path in lacking if path.suffix == ".py"]:
            path.write_text(stated(path.read_text()))
        lacking = unstated(ROOT)
    for path in lacking:
        print(f"{path.relative_to(ROOT)}: no line `{TAG}...`: python3 -m tools.spdx --fix")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
