# SPDX-License-Identifier: Apache-2.0
"""The executables: dist/tetrapy.pyz behind an interpreter, one file for each architecture."""

from __future__ import annotations

from tools.contents import ARCHITECTURES, EXECUTABLES, PYZ
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.interpreter.program import program

LIMIT = 16_000_000  # bytes

DIST = ROOT / "dist"


def whole(arch: str) -> bytes:
    """The executable. Raises BuildError when it cannot be built or grows above its limit."""
    pyz = DIST / PYZ
    if not pyz.is_file():
        raise BuildError(f"dist/{PYZ} is not there: make build")
    data = interpreter(arch) + pyz.read_bytes()
    if len(data) > LIMIT:
        raise BuildError(
            f"{EXECUTABLES[arch]} would take {len(data):,} bytes; the limit is {LIMIT:,}"
        )
    return data


def interpreter(arch: str) -> bytes:
    """What is in front of the .pyz, built if need be. Raises BuildError."""
    return program(ARCHITECTURES[arch]).read_bytes()
