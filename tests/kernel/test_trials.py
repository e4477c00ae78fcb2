# SPDX-License-Identifier: Apache-2.0
"""What `tetrapy probe` finds out by trying."""

from __future__ import annotations

import os

from tetrapy.kernel.kernel_btf import KernelBtf
from tetrapy.kernel.trials import Trials

# What Tetragon's client prints, in its order.
KEYS = (
    "override_return buildid kprobe_multi uprobe_multi fmodret fmodret_syscall signal large"
    " link_pin lsm missed_stats_kprobe_multi missed_stats_kprobe batch_update uprobe_refctroff"
    " audit_loginuid probe_write_user uprobe_regs_change mix_bpf_and_tail_calls fentry"
    " get_func_ret substring_kfunc copy_from_user_str"
).split()


def test_all_keys_and_nothing_left() -> None:
    """Each key has an answer, each refusal a reason, and no descriptor stays open."""
    KernelBtf().is_there()  # libbpf is loaded, which stays
    before = os.listdir("/proc/self/fd")
    trials = Trials()
    found = trials.all()
    trials.close()
    assert list(found) == KEYS
    assert set(map(type, found.values())) == {bool}
    assert all(not found[name] and why for name, why in trials.refused.items())
    assert len(os.listdir("/proc/self/fd")) == len(before)


def test_answers_that_can_be_told_otherwise() -> None:
    """What this kernel is known to have, by other signs than a trial."""
    trials = Trials()
    found = trials.all()
    assert found["uprobe_refctroff"] == os.path.exists(
        "/sys/bus/event_source/devices/uprobe/format/ref_ctr_offset"
    )
    # Every kernel that the agent runs on has these: Linux 5.3, 5.2, 5.6.
    assert found["signal"]
    assert found["large"]
    assert found["batch_update"]
    if not os.path.exists("/sys/bus/event_source/devices/kprobe"):
        assert not found["link_pin"]
    if "bpf" not in trials.security_file("lsm").split(","):
        assert not found["lsm"]
    trials.close()


def test_members_of_the_kernels_types() -> None:
    """By name, through structures and unions without one."""
    types = KernelBtf()
    assert types.has_member("task_struct", "pid")
    assert types.has_member("bpf_link_info", "raw_tracepoint")
    assert types.has_member("bpf_link_info", "raw_tracepoint", "tp_name")
    assert not types.has_member("task_struct", "none")
    assert not types.has_member("task_struct", "pid", "none")
    assert not types.has_member("no_such_structure", "pid")
    assert types.number("do_exit") > 0
    assert types.number("no_such_function") == 0
    types.close()
