# SPDX-License-Identifier: Apache-2.0
"""Checks of task_struct itself and struct pid.

Where two neighbours hold the same value, their order in include/linux/sched.h distinguishes them; a
kernel with another order (CONFIG_RANDSTRUCT) fails, and is refused.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from tetrapy.btf.inference.checks.check import Check, check
from tetrapy.btf.inference.reference_process import UNSET_LOGIN_UID, ReferenceProcess, Task
from tetrapy.btf.inference.view import RENAMED, View

CHECKS: List[Check] = []

# How long a fork may be preempted between the two clocks that it reads, and how exactly the gap
# between the clocks is known; in ns.
_CLOCKS_LATE = 50_000_000
_CLOCKS_EARLY = 1_000_000
# The kernel's MAX_PID_NS_LEVEL (include/linux/pid_namespace.h).
_MAX_LEVEL = 32


@check(CHECKS, "pid of three tasks", "task_struct.pid")
def _pid(view: View, reference: ReferenceProcess) -> bool:
    return all(view.u32(t.address, "task_struct.pid") == t.pid for t in tasks(reference))


@check(CHECKS, "tgid of three tasks", "task_struct.tgid")
def _tgid(view: View, reference: ReferenceProcess) -> bool:
    return all(view.u32(t.address, "task_struct.tgid") == t.tgid for t in tasks(reference))


@check(CHECKS, "group leader of three tasks", "task_struct.group_leader")
def _leader(view: View, reference: ReferenceProcess) -> bool:
    leaders = (reference.leader, reference.leader, reference.parent)
    return all(
        view.u64(task.address, "task_struct.group_leader") == leader.address
        for task, leader in zip(tasks(reference), leaders)
    )


@check(CHECKS, "real parent", "task_struct.real_parent")
def _real_parent(view: View, reference: ReferenceProcess) -> bool:
    # "real_parent, parent": equal for a task that is not traced.
    at = reference.thread.address + view["task_struct.real_parent"]
    found = view.memory.pointer(at)
    following = view.memory.words(at + 8, 2)
    return (
        following[:1] == [found]
        and following != [found, found]
        and view.follow(found, "task_struct.group_leader") == reference.parent.address
    )


@check(CHECKS, "start time", *RENAMED[0])
def _start(view: View, reference: ReferenceProcess) -> bool:
    # "start_time, start_boottime", read one after the other from the clocks without and with the
    # time that the machine was suspended.
    at = reference.thread.address + view.either(RENAMED[0])
    return is_start(view.memory.u64(at - 8), view.memory.u64(at), reference)


@check(CHECKS, "exit code of the dead leader", "task_struct.exit_code")
def _exit_code(view: View, reference: ReferenceProcess) -> bool:
    codes = [view.u32(t.address, "task_struct.exit_code") for t in tasks(reference)]
    return codes == [0, reference.leader_exit_code, 0]


@check(CHECKS, "login uid", "task_struct.loginuid", "task_struct.loginuid.val")
def _login_uid(view: View, reference: ReferenceProcess) -> Optional[bool]:
    names = ("task_struct.loginuid", "task_struct.loginuid.val")
    if not any(map(view.has, names)):
        # A scan leaves out what it could not recognize: without a name, nothing wrong is read.
        return True if reference.login_uid is None else None
    if reference.login_uid is None or view[names[0]] != view[names[1]]:
        return False
    at = reference.thread.address + view[names[1]]
    return is_login_uid([view.memory.u32(at), view.memory.u32(at + 4)], reference.login_uid)


@check(CHECKS, "pid of three struct pid", "task_struct.thread_pid", "pid.numbers", "upid.nr")
def _numbers(view: View, reference: ReferenceProcess) -> bool:
    return all(
        view.u32(
            view.follow(task.address, "task_struct.thread_pid") + view["pid.numbers"], "upid.nr"
        )
        == task.pid
        for task in tasks(reference)
    )


@check(CHECKS, "pid in its own namespace", "pid.level", "type_size upid")
def _inner_pid(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.ns_pid is None:
        return None
    pids = [view.follow(task.address, "task_struct.thread_pid") for task in tasks(reference)]
    level, *others = (view.u32(pid, "pid.level") for pid in pids)
    if others != [level, level - 1] or not 1 <= level <= _MAX_LEVEL:
        return False
    if view["pid.level"] >= view["pid.numbers"]:  # the array is the last member
        return False
    inner = pids[0] + view["pid.numbers"] + level * view["type_size upid"]
    return view.u32(inner, "upid.nr") == reference.ns_pid


def tasks(reference: ReferenceProcess) -> Tuple[Task, Task, Task]:
    """The three tasks that are known."""
    return reference.thread, reference.leader, reference.parent


def is_login_uid(words: Sequence[int], uid: int) -> bool:
    """Whether two neighbouring numbers are "loginuid, sessionid"; they are unset together."""
    return words[0] == uid and (uid != UNSET_LOGIN_UID or words[1] == uid)


def is_start(monotonic: int, boot: int, reference: ReferenceProcess) -> bool:
    """Whether two neighbouring words are the times, in ns, at which the thread was started."""
    late = boot - monotonic - reference.boot_gap_ns
    ticks = boot * reference.ticks_per_second // 1_000_000_000
    return -_CLOCKS_EARLY <= late <= _CLOCKS_LATE and ticks == reference.start_ticks
