# SPDX-License-Identifier: Apache-2.0
"""The sensor: messages of the process connector, and a look at each process that executed."""

from __future__ import annotations

import os
import select
import time
from typing import Dict, List, Optional, Set, Tuple

from tetrapy.config.settings import Settings
from tetrapy.errors import FormatError
from tetrapy.kernel.clock import WallClock
from tetrapy.kernel.connector import ProcessConnector, provoke_event, provoke_event_on_each_cpu
from tetrapy.process.details import Details, Wanted
from tetrapy.process.procfs import reads_of
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.connector.dispatch import ConnectorDispatcher
from tetrapy.sensors.connector.messages import Exec, Exit, Fork, Gap, Record, parse
from tetrapy.sensors.connector.snapshot import MAX_LENGTH, Snapshot, take_snapshot
from tetrapy.sensors.connector.tracker import ConnectorTracker
from tetrapy.sensors.source import EventSource

_BUFFER_PER_CPU, _MIN_BUFFER, _MAX_BUFFER = 1 << 20, 4 << 20, 16 << 20  # bytes
_WRAP = 1 << 32  # messages are numbered with 32 bits

BLIND = (
    "a program that ends within about a millisecond may be reported without path and arguments",
    "the path of a binary has no symbolic links, and that of a script is its interpreter's",
    "arguments, directory and user are those of a moment after the exec",
    "a process forked with CLONE_PARENT counts as forked by its parent",
)
# Bytes of arguments and variables that are read whole for one batch, and what is read of each
# process behind them.
_WHOLE, _SHORT = 4 << 20, 4096
PRIORITY = -20  # nice(2); a look that comes late sees nothing


class ConnectorSource(EventSource):
    """The socket, what came out of it, and what is known to be lost."""

    name = "connector"
    blind = BLIND

    def __init__(
        self,
        procfs: str,
        buffer_bytes: int,
        environment: bool = False,
        priority: int = PRIORITY,
    ) -> None:
        """Open the socket; `attach` starts the flow of records.

        `procfs` is empty when there is none to be trusted: no process is looked at then. A look
        includes variables of the `environment` if they are asked for. While attached, the calling
        thread has this `priority`. Raises KernelError, which names what is missing.
        """
        self._procfs = procfs
        self._environment = environment
        self._priority = priority
        self._connector = ProcessConnector(buffer_bytes)
        self._waiting: List[bytes] = []  # messages that came while the flow was started
        self._next: Dict[int, int] = {}  # CPU -> number of its next message
        self._lost = 0
        self._overruns = 0  # those whose losses are known, or will be with the next messages
        self._silences = 0
        self._room = 0  # of the bytes that one batch may read whole
        self._more = False
        self._attached = False
        self._heard = False  # a message since the last look at the clocks
        self._provoked = False  # one was provoked then
        self.errors = 0  # messages that made no sense
        self.missed = 0  # of them, those whose image could not be read any more

    @property
    def buffer_bytes(self) -> int:
        """The size of the socket's buffer."""
        return self._connector.buffer_bytes

    def losses(self) -> Dict[str, int]:
        """`socket`: messages that did not fit; `silence`: times that none came any more.

        How many were lost in an overrun is known when the next message of the same CPU comes.
        """
        return {"socket": max(self._lost, self._connector.overruns), "silence": self._silences}

    @property
    def lost_in_socket(self) -> int:
        """All of them: there is no other place to lose messages in."""
        return sum(self.losses().values())

    def attach(self) -> None:
        """Start the flow of records. Raises KernelError when the kernel does not tell anything."""
        self._waiting = self._connector.listen()
        self._priority = _exchange_priority(self._priority)
        self._attached = self._heard = True

    def detach(self) -> None:
        """Stop the flow of records; those on their way can still be drained."""
        self._attached = False
        self._learn_losses()
        self._priority = _exchange_priority(self._priority)
        self._connector.request(listen=False)

    def register(self, epoll: select.epoll) -> None:
        """Have `epoll` woken when messages wait."""
        epoll.register(self._connector.fd, select.EPOLLIN)

    def ask_for_wakeup(self) -> bool:
        """Each message wakes the reader anyway."""
        return True

    def handler(
        self,
        table: ProcessTable,
        clock: WallClock,
        details: Optional[Details],
    ) -> ConnectorDispatcher:
        """Who makes events of the records."""
        tracker = ConnectorTracker(table, clock, self._procfs, details)
        return ConnectorDispatcher(tracker, self)

    def check_flow(self) -> None:
        """See to it that messages still come; call it now and then.

        Before Linux 6.6 any privileged listener can stop the flow for all others, unnoticed.
        """
        if not self._attached:
            return
        self._learn_losses()
        if not self._heard:
            if self._provoked:
                self._silences += 1
                self._connector.request(listen=True)
            self._provoked = provoke_event()
        self._heard = False

    def _learn_losses(self) -> None:
        """After an overrun, have each CPU send a message: its number tells what was lost before."""
        if self._overruns != self._connector.overruns:
            self._overruns = self._connector.overruns
            provoke_event_on_each_cpu()

    def drain(self, limit: int, everything: bool = False) -> List[Record]:
        """At most `limit` messages as records, in order, those of execs with what was seen.

        A look takes longer than a message, so all that waits is read first: of a process that has
        ended or executed again meanwhile, procfs would show what was not there at the exec.
        """
        records: List[Record] = []
        self._more = False
        looked: Dict[int, Tuple[int, int]] = {}  # pid -> its record, the time of the look
        taken = 0
        self._room = _WHOLE
        while taken < limit:
            messages, self._waiting = self._waiting or self._receive(limit - taken), []
            if not messages:
                break
            taken += len(messages)
            begin = len(records)
            for message in messages:
                self._read(message, records)
            self._complete(records, begin, looked)
        self._more = taken >= limit
        return records

    @property
    def more(self) -> bool:
        """Whether the last batch was as large as it may be, so that more may wait."""
        return self._more

    def _receive(self, limit: int) -> List[bytes]:
        messages = self._connector.receive(limit)
        if messages:
            self._heard, self._provoked = True, False
        return messages

    def _read(self, data: bytes, records: List[Record]) -> None:
        try:
            cpu, number, record = parse(data)
        except FormatError:
            self.errors += 1
            return
        expected = self._next.get(cpu, number)
        gap = (number - expected) % _WRAP
        if gap >= _WRAP // 2:  # an old number; the kernel does not do that
            self.errors += 1
            return
        if gap:
            self._lost += gap
            records.append(Gap(gap))
        self._next[cpu] = (number + 1) % _WRAP
        if record is not None:
            records.append(record)

    def _complete(
        self, records: List[Record], begin: int, looked: Dict[int, Tuple[int, int]]
    ) -> None:
        """Look at what executed, the latest first: the earlier ones may be gone already."""
        for index in range(begin, len(records)):
            record = records[index]
            if isinstance(record, Exec) and record.pid in looked:
                self._doubt(records, *looked.pop(record.pid), record.time)
        ended: Set[int] = set()
        replaced: Set[int] = set()
        # pid -> its record, and whether there is an image yet; in the order of the looks.
        asked: Dict[int, Tuple[int, bool]] = {}
        for index in range(len(records) - 1, begin - 1, -1):
            record = records[index]
            if isinstance(record, Exit) and record.tid == record.pid:
                ended.add(record.pid)
            elif isinstance(record, Fork):
                replaced.add(record.tid)  # what was there before is gone
            elif isinstance(record, Exec):
                pid = record.pid
                if self._procfs and pid not in replaced:
                    asked[pid] = (index, pid not in ended)
                elif record.seen is None:
                    self.missed += 1
                replaced.add(pid)
        self._look(records, asked, looked)

    def _look(
        self,
        records: List[Record],
        asked: Dict[int, Tuple[int, bool]],
        looked: Dict[int, Tuple[int, int]],
    ) -> None:
        """Add to records of execs what is seen of their pids."""

        def read(pid: int, may_wait: bool) -> Tuple[int, Optional[Snapshot]]:
            _, image = asked[pid]
            longest = MAX_LENGTH if self._room > 0 else _SHORT
            seen = take_snapshot(self._procfs, pid, image, self._environment, longest, may_wait)
            if seen is not None:
                self._room -= len(seen.command_line) + len(seen.environment)
            return time.clock_gettime_ns(time.CLOCK_MONOTONIC), seen

        pids = list(asked)
        for pid, (at, seen) in zip(pids, reads_of(self._procfs).each(pids, read)):
            index, _ = asked[pid]
            record = records[index]
            assert isinstance(record, Exec)
            records[index] = record._replace(seen=seen)
            looked[pid] = (index, at)
            if seen is None or not seen.has_image:
                self.missed += 1

    def _doubt(self, records: List[Record], index: int, file_check: int, executed_at: int) -> None:
        """Drop what was seen of an exec when the process may have executed again before it."""
        former = records[index]
        if file_check < executed_at or not isinstance(former, Exec) or former.seen is None:
            return
        records[index] = former._replace(seen=None)
        if former.seen.has_image:
            self.missed += 1

    def close(self) -> None:
        """Close the socket."""
        self._connector.close()


def open_sensor(settings: Settings, wanted: Wanted, procfs: str) -> ConnectorSource:
    """The sensor that the settings ask for, not yet attached.

    Raises KernelError, which names what is missing, or BundleError without pyroute2.
    """
    cpus = os.cpu_count() or 1
    chosen = min(max(cpus * _BUFFER_PER_CPU, _MIN_BUFFER), _MAX_BUFFER)
    size = settings.rb_size_total or settings.rb_size * cpus or chosen
    return ConnectorSource(procfs, size, wanted.environment)


def _exchange_priority(priority: int) -> int:
    """Give it to this thread; returns the former one, or the same where that is not permitted."""
    former = os.getpriority(os.PRIO_PROCESS, 0)
    try:
        os.setpriority(os.PRIO_PROCESS, 0, priority)
    except OSError:
        return priority
    return former
