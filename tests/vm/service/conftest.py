# SPDX-License-Identifier: Apache-2.0
"""Boots a guest with systemd for each of the two scripts, when its first test asks for it."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.pyz.test_executable import whole
from tests.vm import archives
from tools.guest import kernels, system
from tools.release import deb, rpm, tarball, tree

HERE = Path(__file__).resolve().parent
# What each guest left, for people.
LEFT = HERE.parents[2] / "build/guests"
_OLD_PYTHON = """#!/bin/sh
[ "$1" = --version ] && echo Python 3.6.15 && exit 0
echo old >&2
exit 1
"""


@dataclass
class Host:
    """What a script left in /result."""

    files: dict[str, bytes]

    def said(self, step: str, code: int = 0) -> str:
        """What a step's commands printed; asserts the exit code of the last."""
        text = self.files[step].decode()
        assert self.files[f"{step}.code"] == b"%d\n" % code, text
        return text

    def listed(self, name: str) -> set[str]:
        """The files and directories of the host, with modes, owners, sizes."""
        return set(self.files[f"files.{name}"].decode().splitlines())

    def events(self) -> list[dict[str, Any]]:
        """What the export file has; every line is one."""
        content = self.files["export/tetrapy.log"]
        assert content.endswith(b"\n")
        return [json.loads(line) for line in content.splitlines()]


def run(script: str, kernel: str, *builders: Callable[[str], tuple[str, bytes]]) -> Host:
    """Run a script of this directory, with what these make, in a guest with that kernel."""
    whole()
    files: dict[str, bytes | str | Path] = {
        "/test/common.sh": HERE / "common.sh",
        "/test/old-python": _OLD_PYTHON,
    }
    if script == "packages":
        known = archives.truth(kernels.get(kernel), tree.PYZ)
        files["/test/empty.xz"] = archives.VARIANTS["empty"](known)
    for build in builders:
        name, content = build("amd64")
        files[f"/test/{name}"] = content
        files[f"/test/{name}.sha256sum"] = f"{hashlib.sha256(content).hexdigest()}  {name}\n"
    text = (HERE / f"{script}.sh").read_text().replace("VERSION", tree.version())
    result = system.run(kernels.get(kernel), text, files)
    print(f"{script}: {result.wall_seconds:.1f} s, cpu {result.cpu_seconds:.1f} s")
    left = LEFT / f"service-{script}"
    shutil.rmtree(left, ignore_errors=True)
    for name, content in result.files.items():
        (left / name).parent.mkdir(parents=True, exist_ok=True)
        (left / name).write_bytes(content)
    return Host(result.files)


@pytest.fixture(scope="session")
def lifecycle() -> Host:
    """A host without BTF on which tetrapy was installed, used, upgraded and removed."""
    return run("lifecycle", "6.1-nobtf", tarball.build)


@pytest.fixture(scope="session")
def packages() -> Host:
    """A host with BTF that met refusals, packages and what a service has to live through."""
    return run("packages", "6.1", tarball.build, deb.build, rpm.build)
