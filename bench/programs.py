# SPDX-License-Identifier: Apache-2.0
"""The loads and the program that they execute, compiled for this machine's architecture."""

from __future__ import annotations

import platform
from pathlib import Path

from tools import zig
from tools.fetch import cache_dir
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


def build_attack(directory: Path) -> Path:
    """Compile attack.c, which has threads."""
    return build_with_libc(directory, "attack")


def build_with_libc(directory: Path, name: str) -> Path:
    """Compile a program that needs a C library, as old as any guest's."""
    directory = directory.resolve()
    directory.mkdir(parents=True, exist_ok=True)
    made = directory / name
    options = ["-O1", "-Wall", "-Wextra", "-Werror", "-s", "-fno-sanitize=all"]
    options += ["-target", f"{platform.machine()}-linux-gnu.2.17", "-o", str(made)]
    zig.cc([*options, str(HERE / f"{name}.c"), "-lpthread"], directory, cache_dir() / "zig-cache")
    return made
