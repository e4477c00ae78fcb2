# SPDX-License-Identifier: Apache-2.0
"""Whose call a record tells of.

A process still calls functions when its last thread has been reported as gone, while its files are
closed; procfs may show it then, as one that nobody would take out of the table any more. So the
last images that ended are kept here. And there are processes whose image the kernel side did not
report, since the export filters drop them: procfs tells of those, for as long as it is theirs.
"""

from __future__ import annotations

import os
from collections import OrderedDict
from typing import Optional, Tuple

from tetrapy.events.process import Process
from tetrapy.process.budget import weight
from tetrapy.process.procfs import TICK_NS, read_process
from tetrapy.process.shared_store import SharedStore
from tetrapy.process.tracker import ProcessTracker

_ENDED = 256  # images that are kept
_MAX_BYTES = 1 << 20  # of all of them
_UNREPORTED = 256

_Key = Tuple[int, int]  # pid, start
_Caller = Tuple[Process, Optional[Process]]  # and its parent


class EndedImages:
    """The images of the processes that ended last, with their parents."""

    def __init__(self) -> None:
        self._images: SharedStore[_Key, _Caller] = SharedStore(_ENDED, _MAX_BYTES)

    def __len__(self) -> int:
        return len(self._images)

    def keep(self, process: Process) -> None:
        """A process has ended."""
        key, caller = (process.pid, process.start), (process, process.parent)
        self._images.put(key, caller, weight(process), process.account)

    def find(self, pid: int, start: int) -> Optional[_Caller]:
        """None when it is not known any more."""
        found = self._images.get((pid, start))
        if found is None:  # procfs tells starts less exactly
            found = self._images.get((pid, start - start % TICK_NS))
        return found


class Callers:
    """Finds processes for records of calls; it never puts one into the table that has ended."""

    def __init__(self, tracker: ProcessTracker) -> None:
        """From now on the tracker keeps the images that end."""
        self._tracker = tracker
        self._table = tracker.table
        self._ended = tracker.ended = EndedImages()
        self._unreported: OrderedDict[_Key, Tuple[Process, str]] = OrderedDict()  # and exe

    def find(self, pid: int, start: int, is_unreported: bool = False) -> _Caller:
        """The process that was forked at `start`, as events show it, and its parent.

        `is_unreported`: it runs another image than the table knows, if that knows one.
        """
        process = None if is_unreported else self._table.find(pid, start)
        if process is None:
            process, parent = self._find_elsewhere(pid, start, is_unreported)
        else:
            parent = process.parent
        if not process.start_time:
            self._tracker.shown(process)
        if parent is not None and not parent.start_time:
            self._tracker.shown(parent)
        return process, parent

    def ancestors(self, parent: Optional[Process]) -> Tuple[Process, ...]:
        """Those beyond the parent, as events show them."""
        return self._tracker.ancestors(parent)

    def _find_elsewhere(self, pid: int, start: int, is_unreported: bool) -> _Caller:
        table = self._table
        if not pid:  # the idle threads of all CPUs
            return table.kernel, table.kernel
        ended = self._ended.find(pid, start)
        if ended is not None:
            return ended
        process: Optional[Process] = None
        if is_unreported:
            process = self._read(pid, start)
        elif not self._tracker.has_ended(pid, start):
            process = table.find_or_read(pid, start)
        if process is None:
            process = table.unknown(pid, start)
        return process, process.parent

    def _read(self, pid: int, start: int) -> Optional[Process]:
        """What procfs shows; what it showed before if the same file is executed still."""
        key = pid, start
        try:
            exe = os.readlink(f"{self._table.procfs}/{pid}/exe")
        except OSError:
            exe = ""
        known = self._unreported.get(key)
        if known is not None and known[1] == exe:
            return known[0]
        seen = read_process(self._table.procfs, pid)
        if seen is None or seen.start != start - start % TICK_NS:
            return None
        process = self._table.image(*self._table.believed([seen]))
        process.start = start
        self._unreported[key] = process, exe
        if len(self._unreported) > _UNREPORTED:
            self._unreported.popitem(last=False)
        return process
