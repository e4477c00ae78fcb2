# SPDX-License-Identifier: Apache-2.0
"""Messages of the process connector, real and made, and a stage for what is made of them."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.paths import DATA
from tests.support.procfs import FakeProcfs
from tests.support.records import wall_clock
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.process.details import Details, Wanted
from tetrapy.process.seed import fill, read_all
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.connector.dispatch import ConnectorDispatcher
from tetrapy.sensors.connector.messages import Exec, Exit, Fork, Name, Owner, Record
from tetrapy.sensors.connector.pids import Pids
from tetrapy.sensors.connector.snapshot import take_snapshot
from tetrapy.sensors.connector.tracker import ConnectorTracker

if TYPE_CHECKING:
    from tetrapy.events.event import Event

RECORDED = DATA / "connector.txt"
WHAT = {"none": 0, "fork": 1, "exec": 2, "uid": 4, "gid": 0x40, "comm": 0x200, "exit": 0x80000000}
SECOND = 1_000_000_000


def recorded() -> list[tuple[str, bytes]]:
    """Kind and bytes of each recorded message."""
    lines = RECORDED.read_text().splitlines()
    pairs = (line.split() for line in lines if not line.startswith("#"))
    return [(kind, bytes.fromhex(data)) for kind, data in pairs]


def message(
    what: str, *words: int, cpu: int = 0, number: int = 0, time: int = 0, idx: int = 1
) -> bytes:
    """A message as the kernel would send it."""
    body = struct.pack("=6I", *words, *[0] * (6 - len(words)))
    head = struct.pack("=IHHII IIIIHH", 76, 3, 0, number, 0, idx, 1, number, 0, 40, 0)
    return head + struct.pack("=IIQ", WHAT[what], cpu, time) + body


class NoFlow:
    """What a dispatcher asks of its sensor."""

    errors = 0

    def __init__(self) -> None:
        self.checked = 0

    def check_flow(self) -> None:
        self.checked += 1


class Stage:
    """A tracker over a procfs of files; times are seconds since boot."""

    def __init__(
        self, path: Path, wanted: Wanted | None = None, *, ancestors: bool = False
    ) -> None:
        self.procfs = FakeProcfs(path / "proc")
        self.root = str(self.procfs.root)
        details = None if wanted is None else Details(wanted, None, None)
        self.processes = ProcessTable("host1", self.root, details=details, ancestors=ancestors)
        self.table = Pids(self.processes, self.root)
        self.tracker = ConnectorTracker(self.processes, wall_clock(), self.root, details)
        self.dispatcher = ConnectorDispatcher(self.tracker, NoFlow())

    def seed(self) -> None:
        """Take what procfs shows now."""
        fill(self.processes, read_all(self.root)[0], self.dispatcher.touched([]))

    def __call__(self, *records: Record) -> list[Event]:
        """The events of these records."""
        return self.dispatcher.events(list(records))

    def fork(self, parent: int, pid: int, at: float = 2, tid: int = 0) -> None:
        assert self(Fork(pid, tid or pid, parent, int(at * SECOND))) == []

    def exec(self, pid: int, at: float = 3, *, image: bool = True) -> ProcessExec:
        """An exec of which is seen what procfs shows."""
        (event,) = self(Exec(pid, int(at * SECOND), take_snapshot(self.root, pid, image)))
        assert isinstance(event, ProcessExec)
        return event

    def exit(self, pid: int, code: int = 0, at: float = 4, tid: int = 0) -> ProcessExit | None:
        events: list[Any] = self(Exit(pid, tid or pid, code, int(at * SECOND)))
        assert len(events) <= 1
        return events[0] if events else None

    def owner(self, pid: int, uid: int, tid: int = 0) -> None:
        assert self(Owner(pid, tid or pid, uid, uid, 0)) == []

    def name(self, pid: int, comm: bytes, tid: int = 0) -> None:
        assert self(Name(pid, tid or pid, comm, 0)) == []
