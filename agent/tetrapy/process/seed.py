# SPDX-License-Identifier: Apache-2.0
"""Filling the process table with the processes that were there before the agent.

The programs are attached before procfs is read, so nothing falls between the two; what falls into
both is distinguished here.
"""

from __future__ import annotations

from posixpath import basename
from typing import Callable, Dict, Iterable, List, Optional, Set, Tuple

from tetrapy.events import flags
from tetrapy.events.cut import REPEATED
from tetrapy.events.process import Process
from tetrapy.kernel.clock import boot_time_ns
from tetrapy.named import NamedTuple
from tetrapy.process.procfs import TICK_NS, ProcfsProcess, list_pids, read_shown, reads_of
from tetrapy.process.table import ProcessTable

# Arguments of all processes, in characters, and what one process may have when there are more.
_MAX_COUNT, _MIN_COUNT = 4 << 20, 256


class Seen(NamedTuple):
    """A process of procfs."""

    end: int  # when its reading was over, ns since boot
    process: ProcfsProcess


class Executed(NamedTuple):
    """The first exec that records tell of a process."""

    ktime: int  # ns since boot
    path: str
    arguments: str


class Touched(NamedTuple):
    """What records that came while procfs was read say about its processes."""

    forked: Set[Tuple[int, int]]  # (pid, start in ticks of procfs)
    executed: Dict[int, Executed]  # by pid


def read_all(root: str, alive: Callable[[], None] = lambda: None) -> Tuple[List[Seen], int]:
    """Every process of procfs, and how many were listed; `alive` is called now and then.

    Raises OSError when `root` cannot be listed.
    """
    characters = 0

    def read(pid: int, may_wait: bool) -> Tuple[int, Optional[ProcfsProcess]]:
        nonlocal characters
        most = REPEATED if characters < _MAX_COUNT else _MIN_COUNT
        process = read_shown(root, most, pid, may_wait)
        if process is not None:
            characters += len(process.arguments)
        return boot_time_ns(), process

    pids = list(list_pids(root))
    seen = [
        Seen(end, process)
        for end, process in reads_of(root).each(pids, read, alive)
        if process is not None
    ]
    return seen, len(pids)


def fill(table: ProcessTable, seen: Iterable[Seen], touched: Touched) -> List[Process]:
    """Put the processes into the table; returns those whose exec is to be reported, in its order.

    A process that was forked meanwhile is reported by records alone. One that executed meanwhile is
    reported only when procfs shows the image before.
    """
    reported = [(0, table.kernel)]
    ordered = _parents_first(seen)
    believed = table.believed(process for _, process in ordered)
    for (end, _), process in zip(ordered, believed):
        if (process.pid, process.start // TICK_NS) in touched.forked:
            continue
        entry = table.from_procfs(process)
        executed = touched.executed.get(process.pid)
        if executed is not None and _shows_new_image(process, end, executed):
            # Its exec record will tell; most likely it was forked before and executed after the
            # programs were attached.
            entry.refcnt = 1
        elif not process.is_kernel_thread:
            reported.append((process.parent_pid, entry))
    reported.sort(key=lambda pair: pair[0])
    return [entry for _, entry in reported]


def _shows_new_image(process: ProcfsProcess, end: int, executed: Executed) -> bool:
    """Whether procfs was read after the exec, or in its midst.

    Between the moment at which the kernel switches to the new memory and the one at which it tells
    of the exec, procfs shows no arguments, or the new ones already.
    """
    return (
        executed.ktime < end
        or not process.has_command_line
        or (
            _same_arguments(process, executed.arguments)
            and (bool(process.arguments) or basename(process.binary) == basename(executed.path))
        )
    )


def _same_arguments(process: ProcfsProcess, arguments: str) -> bool:
    if process.flags & flags.TRUNC_ARGS:
        return arguments.startswith(process.arguments)
    return process.arguments == arguments


def _parents_first(seen: Iterable[Seen]) -> List[Seen]:
    """Neither pids nor start times (in ticks) tell who was first, so the links are followed."""
    waiting = {one.process.pid: one for one in seen}
    ordered: List[Seen] = []
    while waiting:
        line = []
        one = waiting.pop(next(iter(waiting)), None)
        while one is not None:
            line.append(one)
            one = waiting.pop(one.process.parent_pid, None)
        ordered.extend(reversed(line))
    return ordered
