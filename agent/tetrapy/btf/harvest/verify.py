# SPDX-License-Identifier: Apache-2.0
"""Is this the BTF of a kernel? Nothing is written that was not asked so."""

from __future__ import annotations

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.btf.harvest import limits
from tetrapy.errors import BtfError
from tetrapy.named import NamedTuple

# A register of struct pt_regs that only this architecture has.
_REGISTERS = {"orig_ax": "x86_64", "orig_x0": "arm64"}


class Checked(NamedTuple):
    """What a kernel's BTF tells: `arch` as x86_64, arm64 or "" (neither, or minimized BTF).

    `minimized`: it is a part of the BTF of a kernel, as `bpftool gen min_core_btf` makes it.
    """

    arch: str
    minimized: bool


def check(data: bytes) -> Checked:
    """Read a kernel's BTF; BtfError if it is damaged, too large, or no kernel's."""
    if len(data) > limits.BTF:
        raise BtfError(f"{len(data) >> 20} MiB of BTF, the limit is {limits.BTF >> 20}")
    btf = Btf(data)
    task = btf.find("task_struct", k.KIND_STRUCT)
    if task is None or not btf.members(task):
        raise BtfError(f"the BTF has no struct task_struct among {len(btf) - 1} types: no kernel's")
    arch = ""
    registers = btf.find("pt_regs", k.KIND_STRUCT)
    if registers is not None:
        names = {member.name for member in btf.members(registers)}
        arch = next((_REGISTERS[name] for name in _REGISTERS if name in names), "")
    # No relocation reads functions, so a minimized BTF has none; a full one has thousands.
    minimized = all(found.kind != k.KIND_FUNC for found in btf)
    return Checked(arch, minimized)


def check_module(data: bytes, kernel: Btf) -> None:
    """Read a module's split BTF on top of its kernel's; BtfError if it is damaged."""
    if len(data) > limits.BTF:
        raise BtfError(f"{len(data) >> 20} MiB of BTF, the limit is {limits.BTF >> 20}")
    for _ in Btf(data, kernel):
        pass
