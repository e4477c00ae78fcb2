# SPDX-License-Identifier: Apache-2.0
"""Where the figures come from: the attributes that the parts of the agent have to show.

They are plain numbers and mappings, which cost the agent nothing but their counting. A collector
reads them when somebody asks, in the thread of the server, while the agent goes on. So a mapping
that may grow is copied before it is gone through: `dict(mapping)` lets no other thread in between.

Records are told apart by the names of their kinds (`exec`, `fork`, `exit`, `args`, `throttle`), see
`opcodes`; events by their types (`PROCESS_EXEC`).
"""

from __future__ import annotations

import time
from typing import Mapping, Protocol, Sequence, Tuple

from tetrapy.metrics import zero
from tetrapy.sensors.histogram import Histogram


class MapUse(Protocol):
    """How full a BPF map is."""

    @property
    def entries(self) -> int:
        """In use."""

    @property
    def capacity(self) -> int:
        """The most there may be."""

    @property
    def update_errors(self) -> int:
        """Entries that it did not take."""

    @property
    def delete_errors(self) -> int:
        """Entries that could not be deleted."""


class ProgramUse(Protocol):
    """What the kernel counts for a BPF program."""

    @property
    def attach(self) -> str:
        """What it is attached to: sched_process_exec."""

    @property
    def section(self) -> str:
        """Its section in the object: raw_tp/sched_process_exec."""

    @property
    def runs(self) -> int:
        """With kernel.bpf_stats_enabled."""

    @property
    def seconds(self) -> float:
        """Likewise."""

    @property
    def missed(self) -> int:
        """Runs that were skipped."""


class Sensor(Protocol):
    """What watches the kernel."""

    @property
    def name(self) -> str:
        """ebpf or connector."""

    @property
    def blind(self) -> Sequence[str]:
        """What it cannot see, in a word or two each."""

    @property
    def received(self) -> int:
        """Records read."""

    @property
    def losses(self) -> Mapping[str, int]:
        """By kind: records that found no room in the buffer."""

    @property
    def lost_in_socket(self) -> int:
        """Messages of the process connector that its socket dropped."""

    @property
    def owner_losses(self) -> Mapping[Tuple[str, str], int]:
        """By uid and inode number of the cgroup: records that found no room."""

    @property
    def kernel_filtered(self) -> Mapping[str, int]:
        """By type: events that the kernel did not send, since filters or limits kept them back."""

    @property
    def programs(self) -> Sequence[ProgramUse]:
        """The BPF programs that are attached."""

    @property
    def maps(self) -> Mapping[str, MapUse]:
        """By name: the maps whose filling somebody may want to watch."""

    @property
    def cgroup_rate(self) -> Mapping[str, int]:
        """Steps of the limit on events of a cgroup, by the names of `zero.CGROUP_RATE`."""


class Cache(Protocol):
    """Something of limited size that is looked into."""

    @property
    def size(self) -> int:
        """Entries now."""

    @property
    def capacity(self) -> int:
        """The most there may be."""

    @property
    def evictions(self) -> int:
        """Entries dropped because it was full."""

    @property
    def misses(self) -> Mapping[str, int]:
        """By operation, `get` or `remove`: entries that were not there."""


class Pieces(Cache, Protocol):
    """Long arguments that came ahead of their exec."""

    @property
    def events(self) -> Mapping[str, int]:
        """What became of pieces and of looks for them, by the names of `zero.DATA_EVENTS`."""

    @property
    def sizes(self) -> Mapping[str, Histogram]:
        """`ok` and `bad`: bytes of whole arguments, with the bounds of `sensors.pieces`."""


class Dispatcher(Protocol):
    """What decodes records."""

    @property
    def messages(self) -> Mapping[str, int]:
        """By kind: records."""

    @property
    def failures(self) -> Mapping[str, int]:
        """By kind: records that made no sense; those of an unknown kind are under ""."""

    @property
    def oddities(self) -> Mapping[str, int]:
        """What the kernel told and should not have, by the names of `zero.ERRORS`."""

    @property
    def latencies(self) -> Mapping[str, Histogram]:
        """By kind: microseconds, with the bounds of `records.LATENCY_BOUNDS`; may be empty."""

    @property
    def pieces(self) -> Pieces:
        """Long arguments that came ahead of their exec."""


class Table(Cache, Protocol):
    """The process table."""

    @property
    def early_deletions(self) -> int:
        """Processes that were gone before they were collected."""

    @property
    def unknown_processes(self) -> int:
        """Events of processes of which nothing is known but the pid."""

    @property
    def bytes(self) -> int:
        """What all took when they were last weighed."""

    @property
    def cuts(self) -> int:
        """Processes whose texts were cut because all took too much."""


class Exporter(Protocol):
    """From events to lines in a file."""

    @property
    def events(self) -> int:
        """Written."""

    @property
    def bytes(self) -> int:
        """Written."""

    @property
    def last(self) -> float:
        """When the last event was written, in seconds since 1970; 0 is never."""

    @property
    def filtered(self) -> int:
        """Events that allow and deny lists dropped."""

    @property
    def aggregated(self) -> int:
        """Events that were counted in the line of an equal one."""

    @property
    def rate_limited(self) -> int:
        """Events that the rate limit dropped."""

    @property
    def lost_lines(self) -> int:
        """Lines that the target did not take and that could not wait longer."""

    @property
    def write_errors(self) -> int:
        """Writes that the target refused."""

    @property
    def rotations(self) -> int:
        """Of the file."""

    @property
    def over_budget(self) -> Mapping[str, int]:
        """By setting: texts for which its patterns would have cost too much."""

    @property
    def overflowed(self) -> int:
        """Lines of users that had filled their share of the file."""

    @property
    def cut_lines(self) -> int:
        """Lines that were too long."""

    @property
    def cut_ancestors(self) -> int:
        """Ancestors that were left out of lines."""


class Heart(Protocol):
    """The main loop."""

    @property
    def turned(self) -> float:
        """When it last began a turn, by time.monotonic()."""


class Sources:
    """The parts, as far as they are there: the daemon sets each when it has made it."""

    def __init__(self) -> None:
        self.sensor: Sensor = zero.Sensor()
        self.dispatcher: Dispatcher = zero.Dispatcher()
        self.table: Table = zero.Table()
        self.exporter: Exporter = zero.Exporter()
        self.heart: Heart = zero.Heart(time.monotonic())

    @property
    def lost(self) -> Tuple[int, int]:
        """Records lost before the agent had them, and lines that it could not write."""
        sensor = self.sensor
        records = sum(dict(sensor.losses).values()) + sensor.lost_in_socket
        missed = sum(program.missed for program in sensor.programs)
        return records + missed, self.exporter.lost_lines
