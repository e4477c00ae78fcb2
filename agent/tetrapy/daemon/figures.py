# SPDX-License-Identifier: Apache-2.0
"""What metrics and health tell of a run: its parts in the shapes of metrics.sources."""

from __future__ import annotations

from typing import Dict, List, Mapping, Sequence

from tetrapy.daemon.loop import Loop
from tetrapy.export.subscription import Subscription
from tetrapy.export.target import SinkTarget
from tetrapy.filters.excess import excess
from tetrapy.metrics import zero
from tetrapy.metrics.records import LATENCY_BOUNDS
from tetrapy.named import NamedTuple
from tetrapy.process.details import Details
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.dispatch import Dispatcher
from tetrapy.sensors.histogram import Histogram
from tetrapy.sensors.owners import Owner
from tetrapy.sensors.pieces import Pieces
from tetrapy.sensors.source import EventSource, Handler


class MapUse(NamedTuple):
    """How full a BPF map is."""

    entries: int
    capacity: int
    update_errors: int
    delete_errors: int


class ProgramUse(NamedTuple):
    """What the kernel counts for a BPF program."""

    attach: str
    section: str
    runs: int
    seconds: float
    missed: int


class SensorFigures:
    """Of any sensor; what only BPF has is empty for the connector."""

    def __init__(self, sensor: EventSource, loop: Loop) -> None:
        self._sensor = sensor
        self._loop = loop
        self.name = sensor.name
        self.blind = sensor.blind

    @property
    def received(self) -> int:
        """Records read."""
        return self._loop.received

    @property
    def losses(self) -> Mapping[str, int]:
        """Records that found no room in the buffer, by kind."""
        return self._sensor.buffer_losses()

    @property
    def owner_losses(self) -> Mapping[Owner, int]:
        """The same by whose they were; as of the last look of the loop."""
        return self._sensor.owner_totals

    @property
    def lost_in_socket(self) -> int:
        """Messages of the process connector that its socket dropped."""
        return self._sensor.lost_in_socket

    @property
    def kernel_filtered(self) -> Mapping[str, int]:
        """Events that the kernel kept back, by type."""
        return self._sensor.kept_back()

    @property
    def programs(self) -> Sequence[ProgramUse]:
        """The BPF programs that are attached."""
        return [
            ProgramUse(
                f"sched_process_{kind}",
                f"raw_tp/sched_process_{kind}",
                use.runs,
                use.run_time_ns / 1e9,
                use.misses,
            )
            for kind, use in self._sensor.programs().items()
        ]

    @property
    def maps(self) -> Mapping[str, MapUse]:
        """The map of processes, under Tetragon's name."""
        found = self._sensor.process_map()
        if found is None:
            return {}
        entries, capacity, full = found
        return {"execve_map": MapUse(entries, capacity, full, 0)}

    @property
    def cgroup_rate(self) -> Mapping[str, int]:
        """Starts and stops of throttling."""
        rates = self._sensor.rates
        if rates is None:
            return {}
        return {"throttle_start": rates.starts, "throttle_stop": rates.stops}


class DispatcherFigures:
    """Of the base sensor's dispatcher."""

    def __init__(
        self, dispatcher: Dispatcher, pieces: Pieces, details: object, timed: bool
    ) -> None:
        """`timed`: measure how long each record takes."""
        self._dispatcher = dispatcher
        self._kinds = kinds = dispatcher.kind_names
        self._details = details
        self._counts: List[int] = [0] * len(kinds)
        self.latencies: Dict[str, Histogram] = {}
        self.pieces = pieces
        dispatcher.messages = self._counts
        if timed:
            dispatcher.time_records(self._observe)

    def _observe(self, kind: str, nanoseconds: int) -> None:
        histogram = self.latencies.get(kind)
        if histogram is None:
            histogram = self.latencies[kind] = Histogram(LATENCY_BOUNDS)
        histogram.add(nanoseconds / 1000)

    @property
    def messages(self) -> Mapping[str, int]:
        """Records by kind."""
        return {name: count for name, count in zip(self._kinds, self._counts) if name}

    @property
    def failures(self) -> Mapping[str, int]:
        """Records that made no sense, by kind."""
        return dict(self._dispatcher.failures)

    @property
    def oddities(self) -> Mapping[str, int]:
        """Users without a name."""
        details = self._details
        if not isinstance(details, Details):
            return {}
        return {"process_metadata_username_failed": details.unnamed_users}


class HandlerFigures:
    """Of the connector's handler, which tells how many records made no sense and no more."""

    messages = zero.NONE
    oddities = zero.NONE
    latencies = zero.NONE
    pieces = zero.Pieces()

    def __init__(self, handler: Handler) -> None:
        self._handler = handler

    @property
    def failures(self) -> Mapping[str, int]:
        """Under the name of an unknown kind."""
        return {"": self._handler.errors}


class TableFigures:
    """Of the process table."""

    early_deletions = 0  # nothing is collected later: a process goes with its exit

    def __init__(self, table: ProcessTable) -> None:
        self._table = table

    @property
    def size(self) -> int:
        """Processes now."""
        return len(self._table)

    @property
    def capacity(self) -> int:
        """The most there may be."""
        return self._table.capacity

    @property
    def evictions(self) -> int:
        """Processes that gave way because it was full."""
        return self._table.evictions

    @property
    def misses(self) -> Mapping[str, int]:
        """Processes that were not there, by what they were wanted for."""
        return {"get": self._table.misses, "remove": self._table.unknown_processes}

    @property
    def unknown_processes(self) -> int:
        """Exits of processes of which only the pid is known."""
        return self._table.unknown_processes

    @property
    def bytes(self) -> int:
        """What all took when they were last weighed."""
        return self._table.bytes

    @property
    def cuts(self) -> int:
        """Processes whose texts were cut because all took too much."""
        return self._table.cuts


class ExporterFigures:
    """Of the subscription of the export file and its sink."""

    def __init__(self, subscription: Subscription, target: SinkTarget) -> None:
        self._subscription = subscription
        self._target = target
        self._sink = target.sink

    @property
    def events(self) -> int:
        """Lines that the target has."""
        return self._sink.lines

    @property
    def bytes(self) -> int:
        """Written."""
        return self._sink.bytes

    @property
    def last(self) -> float:
        """When something was written last, in seconds since 1970; 0 is never."""
        return self._sink.last_write

    @property
    def filtered(self) -> int:
        """Events that the lists dropped."""
        return self._subscription.dropped

    @property
    def aggregated(self) -> int:
        """Events that were counted in the line of an equal one."""
        return self._subscription.aggregated

    @property
    def rate_limited(self) -> int:
        """Events that the rate limit dropped."""
        return self._subscription.rate_limited

    @property
    def lost_lines(self) -> int:
        """Lines that the target did not take and that could not wait longer."""
        return self._sink.lost

    @property
    def write_errors(self) -> int:
        """Times that the target refused."""
        return self._sink.failures

    @property
    def rotations(self) -> int:
        """Of the file."""
        return self._sink.rotations

    @property
    def over_budget(self) -> Mapping[str, int]:
        """Texts for which the patterns of a setting would have cost too much, by setting."""
        return dict(excess.counts)

    @property
    def overflowed(self) -> int:
        """Lines of users that had filled their share of the file."""
        return self._target.overflowed

    @property
    def cut_lines(self) -> int:
        """Lines that were too long."""
        return self._subscription.encoder.cut_lines

    @property
    def cut_ancestors(self) -> int:
        """Ancestors that were left out of lines."""
        return self._subscription.encoder.cut_ancestors
