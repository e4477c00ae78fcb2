# SPDX-License-Identifier: Apache-2.0
"""`tetrapy probe` where the real Tetragon was asked the same."""

from __future__ import annotations

import pytest

from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

# What Tetragon's client said on Debian 12's kernel, with `bpf` among its security modules.
TETRAGONS = """\
override_return: false
buildid: true
kprobe_multi: false
uprobe_multi: false
fmodret: true
fmodret_syscall: false
signal: true
large: true
link_pin: true
lsm: true
missed_stats_kprobe_multi: false
missed_stats_kprobe: false
batch_update: true
uprobe_refctroff: true
audit_loginuid: true
probe_write_user: true
uprobe_regs_change: false
mix_bpf_and_tail_calls: true
fentry: true
get_func_ret: true
substring_kfunc: false
copy_from_user_str: false
"""


@pytest.mark.matrix
def test_the_answers_are_tetragons() -> None:
    """Key for key; behind them no hook lacks anything on that kernel."""
    script = "python3 /test/tetrapy.pyz probe >/result/probe 2>/result/errors"
    files: dict[str, qemu.Content] = {"/test/tetrapy.pyz": PYZ}
    result = qemu.run(kernels.get("6.1"), script, files, append="lsm=bpf")
    assert result.files["errors"] == b""
    text = result.files["probe"].decode()
    assert text.startswith(TETRAGONS)
    hooks = [line for line in text.splitlines() if line.startswith("hook_")]
    assert len(hooks) == 11
    assert all(line.endswith(": true") for line in hooks)
