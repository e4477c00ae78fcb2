# SPDX-License-Identifier: Apache-2.0
"""Checks of what a process has: credentials, memory, signals, its exec."""

from __future__ import annotations

from typing import List, Optional, Sequence

from tetrapy.btf.inference.checks.check import Check, check
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.view import View

CHECKS: List[Check] = []

# include/linux/sched/signal.h
SIGNAL_GROUP_EXIT = 4
SIGNAL_UNKILLABLE = 0x40
# How far "flags" is behind "group_exit_code" at most; 20 bytes in all kernels that were looked at.
FLAGS_BEHIND = 32
# Where the effective uid is among the ids of struct cred (include/linux/cred.h).
EUID = 4
# Before the ids are a reference count and some debugging fields; behind a cred stands another one,
# which may be what the reference process had before.
IDS_AT = 64


@check(CHECKS, "credentials", "task_struct.cred", "cred.euid.val")
def _cred(view: View, reference: ReferenceProcess) -> Optional[bool]:
    # "ptracer_cred, real_cred, cred" (include/linux/sched.h): the last two are equal but for
    # moments inside the kernel.
    at = reference.thread.address + view["task_struct.cred"]
    before, cred, after = view.memory.words(at - 8, 3)
    first = cred + view["cred.euid.val"] - 4 * EUID
    if before != cred or cred == after or not cred <= first <= cred + IDS_AT:
        return False
    if reference.ids is None:
        return None
    ids = tuple(view.memory.u32(first + 4 * number) for number in range(len(reference.ids)))
    return ids == tuple(reference.ids)


@check(CHECKS, "memory", "task_struct.mm")
def _mm(view: View, reference: ReferenceProcess) -> bool:
    # "mm, active_mm" (include/linux/sched.h): equal while it lives; the dead leader has no mm.
    at = reference.thread.address + view["task_struct.mm"]
    before, mm, after = view.memory.words(at - 8, 3)
    parents = view.follow(reference.parent.address, "task_struct.mm")
    return before != mm == after != parents and not view.u64(
        reference.leader.address, "task_struct.mm"
    )


@check(CHECKS, "arguments", "mm_struct.arg_start", "mm_struct.arg_end")
def _args(view: View, reference: ReferenceProcess) -> bool:
    # "arg_start, arg_end, env_start, env_end" (include/linux/mm_types.h); where the arguments end
    # the environment starts, unless the reference process has moved the end.
    mm = view.follow(reference.thread.address, "task_struct.mm")
    return (
        view["mm_struct.arg_end"] == view["mm_struct.arg_start"] + 8
        and view.u64(mm, "mm_struct.arg_start") == reference.arg_start
        and view.u64(mm, "mm_struct.arg_end") == reference.arg_end
    )


@check(CHECKS, "environment", "mm_struct.env_start", "mm_struct.env_end")
def _environment(view: View, reference: ReferenceProcess) -> bool:
    mm = view.follow(reference.thread.address, "task_struct.mm")
    return (
        view["mm_struct.env_start"] == view["mm_struct.arg_end"] + 8
        and view["mm_struct.env_end"] == view["mm_struct.env_start"] + 8
        and view.u64(mm, "mm_struct.env_start") == reference.env_start
        and view.u64(mm, "mm_struct.env_end") == reference.env_end
    )


@check(CHECKS, "threads alive", "task_struct.signal", "signal_struct.live.counter")
def _live(view: View, reference: ReferenceProcess) -> bool:
    # "sigcnt, live, nr_threads, quick_threads" (include/linux/sched/signal.h): the dead leader is
    # counted by nr_threads, and sigcnt is at least that; quick_threads, since 6.0, is as live.
    signal = view.follow(reference.thread.address, "task_struct.signal")
    if view.follow(reference.leader.address, "task_struct.signal") != signal:
        return False
    at = signal + view["signal_struct.live.counter"]
    counts = [view.memory.u32(at + step) for step in (-4, 0, 4)]
    return is_live(counts, reference.threads_alive)


@check(CHECKS, "no exit yet", "signal_struct.flags", "signal_struct.group_exit_code")
def _no_exit(view: View, reference: ReferenceProcess) -> bool:
    signal = view.follow(reference.thread.address, "task_struct.signal")
    return not view.u32(signal, "signal_struct.group_exit_code") and view.u32(
        signal, "signal_struct.flags"
    ) in (0, SIGNAL_UNKILLABLE)


@check(CHECKS, "path of a script's exec", "linux_binprm.filename")
def _filename(view: View, reference: ReferenceProcess) -> Optional[bool]:
    # "filename, interp" (include/linux/binfmts.h): the second is the script's interpreter then, but
    # the same where no script could be executed.
    if not reference.exec_strings:
        return None
    word, odd = divmod(view["linux_binprm.filename"], 8)
    return not odd and filename_word(reference) == word


@check(CHECKS, "no threads after the exit", "signal_struct.live.counter", ended=True)
def _dead(view: View, reference: ReferenceProcess) -> bool:
    return not view.u32(
        view.follow(reference.leader.address, "task_struct.signal"), "signal_struct.live.counter"
    )


@check(CHECKS, "exit code of the group", "signal_struct.group_exit_code", ended=True)
def _group_exit_code(view: View, reference: ReferenceProcess) -> bool:
    signal = view.follow(reference.leader.address, "task_struct.signal")
    return view.u32(signal, "signal_struct.group_exit_code") == reference.group_exit_code


@check(CHECKS, "exit flag of the group", "signal_struct.flags", ended=True)
def _flags(view: View, reference: ReferenceProcess) -> bool:
    # "group_exit_code, notify_count, group_exec_task, group_stop_count, flags": among the other
    # numbers of the structure are counters, which may be anything.
    behind = view["signal_struct.flags"] - view["signal_struct.group_exit_code"]
    signal = view.follow(reference.leader.address, "task_struct.signal")
    return 0 < behind <= FLAGS_BEHIND and view.u32(signal, "signal_struct.flags") == (
        SIGNAL_GROUP_EXIT
    )


def filename_word(reference: ReferenceProcess) -> Optional[int]:
    """The number of the only word that points to the path, or the first of the only two."""
    strings = reference.exec_strings
    words = [word for word, text in enumerate(strings) if text == reference.exec_path]
    alone = len(words) == 1 or (len(words) == 2 and words[1] == words[0] + 1)
    return words[0] if alone else None


def is_live(counts: Sequence[int], alive: int) -> bool:
    """Whether three neighbouring numbers are sigcnt, live and nr_threads."""
    before, live, after = counts
    return live == alive and after == alive + 1 and before >= alive + 1
