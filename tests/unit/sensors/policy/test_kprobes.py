# SPDX-License-Identifier: Apache-2.0
"""Which functions a hook means, of a kernel whose symbols are made up."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import cast

from tests.support.policies import read, spec
from tetrapy.kernel.symbols import Symbols
from tetrapy.kernel.tracefs import KernelFiles
from tetrapy.sensors.policy.kprobes import symbols_of
from tetrapy.sensors.policy.plan import Machine

KALLSYMS = """\
ffffffff81000010 T __x64_sys_read
ffffffff81000020 t __x64_sys_read.cold
ffffffff81000030 t __do_sys_read
ffffffff81000040 T __x64_sys_ni_syscall
ffffffff81000050 T __x64_sys_write
"""


def test_all_system_calls(tmp_path: Path) -> None:
    """Those that somebody may call: not the parts that the compiler split off of some."""
    path = tmp_path / "kallsyms"
    path.write_text(KALLSYMS)
    found = read(
        spec(
            "  lists: [{name: all, type: generated_syscalls}]\n"
            "  kprobes: [{call: 'list:all', syscall: true}]"
        )
    ).policy.spec
    machine = SimpleNamespace(
        machine="x86_64", spec=found, symbols=Symbols(KernelFiles(), str(path))
    )
    (hook,) = found.kprobes
    found_symbols = symbols_of(hook, cast(Machine, machine))
    assert found_symbols == (["__x64_sys_read", "__x64_sys_write"], True)
