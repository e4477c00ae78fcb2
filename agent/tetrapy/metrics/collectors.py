# SPDX-License-Identifier: Apache-2.0
"""The collectors of an agent that serves metrics: from the figures of its parts to the catalog.

A series that begins with its first figure hides that figure from `rate` and `increase`; so those
whose labels are known from the start begin with 0.
"""

from __future__ import annotations

import os
import resource
import time
from itertools import product
from typing import Dict, Iterator, List, Mapping, Optional, Tuple

from tetrapy.btf.source import BtfSource
from tetrapy.events.text import to_text
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.containers import INFORMATION, TYPES, Containers
from tetrapy.metrics.counters import EventCounter, FlagCounter
from tetrapy.metrics.family import Collector, Metric
from tetrapy.metrics.policies import Policies
from tetrapy.metrics.sources import Cache, Sensor, Sources
from tetrapy.sensors.reassembly import SIZE_BOUNDS
from tetrapy.version import __version__

# Kinds of records -> Tetragon's decimal opcodes, which are values of labels.
OPCODES: Dict[str, str] = {
    "exec": "5",
    "exit": "7",
    "fork": "23",
    "args": "24",
    "throttle": "27",
    "call": "13",  # of kprobes; those of tracepoints and uprobes travel in the same records
}
UNKNOWN = ""  # a record whose kind is none of these
UNKNOWN_OPCODE = "0"

LATENCY_BOUNDS = (50, 100, 500, 1000, 10_000, 100_000)  # microseconds

CGROUP_RATE = (
    "check",
    "delete",
    "delete_fail",
    "lookup_fail",
    "process",
    "throttle_start",
    "throttle_stop",
    "update_fail",
)
ERRORS = (
    "event_finalize_process_info_failed",
    "process_metadata_username_failed",
    "process_pid_tid_mismatch_clone",
    "process_pid_tid_mismatch_exec",
    "process_pid_tid_mismatch_exit",
)
DATA_EVENTS = ("Added", "Appended", "Bad", "Matched", "NotMatched", "Received")
DATA_SIZES = ("bad", "ok")
PATTERN_SETTINGS = ("export-allowlist", "export-denylist", "redaction-filters")
OPERATIONS = ("get", "remove")


# Figures that are 0 in this release, and are reported because dashboards divide by them or alert on
# them: without the series they would say "no data" where all is well. The values of each label.
ALWAYS_ZERO: Dict[str, Tuple[Tuple[str, ...], ...]] = {
    "tetragon_observer_ringbuf_errors_total": (),
    "tetragon_observer_ringbuf_queue_events_lost_total": (),
    "tetragon_event_cache_errors_total": (("nil_process_pid",), TYPES),
    "tetragon_event_cache_fetch_retries_total": (INFORMATION,),
}


def collectors(
    source: BtfSource, sources: Sources, flags: FlagCounter, events: Optional[EventCounter]
) -> List[Collector]:
    """Those of every group; `events` is None where `enable-event-metrics` is off."""
    always: List[Collector] = [
        About(source),
        KernelSide(sources),
        Records(sources),
        flags,
        Caches(sources),
        Containers(sources),
        Export(sources),
        Policies(sources),
        Constant(),
        Resources(),
    ]
    return always if events is None else [*always, events]


class About:
    """What the agent is and what it stands on: figures that say nothing but by their labels."""

    def __init__(self, source: BtfSource) -> None:
        # A path of any bytes may be part of it.
        reported = to_text(source.description.encode("utf-8", "surrogateescape"))
        self._source = source.kind, reported

    def collect(self) -> Iterator[Metric]:
        """`tetragon_build_info` and `tetrapy_btf_source_info`, both 1."""
        # tetrapy is not written in Go, and two builds of the same sources are the same bytes, so
        # that no build knows its time or commit: an empty label is to Prometheus one that is not.
        yield CATALOG["tetragon_build_info"].of([(("", "", "", "", __version__), 1)])
        yield CATALOG["tetrapy_btf_source_info"].of([(self._source, 1)])


class KernelSide:
    """What the sensor got, what was lost on the way, and what its programs cost."""

    _FULL = "ENOSPC"  # what Tetragon's programs get from the kernel when a perf buffer is full

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """The figures of the sensor that is there when somebody asks."""
        sensor = self._sources.sensor()
        if sensor.name:
            blind = ", ".join(sensor.blind)
            yield CATALOG["tetrapy_sensor_info"].of([((blind, sensor.name), 1)])
        losses = _by_opcode(dict(sensor.losses))
        yield CATALOG["tetragon_bpf_missed_events_total"].of(
            ((self._FULL, opcode), count) for opcode, count in losses.items()
        )
        yield CATALOG["tetrapy_kernel_filtered_events_total"].by_label(dict(sensor.kernel_filtered))
        yield CATALOG["tetrapy_owner_lost_records_total"].of(
            ((cgroup, uid), count) for (uid, cgroup), count in dict(sensor.owner_losses).items()
        )
        for name in ("events", "queue_events"):
            yield CATALOG[f"tetragon_observer_ringbuf_{name}_received_total"].single(
                sensor.received
            )
        yield CATALOG["tetragon_observer_ringbuf_events_lost_total"].single(sensor.lost_in_socket)
        yield CATALOG["tetragon_cgroup_rate_total"].by_label(
            {**dict.fromkeys(CGROUP_RATE, 0), **sensor.cgroup_rate}
        )
        yield from self._programs(sensor)
        maps = dict(sensor.maps)
        for ending, figure in (
            ("entries", "entries"),
            ("capacity", "capacity"),
            ("errors_update_total", "update_errors"),
            ("errors_delete_total", "delete_errors"),
        ):
            yield CATALOG[f"tetragon_map_{ending}"].by_label(
                {name: getattr(use, figure) for name, use in maps.items()}
            )

    def _programs(self, sensor: Sensor) -> Iterator[Metric]:
        programs = (*sensor.programs, *self._sources.policies().programs)
        missed: Dict[Tuple[str, ...], float] = {}
        runs: Dict[Tuple[str, ...], float] = {}
        seconds: Dict[Tuple[str, ...], float] = {}
        for one in programs:  # a policy may have several at a place
            at = (one.attach, one.policy)
            missed[at] = missed.get(at, 0) + one.missed
            whose = (one.attach, one.policy, one.policy_namespace, one.section, one.sensor)
            runs[whose] = runs.get(whose, 0) + one.runs
            seconds[whose] = seconds.get(whose, 0.0) + one.seconds
        yield CATALOG["tetragon_missed_prog_probes_total"].of(missed.items())
        yield CATALOG["tetragon_overhead_program_runs_total"].of(runs.items())
        yield CATALOG["tetragon_overhead_program_seconds_total"].of(seconds.items())


class Records:
    """Records: how many of which kind, which made no sense, and how long they took."""

    # The second stays 0: no reader hands over an empty record.
    _FAILED, _EMPTY, _UNKNOWN = "event_handler_failed", "perf_empty_data", "unknown_opcode"

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """The figures of the dispatcher."""
        dispatcher = self._sources.dispatcher()
        yield CATALOG["tetragon_msg_op_total"].by_label(_by_opcode(dict(dispatcher.messages)))
        yield CATALOG["tetragon_handler_errors_total"].of(self._failed(dict(dispatcher.failures)))
        yield CATALOG["tetragon_errors_total"].by_label(
            {**dict.fromkeys(ERRORS, 0), **dispatcher.oddities}
        )
        by_kind = dict(dispatcher.latencies)
        latencies = {OPCODES[kind]: figures for kind, figures in by_kind.items()}
        yield CATALOG["tetragon_handling_latency"].histogram(
            LATENCY_BOUNDS, latencies, OPCODES.values()
        )

    def _failed(self, by_kind: Mapping[str, int]) -> Iterator[Tuple[Tuple[str, str], int]]:
        counted = {(self._FAILED, opcode): count for opcode, count in _by_opcode(by_kind).items()}
        counted[self._UNKNOWN, UNKNOWN_OPCODE] = by_kind.get(UNKNOWN, 0)
        for error in (self._FAILED, self._EMPTY, self._UNKNOWN):
            for opcode in (*OPCODES.values(), UNKNOWN_OPCODE):
                yield (error, opcode), counted.get((error, opcode), 0)


class Caches:
    """What the agent keeps: the process table, and long arguments that wait for their exec."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """Sizes and misses of both."""
        table = self._sources.table()
        yield from _cache("tetragon_process_cache", table.cache)
        yield CATALOG["tetragon_process_cache_early_deletions_total"].single(table.early_deletions)
        yield CATALOG["tetragon_events_missing_process_info_total"].single(table.unknown_processes)
        yield CATALOG["tetrapy_process_cache_bytes"].single(table.bytes)
        yield CATALOG["tetrapy_process_cache_cuts_total"].single(table.cuts)
        yield CATALOG["tetrapy_unanswered_reads_total"].single(table.unanswered)
        reassembly = self._sources.dispatcher().reassembly
        yield from _cache("tetragon_data_cache", reassembly.cache)
        yield CATALOG["tetragon_data_events_total"].by_label(
            {**dict.fromkeys(DATA_EVENTS, 0), **reassembly.events}
        )
        yield CATALOG["tetragon_data_event_size"].histogram(
            SIZE_BOUNDS, reassembly.sizes, DATA_SIZES
        )


def _cache(prefix: str, cache: Cache) -> Iterator[Metric]:
    yield CATALOG[f"{prefix}_size"].single(cache.size)
    yield CATALOG[f"{prefix}_capacity"].single(cache.capacity)
    yield CATALOG[f"{prefix}_evictions_total"].single(cache.evictions)
    yield CATALOG[f"{prefix}_misses_total"].by_label(
        {**dict.fromkeys(OPERATIONS, 0), **cache.misses}
    )


class Export:
    """The export: what was written, what was left out as asked, and what was lost."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources

    def collect(self) -> Iterator[Metric]:
        """The figures of the exporter."""
        exporter = self._sources.exporter()
        for name, figure in (
            ("tetrapy_export_filtered_events_total", exporter.filtered),
            ("tetrapy_export_aggregated_events_total", exporter.aggregated),
            ("tetragon_export_ratelimit_events_dropped_total", exporter.rate_limited),
            ("tetragon_events_exported_total", exporter.events),
            ("tetragon_events_exported_bytes_total", exporter.bytes),
            ("tetragon_events_last_exported_timestamp", exporter.last),
            ("tetrapy_export_lost_lines_total", exporter.lost_lines),
            ("tetrapy_export_write_errors_total", exporter.write_errors),
            ("tetrapy_export_rotations_total", exporter.rotations),
            ("tetrapy_export_rotation_failures_total", exporter.rotation_failures),
            ("tetrapy_export_overflow_lines_total", exporter.overflowed),
            ("tetrapy_export_cut_lines_total", exporter.cut_lines),
            ("tetrapy_export_cut_ancestors_total", exporter.cut_ancestors),
            ("tetragon_notify_overflowed_events_total", exporter.lost_to_clients),
        ):
            yield CATALOG[name].single(figure)
        yield CATALOG["tetrapy_patterns_over_budget_total"].by_label(
            {**dict.fromkeys(PATTERN_SETTINGS, 0), **exporter.over_budget}
        )


class Constant:
    """The figures of `ALWAYS_ZERO`."""

    def collect(self) -> Iterator[Metric]:
        """Each with every combination of its labels' values."""
        for name, values in ALWAYS_ZERO.items():
            yield CATALOG[name].of((labels, 0) for labels in product(*values))


class Resources:
    """What the agent's process takes, under the names that Prometheus' libraries share."""

    _NO_LIMIT = float(2**64 - 1)  # what Go's library says where there is none

    def __init__(self, proc: str = "/proc") -> None:
        """`proc`: the procfs that this process sees, whichever `--procfs` names."""
        self._proc = proc
        self._page = resource.getpagesize()
        self._booted = self._boot_time()

    def collect(self) -> Iterator[Metric]:
        """CPU, memory, descriptors and threads; what procfs does not show is left out."""
        figures: Dict[str, float] = {
            "cpu_seconds_total": time.process_time(),
            "max_fds": self._limit(resource.RLIMIT_NOFILE),
            "virtual_memory_max_bytes": self._limit(resource.RLIMIT_AS),
        }
        try:
            figures.update(self._from_procfs())
        except OSError:
            pass
        for name, figure in figures.items():
            yield CATALOG[f"process_{name}"].single(figure)

    def _from_procfs(self) -> Dict[str, float]:
        with open(f"{self._proc}/self/stat", "rb") as file:
            # The fields behind the name, which is the second and may hold anything: proc(5).
            fields = file.read().rpartition(b")")[2].split()
        threads, ticks, virtual, resident = (int(fields[at]) for at in (17, 19, 20, 21))
        started = self._booted + ticks / os.sysconf("SC_CLK_TCK")
        return {
            "threads": threads,
            "start_time_seconds": round(started, 2),
            "virtual_memory_bytes": virtual,
            "resident_memory_bytes": resident * self._page,
            "open_fds": len(os.listdir(f"{self._proc}/self/fd")) - 1,  # less the one that lists
        }

    def _boot_time(self) -> float:
        """Seconds since 1970; 0 where procfs does not say."""
        try:
            with open(f"{self._proc}/stat", "rb") as file:
                for line in file:
                    if line.startswith(b"btime "):
                        return float(line[6:])
        except OSError:
            pass
        return 0.0

    def _limit(self, which: int) -> float:
        limit = resource.getrlimit(which)[0]
        return self._NO_LIMIT if limit == resource.RLIM_INFINITY else limit


def _by_opcode(figures: Mapping[str, int]) -> Dict[str, int]:
    """Opcode -> figure of every kind; 0 for a kind that is not among the figures."""
    return {opcode: figures.get(kind, 0) for kind, opcode in OPCODES.items()}
