# SPDX-License-Identifier: Apache-2.0
"""Processes by their pid alone: messages come in order and name nothing else."""

from __future__ import annotations

from typing import List, Optional

from tetrapy.events.process import Process
from tetrapy.process.procfs import ProcfsProcess, read_process
from tetrapy.process.table import ProcessTable

_LINE_LIMIT = 64  # parents that are read in a row


class Pids:
    """A process table that is asked without start times."""

    def __init__(self, table: ProcessTable, procfs: str) -> None:
        """`procfs` is empty when there is none to be trusted."""
        self._table = table
        self._procfs = procfs

    def at(self, pid: int) -> Optional[Process]:
        """The live image of `pid`."""
        return self._table.at(pid)

    def at_or_read(self, pid: int) -> Optional[Process]:
        """The process that a pid has now; one that the table misses is read from procfs, and so
        are its parents.
        """
        process = self.at(pid)
        line: List[ProcfsProcess] = []
        while process is None and self._procfs and len(line) < _LINE_LIMIT:
            seen = read_process(self._procfs, pid)
            if seen is None:
                break
            line.append(seen)
            pid = seen.parent_pid
            if self.at(pid) is not None:
                break
        for ancestor in reversed(line):
            process = self._table.from_procfs(ancestor)
        if process is None:
            self._table.misses += 1
        return process

    def take(self, pid: int) -> Optional[Process]:
        """Take out the image of `pid`."""
        process = self.at(pid)
        return None if process is None else self._table.pop(pid, process.start)
