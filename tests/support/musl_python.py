# SPDX-License-Identifier: Apache-2.0
"""A Python of musl that loads shared libraries, as Alpine has it.

It is linked of the parts of the executable (tools/interpreter), with Python's own loader of
libraries, and runs by the dynamic linker of Debian's package of musl.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import tempfile
from pathlib import Path

from tools import artifacts, debian, zig
from tools.fetch import ROOT
from tools.interpreter.compiling import Group, compiled, target
from tools.interpreter.program import (
    CORE_FLAGS,
    compiled_objects,
    frozen_library,
    source_tree,
)

MAIN = Path(__file__).with_suffix(".c")
START = ROOT / "tools/interpreter/start.h"
_ARCHITECTURE = "x86_64"
_MUSL = {
    "package": "musl",
    "version": "1.2.3-1",
    "suite": "bookworm",
    "arch": "amd64",
    "sha256": "4fc1e3d9b579f5c682ca99a4d45aec08d72a2e6b82b4c2e1bbcb7095466ae96d",
}
_FILES = (
    "own/main.c",
    "frozen/frozen.c",
    "python/Python/dynload_shlib.c",
    "python/Python/import.c",
    "python/Python/importdl.c",
)
_FLAGS = (
    "-O2 -Ifrozen -DHAVE_DYNAMIC_LOADING=1 -DHAVE_DLFCN_H=1 -DHAVE_DLOPEN=1"
    ' -DSOABI="cpython-311-x86_64-linux-musl" -DALT_SOABI="none"'
).split()
# Of the executable's objects, what these files take the place of.
_REPLACED = re.compile(r"-(linked|dynload_stub|import|importdl)\.o$")


def musl_python() -> Path:
    """The path of the program, in the cache. Raises BuildError."""
    objects, library, linker = compiled_objects(_ARCHITECTURE), frozen_library(), _linker()
    parts = [
        objects.name,
        library.name,
        str(linker),
        MAIN.read_bytes(),
        START.read_bytes(),
        *_FLAGS,
    ]

    def make(out: Path) -> None:
        with tempfile.TemporaryDirectory() as name:
            scratch = Path(name)
            tree = source_tree(scratch)
            shutil.copytree(library, tree / "frozen")
            shutil.copyfile(MAIN, tree / "own/main.c")
            (rest := scratch / "rest").mkdir()
            compiled(tree, [Group(_FILES, (*_FLAGS, *CORE_FLAGS))], _ARCHITECTURE, rest)
            linked = [path for path in objects.glob("*.o") if not _REPLACED.search(path.name)]
            arguments = ["-target", target(_ARCHITECTURE), "-dynamic", "-rdynamic", "-pie"]
            arguments += [f"-Wl,--dynamic-linker={linker}", "-o", str(out / "python3")]
            zig.cc([*arguments, *map(str, (*linked, *rest.glob("*.o")))], scratch, scratch / "zig")

    return artifacts.built("musl-python", artifacts.digest(parts), make) / "python3"


def _linker() -> Path:
    """musl's dynamic linker, which is its C library."""

    def make(out: Path) -> None:
        subprocess.run(["dpkg-deb", "-x", debian.download(**_MUSL), out], check=True)

    key = artifacts.digest([_MUSL["sha256"]])
    return artifacts.built("musl", key, make) / "lib/ld-musl-x86_64.so.1"
