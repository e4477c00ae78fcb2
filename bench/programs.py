"""The load and the program it executes, compiled static for this machine's architecture."""

from __future__ import annotations

import platform
from pathlib import Path

from tools import zig
from tools.fetch import cache_dir

HERE = Path(__file__).resolve().parent


def build(directory: Path) -> tuple[Path, Path]:
    """Compile load.c and nothing.c into `directory`; returns the paths of both programs."""
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    options = ["-target", f"{platform.machine()}-linux-none", "-O2", "-static", "-nostdlib"]
    options += ["-ffreestanding", "-fno-sanitize=all", "-fno-stack-protector", "-s"]
    options += ["-Wall", "-Wextra", "-Werror"]
    paths = []
    for name in ("load", "nothing"):
        path = directory / name
        source = str(HERE / f"{name}.c")
        zig.cc([*options, "-o", str(path), source], directory, cache_dir() / "zig-cache")
        paths.append(path)
    return paths[0], paths[1]
