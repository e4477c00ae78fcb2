# SPDX-License-Identifier: Apache-2.0
"""Finds what is in task_struct itself, and struct pid; orders are of include/linux/sched.h."""

from __future__ import annotations

from struct import pack
from typing import List, Optional

from tetrapy.btf.inference.checks.processes import is_live
from tetrapy.btf.inference.checks.tasks import is_login_uid, is_start, tasks
from tetrapy.btf.inference.memory import Unreadable, is_pointer
from tetrapy.btf.inference.scan.finder import Finder, Undecided

# How far behind the pid its neighbours are: "pid, tgid, stack_canary, real_parent, parent,
# children, sibling, group_leader, ptraced, ptrace_entry, thread_pid" are 112 bytes.
_SEARCH_SPAN = 512
# How large struct pid is, without its numbers: 56 bytes with Linux 4.19, 176 with real-time 6.12,
# and twice that with lock debugging.
_PID_SIZE = 448
# "nr, ns", and with Linux before 4.15 a list node.
_UPID_SIZES = (16, 32)
_MAX_LEVEL = 32
# "ptracer_cred" to "fs": 96 bytes, and as much again and more.
_SPAN_AFTER_CRED = 512
# "signal, sighand, ..., loginuid": 128 bytes.
_SPAN_AFTER_SIGNAL = 640
_SIGNAL_COUNTS = 64


def find_ids(finder: Finder) -> None:
    """`pid, tgid`: at the same place in three tasks, of which two have other numbers in them."""
    wanted = [
        (task.tgid << 32 | task.pid).to_bytes(8, "little") for task in tasks(finder.reference)
    ]
    images = [pack(f"<{len(words)}Q", *words) for words in finder.words]
    places: List[int] = []
    at = images[0].find(wanted[0])
    while at >= 0:
        if at % 4 == 0 and all(image[at : at + 8] == ids for image, ids in zip(images, wanted)):
            places.append(at)
        at = images[0].find(wanted[0], at + 1)
    place = finder.only("task_struct.pid", places)
    finder.found.update({"task_struct.pid": place, "task_struct.tgid": place + 4})


def find_relatives(finder: Finder) -> None:
    """`real_parent, parent, children, sibling`, and `group_leader`.

    A thread that is not the leader has no children of its own and is in no list of siblings: these
    two lists are empty, each word of them points to its list.
    """
    thread, leader, parent = tasks(finder.reference)
    mine, leaders, parents = finder.words
    near = _multiples(finder, finder.task("pid"), _SEARCH_SPAN)

    def is_real_parent(at: int) -> bool:
        first = at // 8
        lists = [thread.address + at + step for step in (16, 16, 32, 32)]
        both = [parent.address, parent.address]
        return mine[first : first + 6] == both + lists

    def is_leader(at: int) -> bool:
        found = [words[at // 8] for words in (mine, leaders, parents)]
        return found == [leader.address, leader.address, parent.address]

    finder.found["task_struct.real_parent"] = finder.search(
        "task_struct.real_parent", near, is_real_parent
    )
    finder.found["task_struct.group_leader"] = finder.search(
        "task_struct.group_leader", near, is_leader
    )


def find_pid(finder: Finder) -> None:
    """`thread_pid`, and in struct pid `level` and `numbers`.

    An element of numbers is "nr, ns" (include/linux/pid.h).  Behind thread_pid the list nodes
    pid_links lead into the same struct pid: the pointer to its start is the first. A kernel without
    pid namespaces has one element, and `level` is 0: Linux' order decides, "count, level".
    """
    reference, memory = finder.reference, finder.memory
    # Mount namespaces are in all kernels: where procfs shows these, it shows what there is.
    alone = "mnt" in reference.namespaces and "pid" not in reference.namespaces
    if reference.ns_pid is None and not alone:
        raise Undecided("pid.level was not found, because no pid namespace could be made")
    start = finder.task("group_leader")
    found = []
    for at in _multiples(finder, start, _SEARCH_SPAN):
        pids = [words[at // 8] for words in finder.words]
        if not all(map(is_pointer, pids)) or len(set(pids)) < len(pids):
            continue
        known = list(zip(pids, tasks(reference)))
        for numbers in range(0, _PID_SIZE, 8):
            if all(_is_number(finder, pid + numbers, task.pid) for pid, task in known):
                found.append((at, numbers))
                break
    if not found:
        raise Undecided("task_struct.thread_pid was not found")
    at, numbers = found[0]
    pids = [words[at // 8] for words in finder.words]
    # `count` comes first, `level` behind it.
    if alone:
        places = [(_UPID_SIZES[0], 4)] if not any(memory.u32(pid + 4) for pid in pids) else []
    else:
        places = [
            (size, place)
            for size in _UPID_SIZES
            for level in [_level(finder, pids[0] + numbers, size)]
            for place in range(4, numbers, 4)
            if level and [memory.u32(pid + place) for pid in pids] == [level, level, level - 1]
        ]
    size, place = finder.only("pid.level", places)
    finder.found.update(
        {
            "task_struct.thread_pid": at,
            "pid.numbers": numbers,
            "pid.level": place,
            "upid.nr": 0,
            "type_size upid": size,
        }
    )


def find_start(finder: Finder) -> None:
    """`start_time, start_boottime`, between the pids and the credentials."""
    mine = finder.words[0]
    places = _multiples(finder, finder.task("thread_pid") + 8, finder.task("cred"), absolute=True)
    place = finder.search(
        "task_struct.start_boottime",
        places,
        lambda at: is_start(mine[at // 8 - 1], mine[at // 8], finder.reference),
    )
    finder.found["task_struct.start_boottime"] = place


def find_exit_code(finder: Finder) -> None:
    """`exit_code` of the dead leader, between `active_mm` and `pid`."""
    reference = finder.reference
    wanted = [0, reference.leader_exit_code, 0]
    finder.found["task_struct.exit_code"] = finder.search(
        "task_struct.exit_code",
        range(finder.task("mm") + 16, finder.task("pid"), 4),
        lambda at: [finder.memory.u32(t.address + at) for t in tasks(reference)] == wanted,
    )


def find_signal(finder: Finder) -> None:
    """`signal`, which the thread shares with the leader, and in it "sigcnt, live, nr_threads"."""
    memory, alive = finder.memory, finder.reference.threads_alive
    mine, leaders, parents = finder.words
    found = []
    for at in _multiples(finder, finder.task("fs") + 8, _SPAN_AFTER_CRED):
        signal = mine[at // 8]
        if not is_pointer(signal) or signal != leaders[at // 8] or signal == parents[at // 8]:
            continue
        counts = memory.some_words(signal, _SIGNAL_COUNTS // 8)
        numbers = [half for word in counts for half in (word & 0xFFFFFFFF, word >> 32)]
        found += [
            (at, 4 * place)
            for place in range(1, len(numbers) - 1)
            if is_live(numbers[place - 1 : place + 2], alive)
        ]
    at, place = finder.first("signal_struct.live", found)
    finder.found["task_struct.signal"] = at
    finder.found["signal_struct.live.counter"] = place


def find_login_uid(finder: Finder) -> None:
    """`loginuid, sessionid`, behind `signal`; with a value that only our task has, or unset."""
    uid = finder.reference.login_uid
    if uid is None:
        return
    address, memory = finder.reference.thread.address, finder.memory
    start = finder.task("signal") + 8
    place = finder.search(
        "task_struct.loginuid",
        range(start, min(start + _SPAN_AFTER_SIGNAL, finder.end), 4),
        lambda at: is_login_uid([memory.u32(address + at), memory.u32(address + at + 4)], uid),
    )
    finder.found["task_struct.loginuid"] = finder.found["task_struct.loginuid.val"] = place


def _multiples(finder: Finder, start: int, span: int, absolute: bool = False) -> range:
    """The multiples of 8 from `start` on, inside the tasks."""
    end = span if absolute else start + span
    return range(-(-start // 8) * 8, min(end, finder.end - 48), 8)


def _is_number(finder: Finder, at: int, number: int) -> bool:
    """Whether there is a struct upid with this number."""
    try:
        return finder.memory.u32(at) == number and is_pointer(finder.memory.u64(at + 8))
    except Unreadable:
        return False


def _level(finder: Finder, numbers: int, size: int) -> Optional[int]:
    """The level at which the array has the pid of the task's own namespace."""
    for level in range(1, _MAX_LEVEL):
        if _is_number(finder, numbers + size * level, finder.reference.ns_pid or 0):
            return level
        try:
            if not is_pointer(finder.memory.u64(numbers + size * level + 8)):
                return None
        except Unreadable:
            return None
    return None
