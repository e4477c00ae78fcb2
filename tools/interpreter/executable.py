# SPDX-License-Identifier: Apache-2.0
"""The executables: dist/tetrapy.pyz behind an interpreter, one file for each architecture."""

from __future__ import annotations

from tools.errors import BuildError
from tools.interpreter.program import program
from tools.release import tree

LIMIT = 16_000_000  # bytes

# File name -> Debian's name of its architecture.
NAMES = {tree.executable(arch).name: arch for arch in tree.ARCHITECTURES}


def whole(arch: str) -> bytes:
    """The executable. Raises BuildError when it cannot be built or grows above its limit."""
    if not tree.PYZ.is_file():
        raise BuildError("dist/tetrapy.pyz is not there: make build")
    data = interpreter(arch) + tree.PYZ.read_bytes()
    if len(data) > LIMIT:
        raise BuildError(
            f"{tree.executable(arch).name} would take {len(data):,} bytes; the limit is {LIMIT:,}"
        )
    return data


def interpreter(arch: str) -> bytes:
    """What is in front of the .pyz, built if need be. Raises BuildError."""
    return program(tree.ARCHITECTURES[arch]).read_bytes()
