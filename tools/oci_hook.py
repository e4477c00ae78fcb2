# SPDX-License-Identifier: Apache-2.0
"""The hook that container runtimes run: a static program for each architecture, of one C file."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from tools import artifacts, zig
from tools.contents import ARCHITECTURES
from tools.fetch import ROOT
from tools.interpreter import compiling

_SOURCE = ROOT / "deploy/oci-hook/hook.c"
_NAME = "tetrapy-oci-hook"


def program(arch: str) -> Path:
    """Where it is for an architecture (Debian's name), built if need be. Raises BuildError."""
    made_by = (Path(__file__), Path(compiling.__file__), _SOURCE)
    key = artifacts.digest([zig.wheel().version, *(path.read_bytes() for path in made_by)])
    machine = ARCHITECTURES[arch]
    home = artifacts.built(f"oci-hook-{machine}", key, lambda out: _make(machine, out))
    return home / _NAME


def _make(machine: str, out: Path) -> None:
    with tempfile.TemporaryDirectory() as name:
        scratch = Path(name)
        tree, objects = scratch / "tree", scratch / "objects"
        tree.mkdir()
        objects.mkdir()
        shutil.copy(_SOURCE, tree)
        group = compiling.Group((_SOURCE.name,), ("-Os",))
        compiling.compiled(tree, [group], machine, objects)
        compiling.linked(objects.iterdir(), machine, out / _NAME, scratch)
