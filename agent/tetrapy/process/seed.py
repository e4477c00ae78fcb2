"""Filling the process table with the processes that were there before the agent.

The programs are attached before procfs is read, so nothing falls between the two; what falls into
both is told apart here.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, NamedTuple, Set, Tuple

from tetrapy.events.process import Process
from tetrapy.kernel.clock import boot_time_ns
from tetrapy.process.procfs import TICK_NS, ProcfsProcess, list_pids, read_process
from tetrapy.process.table import ProcessTable

# A process of procfs, and when its reading began (ns since boot).
Seen = Tuple[int, ProcfsProcess]


class Touched(NamedTuple):
    """What records that came while procfs was read say about its processes."""

    forked: Set[Tuple[int, int]]  # (pid, start in ticks of procfs)
    executed: Dict[int, int]  # pid -> time of its first exec, ns since boot


def read_all(root: str) -> Tuple[List[Seen], int]:
    """Every process of procfs with the time at which its reading began, and how many were listed.

    Raises OSError when `root` cannot be listed.
    """
    seen = []
    listed = 0
    for pid in list_pids(root):
        listed += 1
        when = boot_time_ns()
        process = read_process(root, pid)
        if process is not None:
            seen.append((when, process))
    return seen, listed


def fill(table: ProcessTable, seen: Iterable[Seen], touched: Touched) -> List[Process]:
    """Put the processes into the table; returns those whose exec is to be told, in its order.

    A process that was forked meanwhile is told by records alone. One that executed meanwhile is
    told only when it was read before; else procfs shows what the record will tell.
    """
    told = [(0, table.kernel)]
    for when, process in _parents_first(seen):
        pid = process.pid
        if (pid, process.start // TICK_NS) in touched.forked:
            continue
        entry = table.from_procfs(process)
        if touched.executed.get(pid, when) < when:
            # Its exec record will tell; most likely it was forked before and executed after the
            # programs were attached.
            entry.refcnt = 1
        elif not process.is_kernel_thread:
            told.append((process.parent_pid, entry))
    told.sort(key=lambda pair: pair[0])
    return [entry for _, entry in told]


def _parents_first(seen: Iterable[Seen]) -> List[Seen]:
    """Neither pids nor start times (in ticks) tell who was first, so the links are followed."""
    waiting = {pair[1].pid: pair for pair in seen}
    ordered: List[Seen] = []
    while waiting:
        line = []
        pair = waiting.pop(next(iter(waiting)), None)
        while pair is not None:
            line.append(pair)
            pair = waiting.pop(pair[1].parent_pid, None)
        ordered.extend(reversed(line))
    return ordered
