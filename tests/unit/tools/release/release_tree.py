# SPDX-License-Identifier: Apache-2.0
"""A release around small stand-ins for dist/tetrapy.pyz, the executables and the hook."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from tools import oci_hook
from tools.contents import ARCHITECTURES
from tools.release import tree

if TYPE_CHECKING:
    import pytest

PROGRAM = b"#!/usr/bin/env python3\nprint('tetrapy')\n"


def hook(directory: Path, arch: str) -> Path:
    """Where the stand-in for the hook is."""
    return directory / f"hook-{arch}"


def release_around(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `tools.release` take this program for the built file, behind that of an architecture."""
    pyz = directory / "tetrapy.pyz"
    pyz.write_bytes(PROGRAM)
    monkeypatch.setattr(tree, "PYZ", pyz)
    for arch in ARCHITECTURES:
        tree.executable(arch).write_bytes(f"a Python for {arch}\n".encode() + PROGRAM)
        hook(directory, arch).write_bytes(f"a hook for {arch}\n".encode())
    monkeypatch.setattr(oci_hook, "program", lambda arch: hook(directory, arch))
    monkeypatch.setattr(tree, "texts", lambda executable: f"licences: {executable}\n")
