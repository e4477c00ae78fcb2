# SPDX-License-Identifier: Apache-2.0
"""Static programs of many C files: a compiler for each, as many at once as there are cores."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from tools import artifacts, zig

# No unwind tables, as nothing unwinds through C; the linker drops what nothing reaches.
_FLAGS = (
    "-std=gnu11 -fPIE -ffunction-sections -fdata-sections -fno-sanitize=all -fno-stack-protector"
    " -fno-unwind-tables -fno-asynchronous-unwind-tables -g0 -w"
).split()
_LINK = "-pie -s -Wl,--gc-sections -Wl,-z,relro -Wl,-z,now".split()


@dataclass(frozen=True)
class Group:
    """C files that are compiled alike; names and the paths in `flags` are relative to the tree."""

    files: tuple[str, ...]
    flags: tuple[str, ...]


def target(architecture: str) -> str:
    """What zig calls Linux with musl on an architecture."""
    return f"{architecture}-linux-musl"


def compiled(tree: Path, groups: Iterable[Group], architecture: str, out: Path) -> None:
    """Write an object of each file of the groups into `out`.

    Raises BuildError with what the compiler said.
    """
    jobs: list[list[str]] = []
    for group in groups:
        for file in group.files:
            arguments = ["-target", target(architecture), *_FLAGS, *group.flags, "-c", file]
            jobs.append([*arguments, "-o", str(out / f"{len(jobs):04}-{Path(file).stem}.o")])
    cache = tree.parent / "zig"
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(lambda arguments: zig.cc(arguments, tree, cache), jobs))


def linked(objects: Iterable[Path], architecture: str, program: Path, scratch: Path) -> None:
    """Write the static program of these objects. Raises BuildError with what the linker said."""
    shutil.copytree(_runtime(architecture), scratch / "runtime")
    arguments = ["-target", target(architecture), *_LINK, "-o", str(program)]
    zig.cc([*arguments, *map(str, objects)], scratch, scratch / "runtime")


def _runtime(architecture: str) -> Path:
    """The compiler's cache after it has linked a program: musl takes it a minute to compile."""

    def make(out: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            Path(name, "main.c").write_text("int main(void) { return 0; }\n")
            arguments = ["-target", target(architecture), *_LINK, "-o", "main", "main.c"]
            zig.cc(arguments, Path(name), out)

    key = artifacts.digest([zig.wheel().version, *_LINK])
    return artifacts.built(f"runtime-{architecture}", key, make)
