# SPDX-License-Identifier: Apache-2.0
"""Records of the process connector and looks at procfs -> process table and events.

The rules are those of process/tracker.py. Such events have the flag `procFS`, and `miss` where
something could not be read.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Optional, Tuple

from tetrapy.events import encoders, flags
from tetrapy.events.account import account_of
from tetrapy.events.exec import ProcessExec
from tetrapy.events.executed import UNREPORTED
from tetrapy.events.exit import ProcessExit
from tetrapy.events.process import DetailedProcess, Process, UnknownProcess
from tetrapy.events.text import command_line_text, to_text
from tetrapy.kernel.clock import WallClock
from tetrapy.process.details import Details
from tetrapy.process.inherit import inherit
from tetrapy.process.procfs import TICK_NS
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.connector.messages import Exec, Exit, Fork, Name, Owner
from tetrapy.sensors.connector.pids import Pids
from tetrapy.sensors.connector.snapshot import Snapshot, take_snapshot
from tetrapy.sensors.connector.threads import Threads

_RECENT_EXITS = 256
_NO_IMAGE = flags.MISS | flags.ERROR_FILENAME | flags.ERROR_ARGS


class ConnectorTracker:
    """Keeps the process table in step with what the connector tells. Times are ns since boot."""

    def __init__(
        self,
        table: ProcessTable,
        clock: WallClock,
        procfs: str,
        details: Optional[Details] = None,
    ) -> None:
        """`procfs` is empty when there is none to be trusted."""
        self._table = table
        self._pids = Pids(table, procfs)
        self._details = details
        self._clock = clock
        self._procfs = procfs
        self._threads = Threads(procfs)
        self._recent_exits: OrderedDict[int, None] = OrderedDict()
        self.starting = False  # while records are handled that came before procfs was read

    def on_fork(self, record: Fork) -> None:
        """A new thread; one of a new process runs its parent's image. It makes no event."""
        pid = record.pid
        if record.tid != pid:
            self._threads.add(pid, record.tid)
            return
        self._threads.begin(pid)
        self._recent_exits.pop(pid, None)
        table = self._table
        present = self._pids.at(pid)
        if present is not None and _is_same(present, record.time):
            return  # procfs showed it first
        parent = self._pids.at_or_read(record.parent)
        process = table.new(pid, record.time, record.time)
        process.flags = flags.EXECVE | flags.PROCFS
        if parent is None:
            process.flags |= _NO_IMAGE
        else:
            inherit(process, parent, image=True)
            process.in_init_tree = parent.in_init_tree
            process.flags |= parent.flags & (_NO_IMAGE | flags.IN_INIT_TREE)
        process.refcnt = 1
        process.parent = parent
        table.put(process)

    def on_exec(self, record: Exec) -> ProcessExec:
        """A new image: what was seen of it, and of the rest what was known before."""
        table, pid, seen = self._table, record.pid, record.seen
        if seen is not None and seen.start > record.time:
            seen = None  # the pid has a new owner
        self._threads.begin(pid)  # an exec ends all other threads
        self._recent_exits.pop(pid, None)
        former = self._pids.at(pid)
        parent = self._parent_of_exec(former, seen)
        process = table.new(pid, record.time, record.time)
        if former is not None:
            process.start, process.from_procfs = former.start, former.from_procfs
            inherit(process, former, image=False)
            process.in_init_tree = former.in_init_tree
        elif seen is not None:
            process.start, process.from_procfs = seen.start, True
        process.flags = flags.EXECVE | flags.PROCFS | self._show(process, seen)
        if former is not None and former.refcnt:
            process.flags |= flags.CLONE
        heir_of = parent if former is None else former
        if (seen is not None and seen.inner_pid == 1) or (heir_of and heir_of.in_init_tree):
            process.in_init_tree = True
            process.flags |= flags.IN_INIT_TREE
        process.parent = parent
        if seen is not None:
            process.account = account_of(seen.real_uid, seen.outermost, parent)
        if self._details is not None:
            root = self._procfs if seen is not None and seen.has_image else ""
            self._details.of_procfs(process, root, b"" if seen is None else seen.environment)
        table.put(process)
        return self._exec_event(process)

    def _parent_of_exec(
        self, former: Optional[Process], seen: Optional[Snapshot]
    ) -> Optional[Process]:
        """Who started the image: its parent, or without a fork the image it replaced."""
        if former is not None and not former.refcnt:
            return former
        parent = None if former is None else former.parent
        # A look comes later than the exec, so what was known before is better while it lives.
        if parent is None or self._pids.at(parent.pid) is not parent:
            reported = None if seen is None else self._pids.at_or_read(seen.parent_pid)
            parent = reported or parent
        return parent

    def on_exit(self, record: Exit) -> Optional[ProcessExit]:
        """The end of a thread; None unless it is the end of the process."""
        pid = record.pid
        if not self._threads.end(pid, record.tid):
            return None
        process = self._pids.take(pid)
        if process is None:
            if self.starting or pid in self._recent_exits:
                return None
            process = self._unknown(record)
        self._recent_exits[pid] = None
        if len(self._recent_exits) > _RECENT_EXITS:
            self._recent_exits.popitem(last=False)
        parent = process.parent
        event = ProcessExit(
            self._shown(process),
            None if parent is None else self._shown(parent),
            record.code,
            self._clock.at(record.time),
            self._ancestors(parent),
        )
        self._table.leave(process)
        return event

    def _unknown(self, record: Exit) -> Process:
        """What can be said of a process whose beginning was lost."""
        seen = take_snapshot(self._procfs, record.pid, image=False) if self._procfs else None
        if seen is None or seen.start > record.time:
            self._table.unknown_processes += 1
            return UnseenProcess(b"", record.pid, 0, 0)
        process = self._table.new(record.pid, seen.start, seen.start)
        process.flags = flags.EXECVE | flags.PROCFS | self._show(process, seen)
        process.parent = self._pids.at_or_read(seen.parent_pid)
        process.account = account_of(seen.real_uid, seen.outermost, process.parent)
        return process

    def on_owner(self, record: Owner) -> None:
        """A process got another user: events from now on show it."""
        process = self._pids.at(record.pid)
        if process is None or record.tid != record.pid:
            return
        container = process.account.container
        process.account = account_of(record.real_uid, container, process.parent)
        if process.uid != record.uid:
            process.uid = record.uid
            if isinstance(process, DetailedProcess):
                process.user = ""  # its name is not known, and that of the former one is wrong
            process.forget_json()

    def on_name(self, record: Name) -> None:
        """A thread got another name, which stands for a binary that could not be read."""
        process = self._pids.at(record.pid)
        if process is None or record.tid != record.pid:
            return
        if process.flags & flags.ERROR_FILENAME and record.comm:
            process.binary = to_text(record.comm)
            process.forget_json()

    def on_gap(self) -> None:
        """Messages were lost: from now on procfs is asked which threads there are."""
        self._threads.forget()

    def on_seed(self, process: Process) -> ProcessExec:
        """A process of the table that was there before the agent."""
        self._threads.count(process.pid)
        return self._exec_event(process)

    def _show(self, process: Process, seen: Optional[Snapshot]) -> int:
        """Give to `process` what was seen of it; returns the flags that say how much that was."""
        bits = 0
        cwd = b"" if seen is None else seen.cwd
        if cwd:
            process.cwd = to_text(cwd)
        if process.cwd == "/":
            bits |= flags.ROOT_CWD
        elif not process.cwd:
            bits |= flags.ROOT_CWD | flags.ERROR_CWD
        if seen is None:
            process.executed = UNREPORTED
            return bits | _NO_IMAGE
        if seen.container is not None:
            process.docker = seen.container.docker
            process.container = self._table.containers(seen.container)
        process.uid = seen.uid
        process.auid = seen.auid
        if not seen.has_image:
            # The name of a process that has ended is the start of its binary's.
            process.binary = to_text(seen.comm)
            process.executed = UNREPORTED
            return bits | _NO_IMAGE
        process.binary = to_text(seen.exe or seen.command_line.split(b"\0", 1)[0])
        file = seen.file if seen.exe else UNREPORTED
        if file is not None:
            process.executed = file.of(process.binary, process.docker, self._table.with_files)
        process.arguments = command_line_text(seen.command_line)
        if not seen.exe:
            bits |= flags.MISS | flags.ERROR_FILENAME
        if not seen.command_line:
            bits |= flags.MISS | flags.ERROR_ARGS
        if not cwd:
            bits |= flags.MISS
        if seen.truncated:
            bits |= flags.TRUNC_ARGS
        if not seen.answered and self._details is not None and self._details.environment:
            bits |= flags.ERROR_ENVS
        return bits

    def _exec_event(self, process: Process) -> ProcessExec:
        parent = process.parent
        shown = None if parent is None else self._shown(parent)
        return ProcessExec(self._shown(process), shown, self._ancestors(parent))

    def _ancestors(self, parent: Optional[Process]) -> Tuple[Process, ...]:
        ancestors = self._table.ancestors(parent)
        for ancestor in ancestors:
            self._shown(ancestor)
        return ancestors

    def _shown(self, process: Process) -> Process:
        """`process`, with what is only filled in when an event shows it."""
        if not process.start_time:
            process.start_time = self._clock.at(process.ktime)
        if not process.parent_exec_id:
            parent = process.parent
            process.parent_exec_id = (self._table.kernel if parent is None else parent).exec_id
        return process


class UnseenProcess(UnknownProcess):
    """A process of which nothing but the pid is known."""

    __slots__ = ()

    encoded = encoders.unseen_process


def _is_same(process: Process, fork_time: int) -> bool:
    """Whether procfs showed the process that was forked at `fork_time`.

    Its start is taken a moment before the connector tells of it.
    """
    return process.from_procfs and -TICK_NS <= fork_time - process.start < 2 * TICK_NS
