# SPDX-License-Identifier: Apache-2.0
"""What metrics and health report of a run: its parts in the shapes of metrics.sources."""

from __future__ import annotations

import time
from typing import (
    TYPE_CHECKING,
    Callable,
    Dict,
    Iterable,
    Iterator,
    List,
    Sequence,
    Tuple,
    TypeVar,
)

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
from tetrapy.named import NamedTuple
from tetrapy.process.details import Details
from tetrapy.process.procfs import reads_of
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.dispatch import Dispatcher
from tetrapy.sensors.histogram import Histogram
from tetrapy.sensors.reassembly import Reassembly
from tetrapy.sensors.source import EventSource, Handler

if TYPE_CHECKING:
    from tetrapy.sensors.policy.loaded import HookFigures

_HOOKS_EVERY = 1.0  # seconds
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


class PolicyFigures:
    """Of tracing policies; what the kernel counts of their hooks is read once a second at most."""

    def __init__(
        self, policies: Policies, loop: Loop, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`clock` gives seconds."""
        self._policies = policies
        self._loop = loop
        self._clock = clock
        self._hooks: Tuple[float, Sequence[_Hook]] = (-_HOOKS_EVERY, ())  # and when they were read

    def __call__(self) -> sources.Policies:
        """The figures of this moment; the connector's handler has no calls."""
        policies, loop = self._policies, self._loop
        calls = getattr(loop.handler, "calls", None)
        try:
            programs = list(_policy_programs(policies))
        except KernelError:  # one was taken out meanwhile
            programs = []
        now, (when, hooks) = self._clock(), self._hooks
        if now - when >= _HOOKS_EVERY:
            hooks = list(_hooks(policies))
            self._hooks = now, hooks
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
            calls=_summed((one.labels, one.figures.called) for one in hooks),
            missed=_summed((one.labels, one.figures.missed) for one in hooks),
            matches=_summed(
                ((*one.labels, str(number), selector.label), selector.matched)
                for one in hooks
                for number, selector in enumerate(one.figures.selectors)
            ),
            actions=_summed(
                ((action, *one.labels, str(number), selector.label), times)
                for one in hooks
                for number, selector in enumerate(one.figures.selectors)
                for action, times in selector.actions.items()
            ),
            missed_by_links=_summed(
                ((one.figures.hook.partition(":")[2], one.policy), one.figures.missed_by_links)
                for one in hooks
            ),
            requests={} if calls is None else calls.hooks.request_counts(),
            throttled=dict(loop.throttle.begun) if loop.throttle is not None else {},
            unreported=loop.throttle.unreported_calls() if loop.throttle is not None else {},
        )


class _Hook(NamedTuple):
    policy: str
    namespace: str
    figures: HookFigures

    @property
    def labels(self) -> Tuple[str, ...]:
        """As the metrics have them: hook, hook_index, policy, policy_namespace."""
        return self.figures.hook, str(self.figures.number), self.policy, self.namespace


def _hooks(policies: Policies) -> Iterator[_Hook]:
    for entry in list(policies.entries):
        loaded = entry.loaded
        try:
            figures = loaded.figures() if loaded is not None else ()
        except KernelError:
            continue  # it was taken out meanwhile
        for one in figures:
            yield _Hook(entry.name, entry.namespace, one)


_Labels = TypeVar("_Labels", bound=Tuple[str, ...])


def _summed(rows: Iterable[Tuple[_Labels, int]]) -> Dict[_Labels, int]:
    """Policies of different domains may have one name."""
    found: Dict[_Labels, int] = {}
    for labels, count in rows:
        found[labels] = found.get(labels, 0) + count
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
    reads = reads_of(table.procfs)
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
        unanswered=reads.unanswered + reads.refused,
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
