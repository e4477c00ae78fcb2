# SPDX-License-Identifier: Apache-2.0
"""What the kernel side tells of forks, execs and exits, and when: bpf/process.h, said in Python."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.support.records import Task, execute, exit_of, fork

KERNEL = Task(0)


def nothing(_path: bytes, _parent: bytes | None) -> bool:
    """All is wanted."""
    return False


@dataclass
class Entry:
    """struct process."""

    task: Task
    ktime: int  # of the fork; of the exec when the image is suppressed
    creator: Task
    parent: Task  # when it was forked
    inner_pid: int
    forked: bool = True  # no exec since
    deferred: bool = True
    suppressed: bool = False
    first: bool = False  # the image that is suppressed is the first since the fork
    deferred_children: int = 0
    path: bytes | None = None  # of the latest exec whose binary the maps know


class KernelSide:
    """Makes the records that the programs would make.

    `is_unwanted` gets the path of an exec and that of its parent, None when it is not known.
    """

    def __init__(
        self,
        at_once: bool = False,
        is_unwanted: Callable[[bytes, bytes | None], bool] = nothing,
    ) -> None:
        self.at_once = at_once
        self.is_unwanted = is_unwanted
        self.processes: dict[int, Entry] = {}

    def find(self, task: Task) -> Entry | None:
        entry = self.processes.get(task.pid)
        return entry if entry is not None and entry.task == task else None

    def fork(
        self,
        child: Task,
        creator: Task,
        creators_parent: Task,
        parent: Task,
        at: int,
        inner: int = 0,
    ) -> list[bytes]:
        """`creators_parent` is that of the moment; `parent` differs with CLONE_PARENT."""
        records = []
        forker = self.find(creator)
        if forker is None:  # older than the programs
            forker = Entry(creator, 0, KERNEL, KERNEL, 0, forked=False, deferred=False)
            self.processes[creator.pid] = forker
        if forker.deferred:
            records.append(self._fork(forker))
            self._reported(forker)
        is_deferred = not self.at_once and (parent == creator or forker.suppressed)
        entry = Entry(child, at, creator, parent, inner, deferred=is_deferred)
        self.processes[child.pid] = entry
        if is_deferred:
            forker.deferred_children += 1
        else:
            records.append(self._fork(entry))
        if forker.suppressed:
            records.append(self._late(forker, creators_parent))
        return records

    def _reported(self, entry: Entry) -> None:
        """A process that was deferred is no longer."""
        entry.deferred = False
        creator = self.find(entry.creator)
        if creator is not None:
            creator.deferred_children -= 1

    def execute(
        self, task: Task, parent: Task, path: bytes, at: int, inner: int = 0
    ) -> list[bytes]:
        """`parent` is that of the moment."""
        entry = self.find(task)
        if entry is None:
            entry = Entry(task, at, parent, parent, inner, forked=False, deferred=False)
            self.processes[task.pid] = entry
            return [execute(task, parent, path, at=at, inner_pid=inner)]
        unwanted = self.is_unwanted(path, self._parents_path(entry, parent))
        if unwanted and (entry.deferred or entry.suppressed):
            if entry.deferred:
                self._reported(entry)
            entry.first, entry.forked = entry.forked, False
            entry.suppressed, entry.path, entry.ktime = True, path, at
            return []
        records = []
        if entry.suppressed:
            records.append(self._late(entry, parent))
        fork_parent = entry.parent if entry.forked else None
        if entry.deferred:
            self._reported(entry)
        entry.forked = entry.first = False
        entry.path = path
        last = execute(
            task,
            parent,
            path,
            fork_parent=fork_parent,
            at=at,
            inner_pid=inner,
            deferred_children=entry.deferred_children,
        )
        return [*records, last]

    def exit(self, task: Task, at: int) -> list[bytes]:
        entry = self.find(task)
        records = []
        deferred = 0
        if entry is not None:
            del self.processes[task.pid]
            if entry.suppressed:
                return []
            if entry.deferred:
                records.append(self._fork(entry))
                self._reported(entry)
            deferred = entry.deferred_children
        return [*records, exit_of(task, at=at, deferred_children=deferred)]

    def _parents_path(self, entry: Entry, parent: Task) -> bytes | None:
        if not entry.forked:
            return entry.path  # without a fork the image that is replaced is the parent
        found = self.find(parent)
        return None if found is None else found.path

    def _fork(self, entry: Entry) -> bytes:
        return fork(entry.task, entry.creator, entry.parent, entry.ktime, entry.inner_pid)

    def _late(self, entry: Entry, parent: Task) -> bytes:
        assert entry.path is not None
        entry.suppressed = False
        return execute(
            entry.task,
            parent,
            entry.path,
            at=entry.ktime,
            inner_pid=entry.inner_pid,
            fork_parent=entry.parent if entry.first else None,
            flags=["EXEC_SUPPRESSED"],
        )
