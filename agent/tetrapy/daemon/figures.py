# SPDX-License-Identifier: Apache-2.0
"""What metrics and health report of a run: its parts in the shapes of metrics.sources."""

from __future__ import annotations

from typing import Dict, Iterator, List, Tuple

from tetrapy.daemon.loop import Loop
from tetrapy.daemon.policies import Policies
from tetrapy.errors import KernelError
from tetrapy.export.subscription import Subscription
from tetrapy.export.target import SinkTarget
from tetrapy.filters.excess import excess
from tetrapy.kernel.programs import ProgramInfo
from tetrapy.metrics import sources
from tetrapy.metrics.collectors import LATENCY_BOUNDS
from tetrapy.metrics.sources import Cache, MapUse, ProgramUse
from tetrapy.process.details import Details
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.dispatch import Dispatcher
from tetrapy.sensors.histogram import Histogram
from tetrapy.sensors.reassembly import Reassembly
from tetrapy.sensors.source import EventSource, Handler

_ALL = "__policies__"  # the policy of programs that all have in common


def sensor_figures(sensor: EventSource, loop: Loop) -> sources.Sensor:
    """Of any sensor; what only BPF has is empty for the connector."""
    found, rates = sensor.process_map(), sensor.rates
    maps = {}
    if found is not None:
        entries, capacity, full = found
        maps["execve_map"] = MapUse(entries, capacity, full, 0)  # Tetragon's name
    return sources.Sensor(
        name=sensor.name,
        blind=sensor.blind,
        received=loop.received,
        losses=sensor.buffer_losses(),
        lost_in_socket=sensor.lost_in_socket,
        owner_losses=sensor.owner_totals,  # as of the last look of the loop
        kernel_filtered=sensor.suppressed(),
        programs=[
            ProgramUse(
                f"sched_process_{kind}",
                f"raw_tp/sched_process_{kind}",
                use.runs,
                use.run_time_ns / 1e9,
                use.misses,
            )
            for kind, use in sensor.programs().items()
        ],
        maps=maps,
        cgroup_rate={}
        if rates is None
        else {"throttle_start": rates.starts, "throttle_stop": rates.stops},
    )


def policy_figures(policies: Policies, loop: Loop) -> sources.Policies:
    """Of tracing policies; the connector's handler has no calls."""
    calls = getattr(loop.handler, "calls", None)
    try:
        programs = list(_policy_programs(policies))
        actions = _actions(policies)
    except KernelError:  # one was taken out meanwhile
        programs, actions = [], {}
    return sources.Policies(
        states=policies.states(),
        kernel_memory={
            (entry.name, entry.namespace): entry.loaded.kernel_memory
            for entry in policies.entries
            if entry.loaded is not None
        },
        programs=programs,
        waited=0 if calls is None else calls.pushed,
        merges={} if calls is None else calls.merges(),
        actions=actions,
        missed_by_links={
            (name, entry.name): count
            for entry in list(policies.entries)
            if entry.loaded is not None
            for name, count in entry.loaded.missed_by_links().items()
        },
        requests={} if calls is None else calls.hooks.request_counts(),
        throttled=dict(loop.throttle.begun) if loop.throttle is not None else {},
    )


def _actions(policies: Policies) -> Dict[Tuple[str, ...], int]:
    """By the labels of the metric, in their order."""
    found: Dict[Tuple[str, ...], int] = {}
    for entry in list(policies.entries):
        for one in entry.loaded.counts() if entry.loaded is not None else ():
            hook = (one.hook, str(one.hook_number), entry.name, entry.namespace)
            found[(one.action, *hook, str(one.selector), one.label)] = one.times
    return found


def _policy_programs(policies: Policies) -> Iterator[ProgramUse]:
    """Those of each policy, then those that all policies have in common, by kind of hook."""
    for entry in list(policies.entries):
        if entry.loaded is not None:
            sensor = entry.loaded.sensors[0] if entry.loaded.sensors else ""
            for place, one in entry.loaded.programs():
                yield _use(place, one, entry.name, entry.namespace, sensor)
    for kind, infos in policies.common_programs().items():
        for one in infos:
            yield _use(kind, one, _ALL, "", f"generic_{kind}")


def _use(place: str, one: ProgramInfo, policy: str, namespace: str, sensor: str) -> ProgramUse:
    seconds = one.run_time_ns / 1e9
    return ProgramUse(place, sensor, one.runs, seconds, one.misses, policy, namespace, sensor)


class DispatcherFigures:
    """Of the base sensor's dispatcher, which counts and times records from now on."""

    def __init__(
        self, dispatcher: Dispatcher, reassembly: Reassembly, details: object, timed: bool
    ) -> None:
        """`timed`: measure how long each record takes."""
        self._dispatcher = dispatcher
        self._reassembly = reassembly
        self._kinds = dispatcher.kind_names
        self._details = details
        self._counts: List[int] = [0] * len(self._kinds)
        self._latencies: Dict[str, Histogram] = {}
        dispatcher.messages = self._counts
        if timed:
            dispatcher.time_records(self._observe)

    def _observe(self, kind: str, nanoseconds: int) -> None:
        histogram = self._latencies.get(kind)
        if histogram is None:
            histogram = self._latencies[kind] = Histogram(LATENCY_BOUNDS)
        histogram.add(nanoseconds / 1000)

    def __call__(self) -> sources.Dispatcher:
        """The figures of this moment."""
        details, reassembly = self._details, self._reassembly
        unnamed = details.unnamed_users if isinstance(details, Details) else 0
        return sources.Dispatcher(
            messages={name: count for name, count in zip(self._kinds, self._counts) if name},
            failures=dict(self._dispatcher.failures),
            oddities={"process_metadata_username_failed": unnamed},
            latencies=self._latencies,
            reassembly=sources.Reassembly(
                Cache(
                    reassembly.size, reassembly.capacity, reassembly.evictions, reassembly.misses
                ),
                reassembly.events,
                reassembly.sizes,
            ),
        )


def handler_figures(handler: Handler) -> sources.Dispatcher:
    """Of the connector's handler, which counts malformed records and no more."""
    return sources.Dispatcher(failures={"": handler.errors})


def table_figures(table: ProcessTable) -> sources.Table:
    """Of the process table. Nothing is collected later: a process goes with its exit."""
    return sources.Table(
        Cache(
            size=len(table),
            capacity=table.capacity,
            evictions=table.evictions,
            misses={"get": table.misses, "remove": table.unknown_processes},
        ),
        unknown_processes=table.unknown_processes,
        bytes=table.bytes,
        cuts=table.cuts,
    )


def container_figures(loop: Loop) -> sources.Containers:
    """Of containers and the events that wait for them; nothing where no container was seen."""
    pending = loop.pending
    if pending is None:
        return sources.Containers()
    return sources.Containers(len(pending), pending.waited, pending.went_without, pending.lookups)


def exporter_figures(
    subscription: Subscription, target: SinkTarget, lost_to_clients: int
) -> sources.Exporter:
    """Of the subscription of the export file and its sink, and of clients of the API."""
    sink, encoder = target.sink, subscription.encoder
    return sources.Exporter(
        events=sink.lines,
        bytes=sink.bytes,
        last=sink.last_write,
        filtered=subscription.dropped,
        aggregated=subscription.aggregated,
        rate_limited=subscription.rate_limited,
        lost_lines=sink.lost,
        write_errors=sink.failures,
        rotations=sink.rotations,
        rotation_failures=sink.rotation_failures,
        over_budget=dict(excess.counts),
        overflowed=target.overflowed,
        cut_lines=encoder.cut_lines,
        cut_ancestors=encoder.cut_ancestors,
        lost_to_clients=lost_to_clients,
    )
