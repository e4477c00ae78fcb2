# SPDX-License-Identifier: Apache-2.0
"""The process table: the image that every live process runs."""

from __future__ import annotations

import os
from functools import partial
from typing import (
    Callable,
    Collection,
    Dict,
    FrozenSet,
    Iterable,
    Iterator,
    List,
    Optional,
    Tuple,
)

from tetrapy.containers.cgroup import ContainerRef
from tetrapy.events import flags
from tetrapy.events.account import HELPERS, ROOT, account_of
from tetrapy.events.container import OUTSIDE, Membership
from tetrapy.events.cut import REPEATED, repeated
from tetrapy.events.executed import UNREPORTED
from tetrapy.events.process import DetailedProcess, Process, UnknownProcess, make_exec_id
from tetrapy.process import budget
from tetrapy.process.details import Details
from tetrapy.process.procfs import TICK_NS, ProcfsProcess, read_process

_KERNEL_KTIME = 1  # ns; the time that Tetragon gives to the process it calls <kernel>

ANCESTORS = 128  # that are reported, and kept, of a process
_FIRST_PIDS = 2  # init and kthreadd: nothing is reported beyond them

_LINE_LIMIT = 64  # parents that are read in a row

CAPACITY = 65536  # processes, unless the settings say otherwise


class ProcessTable:
    """Live processes by pid. A pid alone does not tell a process: its start time does.

    A process that is gone lives on as long as something refers to it, so that its children can
    still show it; its own parent is cut off then, or a chain of execs would grow without end.
    With `ancestors` it keeps its parent, up to ANCESTORS of them.

    There are never more than `capacity` processes: of the account that has most the one that came
    first gives way, and is read from procfs when it is asked for again. All images together, those
    that only children refer to included, take at most about `max_bytes`: kept JSON gives way first,
    then long texts are cut, then processes go.
    """

    def __init__(
        self,
        node: str,
        procfs: str,
        capacity: int = CAPACITY,
        details: Optional[Details] = None,
        ancestors: bool = False,
        max_bytes: int = budget.LIMIT,
    ) -> None:
        self._node = node.encode()
        self.procfs = procfs
        self._details = details
        self._live: Dict[int, Process] = {}
        self._suspects: Dict[int, Process] = {}
        # An image that is not in the table yet: pid, start, ktime.
        self.new: Callable[[int, int, int], Process] = partial(
            Process if details is None else DetailedProcess, self._node
        )
        # The live image of a pid, whenever it was forked.
        self.at: Callable[[int], Optional[Process]] = self._live.get
        self.keeps_ancestors = ancestors
        self.with_files = True  # whether events tell of the files that are executed
        # Those of these processes, or more, that may never have executed the file that procfs
        # shows; who can ask the kernel puts itself here.
        self.doubtful: Callable[[FrozenSet[int]], Collection[int]] = lambda _: ()
        # What is known of a container; who asks runtimes puts itself here.
        self.containers: Callable[[ContainerRef], Membership] = lambda _: OUTSIDE
        self.capacity = max(capacity, 2)
        self.evictions = 0
        self._leaving: List[Process] = []  # who gives way next, the first at the end
        self.cuts = 0  # images whose texts were cut because all were too heavy
        self.bytes = 0  # that images took when they were last weighed
        self.max_bytes = max_bytes
        self._room = max_bytes // 8  # bytes that may come until they are weighed again
        self.misses = 0  # look-ups that found nothing, not even in procfs
        self.unknown_processes = 0  # of which nothing is known but what a record says
        self.kernel = self._make_kernel()
        self._live[0] = self.kernel

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Process]:
        return iter(self._live.values())

    def exec_id(self, pid: int, ktime: int) -> str:
        """The exec_id of an image that may not be in the table."""
        return make_exec_id(self._node, ktime, pid)

    def put(self, process: Process) -> Process:
        """Make `process` the image of its pid, in place of the one there.

        Returns the image that the table has: `process`, or a copy with shorter texts.
        """
        process = repeated(process)
        live = self._live
        self._room -= budget.FIXED + len(process.arguments) + len(process.binary) + len(process.cwd)
        if process.environment:
            self._room -= REPEATED
        if self._room < 0:
            self._weigh()
        former = live.get(process.pid)
        if former is not None:
            self.leave(former)
        elif len(live) >= self.capacity:
            self._evict()
        live[process.pid] = process
        return process

    def _weigh(self) -> None:
        total, cut = budget.lighten(budget.with_parents(self._live.values()), self.max_bytes)
        self.cuts += cut
        if total > self.max_bytes:
            gone = 1
            while gone and total > self.max_bytes * 7 // 8:
                gone = self._evict()
                total -= gone
        self.bytes = total
        # A character may take four bytes.
        self._room = max(self.max_bytes - total, self.max_bytes // 4) // 4

    def leave(self, process: Process) -> None:
        """A process is gone, or runs another image."""
        if self.keeps_ancestors:
            self._shorten(process)
        else:
            process.leave()

    def _shorten(self, process: Process) -> None:
        """Let go of the ancestors that are too far away, unless they are alive."""
        parent: Optional[Process] = process
        for _ in range(ANCESTORS + 1):  # and the parent
            if parent is None or parent.pid <= _FIRST_PIDS:
                return
            parent = parent.parent
        if parent is not None and self._live.get(parent.pid) is not parent:
            parent.leave()

    def ancestors(self, parent: Optional[Process]) -> Tuple[Process, ...]:
        """The ancestors beyond the `parent` that an event shows, up to the first process of the
        machine.
        """
        line: List[Process] = []
        one = parent
        while self.keeps_ancestors and one is not None and one.pid > _FIRST_PIDS:
            one = one.parent
            if one is None or not one.pid or len(line) == ANCESTORS:
                break
            line.append(one)
        return tuple(line)

    def _evict(self) -> int:
        """Take out a process of who has most; returns the bytes that it took."""
        for _ in range(2):
            while self._leaving:
                process = self._leaving.pop()
                if self._live.get(process.pid) is process:
                    del self._live[process.pid]
                    self.leave(process)
                    self.evictions += 1
                    return budget.weight(process)
            others = [process for process in self._live.values() if process.pid > _FIRST_PIDS]
            self._leaving = budget.leaving(others) if others else []
        return 0

    def find(self, pid: int, start: int) -> Optional[Process]:
        """The live image of the process that was forked at `start`."""
        process = self._live.get(pid)
        if process is None or process.start == start:
            return process
        if process.from_procfs and process.start == start - start % TICK_NS:
            return process
        return None

    def find_or_read(self, pid: int, start: int) -> Optional[Process]:
        """The process of a pid and start; one that the table misses is read from procfs, and so
        are its parents.
        """
        process = self.find(pid, start)
        if process is not None:
            return process
        seen = read_process(self.procfs, pid) if self.procfs else None
        if seen is None or seen.start != start - start % TICK_NS:
            self.misses += 1
            return None
        line = [seen]
        while seen is not None and seen.parent_pid not in self._live and len(line) < _LINE_LIMIT:
            seen = read_process(self.procfs, seen.parent_pid)
            if seen is not None:
                line.append(seen)
        for ancestor in self.believed(reversed(line)):
            process = self.from_procfs(ancestor)
        return process

    def pop(self, pid: int, start: int) -> Optional[Process]:
        """Take out the process that was forked at `start`; None when it is not there."""
        process = self.find(pid, start)
        if process is not None:
            del self._live[pid]
        return process

    def forget_gone(self) -> int:
        """Drop processes that procfs has not shown at two calls in a row; returns how many.

        Needed after a loss: their exit may be among what was lost. At the first call it may still
        wait in the buffer.
        """
        suspects, self._suspects = self._suspects, {}
        dropped = 0
        for pid, process in list(self._live.items()):
            if not pid or os.path.exists(f"{self.procfs}/{pid}"):
                continue
            if suspects.get(pid) is process:
                del self._live[pid]
                self.leave(process)
                dropped += 1
            else:
                self._suspects[pid] = process
        return dropped

    def unknown(self, pid: int, start: int) -> Process:
        """What is shown of a process that was never seen."""
        self.unknown_processes += 1
        return UnknownProcess(self._node, pid, start, start)

    def believed(self, seen: Iterable[ProcfsProcess]) -> List[ProcfsProcess]:
        """What procfs has shown of processes, without files that they may never have executed."""
        processes = list(seen)
        doubtful = self.doubtful(frozenset(process.pid for process in processes))
        return [
            process._replace(file=UNREPORTED) if process.pid in doubtful else process
            for process in processes
        ]

    def from_procfs(self, seen: ProcfsProcess) -> Process:
        """The image that procfs shows, put into the table under the parent found there."""
        return self.put(self.image(seen))

    def image(self, seen: ProcfsProcess) -> Process:
        """The image that procfs shows, under the parent in the table."""
        process = self.new(seen.pid, seen.start, seen.start)
        process.from_procfs = True
        process.uid = seen.uid
        process.auid = seen.auid
        process.cwd = seen.cwd
        process.binary = seen.binary
        process.arguments = seen.arguments
        process.flags = seen.flags
        process.docker = seen.docker
        if seen.container is not None:
            process.container = self.containers(seen.container)
        if seen.file is not None:
            process.executed = seen.file.of(seen.binary, seen.docker, self.with_files)
        parent = self._live.get(seen.parent_pid, self.kernel)
        if seen.inner_pid == 1 or parent.in_init_tree:
            process.in_init_tree = True
            process.flags |= flags.IN_INIT_TREE
        process.parent = parent
        process.account = (
            HELPERS if seen.is_kernel_thread else account_of(seen.real_uid, seen.outermost, parent)
        )
        if self._details is not None and not seen.is_kernel_thread:
            self._details.of_procfs(process, self.procfs)
        return process

    def _make_kernel(self) -> Process:
        kernel = Process(self._node, 0, 0, _KERNEL_KTIME)
        kernel.from_procfs = True
        kernel.uid = 0
        kernel.account = ROOT
        kernel.binary = "<kernel>"
        kernel.flags = flags.PROCFS
        kernel.parent_exec_id = kernel.exec_id
        kernel.parent = kernel
        return kernel
