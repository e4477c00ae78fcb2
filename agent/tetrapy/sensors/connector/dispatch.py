# SPDX-License-Identifier: Apache-2.0
"""Records of the process connector -> events, in their order."""

from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Protocol, Set, Tuple

from tetrapy.events.event import Event
from tetrapy.events.process import Process
from tetrapy.events.text import command_line_text, to_text
from tetrapy.kernel.clock import monotonic_gap_ns
from tetrapy.process.procfs import TICK_NS
from tetrapy.process.seed import Executed, Touched
from tetrapy.sensors.connector.messages import Exec, Exit, Fork, Gap, Name, Owner, Record
from tetrapy.sensors.connector.tracker import ConnectorTracker


class Flow(Protocol):
    """What a dispatcher asks of the sensor whose records it is given."""

    errors: int  # messages that made no sense; they become no records

    def check_flow(self) -> None:
        """See to it that messages still come."""


class ConnectorDispatcher:
    """Gives each record to the tracker, with its time turned into ns since boot."""

    dispatcher = None  # messages are not distinguished by kinds
    reassembly = None  # arguments do not come ahead of their exec

    def __init__(self, tracker: ConnectorTracker, sensor: Flow) -> None:
        self._tracker = tracker
        self._sensor = sensor
        self.clock_gap = monotonic_gap_ns()  # that record times lack: time spent suspended

    @property
    def starting(self) -> bool:
        """Whether records are handled that came before procfs was read."""
        return self._tracker.starting

    @starting.setter
    def starting(self, yes: bool) -> None:
        self._tracker.starting = yes

    @property
    def errors(self) -> int:
        """Messages that made no sense."""
        return self._sensor.errors

    def seed_event(self, process: Process) -> Event:
        """What is reported of a process that was there before."""
        return self._tracker.on_seed(process)

    def seeded(self, processes: Iterable[Process]) -> None:
        """Nothing changes when the table is filled."""

    def forget_filters(self) -> None:
        """Nothing was filtered before user space."""

    def refresh_clock(self) -> None:
        """Measure the distance between the clocks again; see to the flow of messages, too."""
        self.clock_gap = monotonic_gap_ns()
        self._sensor.check_flow()

    def tick(self, now: int) -> List[Event]:
        """Nothing is reported because time has passed."""
        return []

    def ended(self) -> List[Event]:
        """Nothing waits for a record."""
        return []

    def events(self, records: List[Record]) -> List[Event]:
        """The events that a batch of records makes."""
        events: List[Event] = []
        for record in records:
            event = self._event(record)
            if event is not None:
                events.append(event)
        return events

    def _event(self, record: Record) -> Optional[Event]:
        tracker = self._tracker
        if isinstance(record, Gap):
            tracker.on_gap()
            return None
        if self.clock_gap:
            record = record._replace(time=record.time + self.clock_gap)
        if isinstance(record, Fork):
            tracker.on_fork(record)
        elif isinstance(record, Exec):
            return tracker.on_exec(record)
        elif isinstance(record, Exit):
            return tracker.on_exit(record)
        elif isinstance(record, Owner):
            tracker.on_owner(record)
        elif isinstance(record, Name):
            tracker.on_name(record)
        return None

    def touched(self, records: List[Record]) -> Touched:
        """Which processes forked or executed, according to `records`."""
        forked: Set[Tuple[int, int]] = set()
        executed: Dict[int, Executed] = {}
        for record in records:
            if isinstance(record, Fork) and record.tid == record.pid:
                # The connector tells of a fork a moment after the start that procfs shows.
                tick = (record.time + self.clock_gap) // TICK_NS
                forked.update(((record.pid, tick), (record.pid, tick - 1)))
            elif isinstance(record, Exec):
                seen = record.seen
                path, arguments = "", ""
                if seen is not None:
                    path = to_text(seen.exe)
                    arguments = command_line_text(seen.command_line)
                at = record.time + self.clock_gap
                executed.setdefault(record.pid, Executed(at, path, arguments))
        return Touched(forked, executed)
