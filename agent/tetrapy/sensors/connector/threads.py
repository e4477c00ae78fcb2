# SPDX-License-Identifier: Apache-2.0
"""Which threads a process has: it has ended when its last one has.

The connector tells of each thread. Those of processes that were there before are counted in procfs
at the start. After a loss procfs is asked when a thread ends, and counting goes on from there; a
process that has ended altogether by then may be reported with the status of another of its threads.
"""

from __future__ import annotations

from typing import Dict, Set

from tetrapy.sensors.connector.snapshot import living_threads


class Threads:
    """The living threads of processes, by pid."""

    def __init__(self, procfs: str) -> None:
        """`procfs` is empty when there is none to be trusted; every process has one thread then."""
        self._procfs = procfs
        self._of: Dict[int, Set[int]] = {}

    def begin(self, pid: int) -> None:
        """A process with one thread: it was forked, or it executed."""
        self._of[pid] = {pid}

    def count(self, pid: int) -> None:
        """A process that was there before."""
        threads = living_threads(self._procfs, pid) if self._procfs else set()
        if threads:
            self._of[pid] = threads

    def add(self, pid: int, tid: int) -> None:
        """A new thread of a process."""
        threads = self._of.get(pid)
        if threads is not None:
            threads.add(tid)

    def end(self, pid: int, tid: int) -> bool:
        """A thread has ended; whether its process has."""
        threads = self._of.get(pid)
        if threads is None:
            threads = living_threads(self._procfs, pid) if self._procfs else set()
            if not threads and tid != pid:
                threads = {pid}  # the end of the first thread is still to be reported
            self._of[pid] = threads
        threads.discard(tid)
        if threads:
            return False
        del self._of[pid]
        return True

    def forget(self) -> None:
        """Nothing that was counted is certain any more."""
        self._of.clear()
