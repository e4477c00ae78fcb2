"""The load and the program it executes, compiled static for this machine's architecture."""

from __future__ import annotations

import platform
from pathlib import Path

from tools.guest.freestanding import compile_program

HERE = Path(__file__).resolve().parent


def build(directory: Path) -> tuple[Path, Path]:
    """Compile load.c and nothing.c into `directory`; returns the paths of both programs."""
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    load, nothing = directory / "load", directory / "nothing"
    for path in (load, nothing):
        compile_program(HERE / f"{path.name}.c", path, platform.machine())
    return load, nothing
