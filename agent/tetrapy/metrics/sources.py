# SPDX-License-Identifier: Apache-2.0
"""What the parts of the agent have to show: figures of a moment, which daemon/figures.py reads.

The parts count in plain attributes, which costs them nothing else. They are read when somebody
asks, in the thread of the server, while the agent goes on: so a mapping that may grow is copied
before it is gone through (`dict(mapping)` lets no other thread in between). Without arguments each
class says what is reported of a part that is not there yet.

Records are distinguished by the names of their kinds (`exec`, `fork`, `exit`, `args`, `throttle`),
see `collectors.OPCODES`; events by their types (`PROCESS_EXEC`).
"""

from __future__ import annotations

import time
from typing import Callable, Mapping, Sequence, Tuple

from tetrapy.named import NamedTuple
from tetrapy.sensors.histogram import Histogram

_NONE: Mapping[str, int] = {}
_NOBODY: Mapping[Tuple[str, str], int] = {}
_NO_ACTIONS: Mapping[Tuple[str, ...], int] = {}


class MapUse(NamedTuple):
    """How full a BPF map is."""

    entries: int
    capacity: int  # the most entries there may be
    update_errors: int  # entries that it did not take
    delete_errors: int  # entries that could not be deleted


class ProgramUse(NamedTuple):
    """What the kernel counts for a BPF program; runs and time with kernel.bpf_stats_enabled."""

    attach: str  # what it is attached to: sched_process_exec
    section: str  # of the object: raw_tp/sched_process_exec
    runs: int
    seconds: float
    missed: int  # runs that were skipped
    policy: str = "__base__"  # Tetragon's name for what belongs to no policy
    policy_namespace: str = ""
    sensor: str = "__base__"


_NO_MAPS: Mapping[str, MapUse] = {}


class Sensor(NamedTuple):
    """What watches the kernel."""

    name: str = ""  # ebpf or connector
    blind: Sequence[str] = ()  # what it cannot see, in a word or two each
    received: int = 0  # records read
    losses: Mapping[str, int] = _NONE  # by kind: records that found no room in the buffer
    lost_in_socket: int = 0  # messages of the process connector that its socket dropped
    # By uid and inode number of the cgroup: records that found no room.
    owner_losses: Mapping[Tuple[str, str], int] = _NOBODY
    # By type: events that the kernel did not send, since filters or limits kept them back.
    kernel_filtered: Mapping[str, int] = _NONE
    programs: Sequence[ProgramUse] = ()  # those that are attached
    maps: Mapping[str, MapUse] = _NO_MAPS  # by name: those whose filling somebody may watch
    # Steps of the limit on events of a cgroup, by the names of `collectors.CGROUP_RATE`.
    cgroup_rate: Mapping[str, int] = _NONE


class Cache(NamedTuple):
    """Something of limited size that is looked into."""

    size: int = 0  # entries now
    capacity: int = 0
    evictions: int = 0  # entries dropped because it was full
    misses: Mapping[str, int] = _NONE  # by operation, `get` or `remove`: what was not there


_NO_SIZES: Mapping[str, Histogram] = {}


class Reassembly(NamedTuple):
    """Long arguments that came ahead of their exec."""

    cache: Cache = Cache()
    # What became of chunks and of searches for them, by the names of `collectors.DATA_EVENTS`.
    events: Mapping[str, int] = _NONE
    # `ok` and `bad`: bytes of whole arguments, with the bounds of `sensors.reassembly`.
    sizes: Mapping[str, Histogram] = _NO_SIZES


class Dispatcher(NamedTuple):
    """Figures of what decodes records."""

    messages: Mapping[str, int] = _NONE  # by kind: records
    failures: Mapping[str, int] = _NONE  # by kind, "" is unknown: records that made no sense
    oddities: Mapping[str, int] = _NONE  # what the kernel should not have reported, by ERRORS
    # By kind: microseconds, with the bounds of `collectors.LATENCY_BOUNDS`; may be empty.
    latencies: Mapping[str, Histogram] = _NO_SIZES
    reassembly: Reassembly = Reassembly()


class Table(NamedTuple):
    """Figures of the process table."""

    cache: Cache = Cache()
    early_deletions: int = 0  # processes that were gone before they were collected
    unknown_processes: int = 0  # events of processes of which nothing is known but the pid
    bytes: int = 0  # what all took when they were last weighed
    cuts: int = 0  # processes whose texts were cut because all took too much
    unanswered: int = 0  # reads of procfs that were given up, or not tried after such ones


class Exporter(NamedTuple):
    """From events to lines in a file."""

    events: int = 0  # written
    bytes: int = 0  # written
    last: float = 0.0  # when the last event was written, in seconds since 1970; 0 is never
    filtered: int = 0  # events that allow and deny lists dropped
    aggregated: int = 0  # events that were counted in the line of an equal one
    rate_limited: int = 0  # events that the rate limit dropped
    lost_lines: int = 0  # lines that the target did not take and that could not wait longer
    write_errors: int = 0  # writes that the target refused
    rotations: int = 0  # of the file
    rotation_failures: int = 0  # of the file, and of what compresses and removes rotated ones
    over_budget: Mapping[str, int] = _NONE  # by setting: texts that would have cost too much
    overflowed: int = 0  # lines of users that had filled their share of the file
    cut_lines: int = 0  # lines that were too long
    cut_ancestors: int = 0  # ancestors that were left out of lines
    lost_to_clients: int = 0  # events that clients of the API read too slowly for


class Containers(NamedTuple):
    """Containers that runtimes are asked for, and events that wait for what they say."""

    entries: int = 0  # events that wait
    inserts: int = 0  # events that had to wait
    without: Mapping[str, int] = _NONE  # by type: events that waited in vain
    lookups: Mapping[str, int] = _NONE  # by outcome: containers that were asked for, or not


class Policies(NamedTuple):
    """Figures of tracing policies."""

    states: Mapping[str, int] = _NONE  # by state: how many
    kernel_memory: Mapping[Tuple[str, str], int] = _NOBODY  # by name and namespace: bytes
    programs: Sequence[ProgramUse] = ()
    waited: int = 0  # calls that are reported when they return
    # By function and `ok` or `error`: calls that returned, and those whose other half is not known.
    merges: Mapping[Tuple[str, str], int] = _NOBODY
    # By action, hook and its number, policy and its namespace, selector's number and label.
    actions: Mapping[Tuple[str, ...], int] = _NO_ACTIONS
    # By hook and its number, policy and its namespace: calls, and those that it missed.
    calls: Mapping[Tuple[str, ...], int] = _NO_ACTIONS
    missed: Mapping[Tuple[str, ...], int] = _NO_ACTIONS
    # The same and the selector's number and label: calls that it decided on.
    matches: Mapping[Tuple[str, ...], int] = _NO_ACTIONS
    # By function and policy: calls that kprobes missed.
    missed_by_links: Mapping[Tuple[str, str], int] = _NOBODY
    requests: Mapping[Tuple[str, str], int] = _NOBODY  # by action and outcome
    throttled: Mapping[Tuple[str, str], int] = _NOBODY  # by name and namespace: how often
    # By cgroup, name, namespace, uid: calls that were not reported.
    unreported: Mapping[Tuple[str, ...], int] = _NO_ACTIONS


class Sources:
    """Asks each part for its figures; the daemon sets who answers when it has made the part."""

    def __init__(self) -> None:
        started = time.monotonic()
        self.sensor: Callable[[], Sensor] = Sensor
        self.dispatcher: Callable[[], Dispatcher] = Dispatcher
        self.table: Callable[[], Table] = Table
        self.exporter: Callable[[], Exporter] = Exporter
        self.policies: Callable[[], Policies] = Policies
        self.containers: Callable[[], Containers] = Containers
        # When the main loop last began a turn, by time.monotonic(); the agent's start before that.
        self.heartbeat: Callable[[], float] = lambda: started
