# SPDX-License-Identifier: Apache-2.0
"""What prepared processes are to be, and the program that is executed to see an exec."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tetrapy.abi.elf import Elf
from tetrapy.kernel.reference_process import minimal_elf
from tetrapy.kernel.reference_process.plan import PLANS, Plan

# CAP_AUDIT_READ, the last one of Linux 5.4.
OLDEST_LAST = 37


@pytest.mark.parametrize("plan", PLANS)
def test_the_kernel_allows_the_capability_sets(plan: Plan) -> None:
    """Effective ones are permitted, ambient ones are that and inheritable; all sets differ."""
    sets = plan.capabilities
    assert sets.effective & ~sets.permitted == 0
    assert sets.ambient & ~(sets.permitted & sets.inheritable) == 0
    assert len({0, *sets}) == 5
    assert max(sets) >> OLDEST_LAST + 1 == 0


@pytest.mark.parametrize("plan", PLANS)
def test_sets_differ_in_both_halves(plan: Plan) -> None:
    """No half of a set is zero: a layout that is half a word off reads another number."""
    assert all(part & 0xFFFFFFFF and part >> 32 for part in plan.capabilities)


def test_plans_have_nothing_in_common() -> None:
    """What one process has, the other has not."""
    one, other = PLANS
    assert not set(one.capabilities) & set(other.capabilities)
    for name in ("securebits", "env_bytes", "arg_bytes", "last_pid"):
        assert getattr(one, name) != getattr(other, name)


def test_the_tiny_program_runs(tmp_path: Path) -> None:
    """It is a whole ELF file of this machine, and exits with 0."""
    path = tmp_path / "tiny"
    path.write_bytes(minimal_elf.image())
    path.chmod(0o700)
    assert Elf(path.read_bytes()).sections == []
    assert subprocess.run([str(path)], check=False, timeout=60).returncode == 0


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_the_tiny_program_of_each_architecture(
    machine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It says for which machine it is, and where it starts is the last part of it."""
    with monkeypatch.context() as patched:
        names = os.uname_result(("Linux", "here", "6.1", "1", machine))
        patched.setattr(os, "uname", lambda: names)
        image = minimal_elf.image()
    assert Elf(image).machine == {"x86_64": 62, "aarch64": 183}[machine]
    start = int.from_bytes(image[24:32], "little") - 0x400000
    assert start == 120
    assert len(image) - start == {"x86_64": 9, "aarch64": 12}[machine]
