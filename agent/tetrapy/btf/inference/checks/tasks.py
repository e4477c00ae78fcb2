# SPDX-License-Identifier: Apache-2.0
"""Checks of task_struct itself and struct pid.

Where two neighbours hold the same value, their order in include/linux/sched.h tells them apart; a
kernel with another order (CONFIG_RANDSTRUCT) fails, and is refused.
"""

from __future__ import annotations

from typing import List, Optional, Sequence, Tuple

from tetrapy.btf.inference.checks.check import Check, check
from tetrapy.btf.inference.subject import UNSET_LOGIN_UID, Subject, Task
from tetrapy.btf.inference.view import RENAMED, View

CHECKS: List[Check] = []

# How long a fork may be preempted between the two clocks that it reads, and how exactly the gap
# between the clocks is known; in ns.
_CLOCKS_LATE = 50_000_000
_CLOCKS_EARLY = 1_000_000
# The kernel's MAX_PID_NS_LEVEL (include/linux/pid_namespace.h).
_MAX_LEVEL = 32


@check(CHECKS, "pid of three tasks", "task_struct.pid")
def _pid(view: View, subject: Subject) -> bool:
    return all(view.u32(t.address, "task_struct.pid") == t.pid for t in tasks(subject))


@check(CHECKS, "tgid of three tasks", "task_struct.tgid")
def _tgid(view: View, subject: Subject) -> bool:
    return all(view.u32(t.address, "task_struct.tgid") == t.tgid for t in tasks(subject))


@check(CHECKS, "group leader of three tasks", "task_struct.group_leader")
def _leader(view: View, subject: Subject) -> bool:
    leaders = (subject.leader, subject.leader, subject.parent)
    return all(
        view.u64(task.address, "task_struct.group_leader") == leader.address
        for task, leader in zip(tasks(subject), leaders)
    )


@check(CHECKS, "real parent", "task_struct.real_parent")
def _real_parent(view: View, subject: Subject) -> bool:
    # "real_parent, parent": equal for a task that is not traced.
    at = subject.thread.address + view["task_struct.real_parent"]
    found = view.memory.pointer(at)
    following = view.memory.words(at + 8, 2)
    return (
        following[:1] == [found]
        and following != [found, found]
        and view.follow(found, "task_struct.group_leader") == subject.parent.address
    )


@check(CHECKS, "start time", *RENAMED[0])
def _start(view: View, subject: Subject) -> bool:
    # "start_time, start_boottime", read one after the other from the clocks without and with the
    # time that the machine was suspended.
    at = subject.thread.address + view.either(RENAMED[0])
    return is_start(view.memory.u64(at - 8), view.memory.u64(at), subject)


@check(CHECKS, "exit code of the dead leader", "task_struct.exit_code")
def _exit_code(view: View, subject: Subject) -> bool:
    codes = [view.u32(t.address, "task_struct.exit_code") for t in tasks(subject)]
    return codes == [0, subject.leader_exit_code, 0]


@check(CHECKS, "login uid", "task_struct.loginuid", "task_struct.loginuid.val")
def _login_uid(view: View, subject: Subject) -> Optional[bool]:
    names = ("task_struct.loginuid", "task_struct.loginuid.val")
    if not any(map(view.has, names)):
        # A scan leaves out what it could not recognize: without a name, nothing wrong is read.
        return True if subject.login_uid is None else None
    if subject.login_uid is None or view[names[0]] != view[names[1]]:
        return False
    at = subject.thread.address + view[names[1]]
    return is_login_uid([view.memory.u32(at), view.memory.u32(at + 4)], subject.login_uid)


@check(CHECKS, "pid of three struct pid", "task_struct.thread_pid", "pid.numbers", "upid.nr")
def _numbers(view: View, subject: Subject) -> bool:
    return all(
        view.u32(
            view.follow(task.address, "task_struct.thread_pid") + view["pid.numbers"], "upid.nr"
        )
        == task.pid
        for task in tasks(subject)
    )


@check(CHECKS, "pid in its own namespace", "pid.level", "type_size upid")
def _inner_pid(view: View, subject: Subject) -> Optional[bool]:
    if subject.ns_pid is None:
        return None
    pids = [view.follow(task.address, "task_struct.thread_pid") for task in tasks(subject)]
    level, *others = (view.u32(pid, "pid.level") for pid in pids)
    if others != [level, level - 1] or not 1 <= level <= _MAX_LEVEL:
        return False
    if view["pid.level"] >= view["pid.numbers"]:  # the array is the last member
        return False
    inner = pids[0] + view["pid.numbers"] + level * view["type_size upid"]
    return view.u32(inner, "upid.nr") == subject.ns_pid


def tasks(subject: Subject) -> Tuple[Task, Task, Task]:
    """The three tasks that are known."""
    return subject.thread, subject.leader, subject.parent


def is_login_uid(words: Sequence[int], uid: int) -> bool:
    """Whether two neighbouring numbers are "loginuid, sessionid"; they are unset together."""
    return words[0] == uid and (uid != UNSET_LOGIN_UID or words[1] == uid)


def is_start(monotonic: int, boot: int, subject: Subject) -> bool:
    """Whether two neighbouring words are the times, in ns, at which the thread was started."""
    late = boot - monotonic - subject.boot_gap_ns
    ticks = boot * subject.ticks_per_second // 1_000_000_000
    return -_CLOCKS_EARLY <= late <= _CLOCKS_LATE and ticks == subject.start_ticks
