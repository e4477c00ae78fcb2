# SPDX-License-Identifier: Apache-2.0
"""Programs that do what a hook left for a thread (bpf/enforcement.h), and that follow threads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Mapping, Tuple

from tetrapy.sensors.policy.attachment import attachment
from tetrapy.sensors.policy.hook import FENTRY, KPROBE, RAW_TRACEPOINT, UPROBE
from tetrapy.sensors.policy.place import Place

if TYPE_CHECKING:
    from tetrapy.kernel.bpf_object import BpfObject
    from tetrapy.sensors.policy.attached import AttachedHook

PROGRAMS: Mapping[str, Tuple[str, str]] = {
    FENTRY: ("on_enforced", "enforcing_policy"),
    KPROBE: ("on_enforced_call", "enforcing_call_policy"),
    UPROBE: ("on_enforced_program", "enforcing_program_policy"),
}
"""By kind of place the program that does what was left, and the constant that says by whom."""

FOLLOWING: Mapping[str, str] = {
    "on_notified_exit": "sched_process_exit",
    "on_notified_free": "sched_process_free",
    "on_notified_exec": "sched_process_exec",
}
"""Programs that follow threads which enforcers await, and where: see bpf/enforcement.bpf.c."""


def follow(attached: AttachedHook, loaded: BpfObject) -> None:
    """Have `attached` attach the programs of FOLLOWING, and own their object."""
    attached.objects.append(loaded)
    attached.kernel_memory += loaded.kernel_memory()
    for program, event in FOLLOWING.items():
        place = Place(RAW_TRACEPOINT, ("sched", event), 0)
        attached.programs.append((place, attached.keep(loaded.program_fds()[program])))
        attached.attachments.append(attachment(loaded, program, place, 0, attached.opened))
