# SPDX-License-Identifier: Apache-2.0
"""What is counted for each event while metrics are served: one step in a dictionary."""

from __future__ import annotations

import time
from typing import Callable, Dict, FrozenSet, Iterable, Iterator, List, Optional, Tuple, Union

from tetrapy.events.account import ROOT, Account
from tetrapy.events.container import OUTSIDE
from tetrapy.events.event import Event
from tetrapy.events.exec import ProcessExec
from tetrapy.events.flags import flag_words
from tetrapy.events.process import Process
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.family import Metric
from tetrapy.named import NamedTuple

CAPACITY = 4096  # series; a host's own programs are some hundreds
SHARES = 4  # a part in so many of the series is one user's at most
MAX_LENGTH = 255  # characters of a binary that is a label
OTHER = "other"  # binaries beyond these; none is called so, since their names begin with a slash
IDLE = 60.0  # seconds without an event after which a pod's series may go

_ALL_FLAGS = -1


class OfPod(NamedTuple):
    """Labels of what a pod's processes do."""

    binary: str
    namespace: str
    pod: str


_Labels = Union[str, OfPod]  # outside of pods the binary alone
_Series = Dict[_Labels, int]  # events


class _Pod:
    """The series of a pod, and how many events they had when that was last looked at."""

    __slots__ = ("events", "series")

    def __init__(self) -> None:
        self.events = -1
        self.series: List[Tuple[_Series, OfPod, Union[int, str]]] = []  # and who began it


def enabled_labels(names: Iterable[str]) -> FrozenSet[str]:
    """The labels that `metrics-label-filter` names; blanks around them do not count."""
    return frozenset(name.strip() for name in names)


class EventCounter:
    """`tetragon_events_total`: events by type, binary and pod; of policies also
    `tetragon_policy_events_total`, by policy and hook.

    Anybody who may run programs can make up any number of binaries, so that the number and size of
    the series are limited: who begins them, by events/account.py (a container is one), may have as
    many as are free after that, and a part in SHARES at most if it is not root of the host. Thus
    seven who take what they can leave 32 to others. No series of the host ever goes: its count
    would be missing in sums or, if `other` had it, be counted twice by Prometheus. Pods come and
    go, so where there is no room those of pods without an event for IDLE do, as in Tetragon those
    of pods that were deleted.
    """

    def __init__(
        self,
        labels: FrozenSet[str],
        node_name: str,
        capacity: int = CAPACITY,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`labels`: those that are enabled; the others are empty, and the series summed."""
        self._with_binary = "binary" in labels
        self._with_namespace, self._with_pod = "namespace" in labels, "pod" in labels
        self._node_name = node_name if "node_name" in labels else ""
        self._capacity = capacity
        self._clock = clock
        self._counts: Dict[str, _Series] = {}  # by type
        self._policies: Dict[Tuple[str, str], _Series] = {}  # by policy and hook
        self._series = 0
        self._begun: Dict[Union[int, str], int] = {}  # uid or container -> series that it began
        self._pods: Dict[Tuple[str, str], _Pod] = {}  # by namespace and name
        self._looked = clock()

    def count(self, events: Iterable[Event]) -> None:
        """Count a batch of events, each event once, before any filter of the export."""
        counts = self._counts
        with_binary = self._with_binary
        for event in events:
            process = event.process
            labels: _Labels = ""
            if process is not None:
                if process.container is not OUTSIDE:
                    labels = self._labels(process)
                elif with_binary:
                    labels = process.binary
            try:
                counts[event.type][labels] += 1
            except KeyError:
                self._begin(self._counts.setdefault(event.type, {}), labels, process)
            probe = event.probe
            if probe is not None:
                key = probe.policy_name, probe.label
                self._begin(self._policies.setdefault(key, {}), labels, process)

    def _labels(self, process: Process) -> _Labels:
        """Of a process in a container; one outside of Kubernetes has no pod."""
        pod = process.container.pod
        binary = process.binary if self._with_binary else ""
        if pod is None or not pod.name or not (self._with_namespace or self._with_pod):
            return binary
        namespace = pod.namespace if self._with_namespace else ""
        return OfPod(binary, namespace, pod.name if self._with_pod else "")

    def _begin(self, series: _Series, labels: _Labels, process: Optional[Process]) -> None:
        """Count what may have no series yet, or the one of all others."""
        if process is not None and labels and labels not in series:
            names = (labels,) if isinstance(labels, str) else labels
            account = process.account
            if max(map(len, names)) <= MAX_LENGTH and self._may_begin(account):
                self._series += 1
                if isinstance(labels, OfPod):
                    place = labels.namespace, labels.pod
                    pod = self._pods.setdefault(place, _Pod())
                    pod.series.append((series, labels, account.together))
            else:
                labels = OTHER
        series[labels] = series.get(labels, 0) + 1

    def _may_begin(self, account: Account) -> bool:
        """Whether there is room for one more that a process begins, which is counted then."""
        if not self._has_room(account):
            now = self._clock()
            if now - self._looked < IDLE or not self._pods:
                return False
            self._looked = now
            self._forget_idle_pods()
            if not self._has_room(account):
                return False
        whose = account.together
        self._begun[whose] = self._begun.get(whose, 0) + 1
        return True

    def _has_room(self, account: Account) -> bool:
        most = self._capacity - self._series
        if account != ROOT:
            most = min(most, max(self._capacity // SHARES, 1))
        return self._begun.get(account.together, 0) < most

    def _forget_idle_pods(self) -> None:
        """Forget the series of pods that had no event since this was last done."""
        for place, pod in list(self._pods.items()):
            events = sum(series[labels] for series, labels, _ in pod.series)
            if events != pod.events:
                pod.events = events
                continue
            del self._pods[place]
            self._series -= len(pod.series)
            for series, labels, whose in pod.series:
                del series[labels]
                self._begun[whose] -= 1
                if not self._begun[whose]:
                    del self._begun[whose]

    def collect(self) -> Iterator[Metric]:
        """The series, how many there are, and how many there may be."""
        counts = {kind: series.copy() for kind, series in self._counts.copy().items()}
        yield CATALOG["tetragon_events_total"].of(
            ((binary, namespace, self._node_name, pod, kind, ""), count)
            for kind, series in counts.items()
            for (binary, namespace, pod), count in _rows(series)
        )
        policies = {key: series.copy() for key, series in self._policies.copy().items()}
        yield CATALOG["tetragon_policy_events_total"].of(
            ((binary, hook, namespace, self._node_name, pod, policy, ""), count)
            for (policy, hook), series in policies.items()
            for (binary, namespace, pod), count in _rows(series)
        )
        series = sum(map(len, counts.values())) + sum(map(len, policies.values()))
        yield CATALOG["tetrapy_event_series"].single(series)
        yield CATALOG["tetrapy_event_series_capacity"].single(self._capacity)


def _rows(series: _Series) -> Iterator[Tuple[OfPod, int]]:
    for labels, count in series.items():
        yield OfPod(labels, "", "") if isinstance(labels, str) else labels, count


class FlagCounter:
    """`tetragon_flags_total`: how many exec events had each flag."""

    def __init__(self) -> None:
        self._counts: Dict[int, int] = {}

    def count(self, events: Iterable[Event]) -> None:
        """Count a batch of events, each event once."""
        counts = self._counts
        for event in events:
            if isinstance(event, ProcessExec):
                bits = event.process.flags
                counts[bits] = counts.get(bits, 0) + 1

    def collect(self) -> Iterator[Metric]:
        """A series for each flag that there is."""
        by_word = dict.fromkeys(flag_words(_ALL_FLAGS).split(), 0)
        for bits, count in self._counts.copy().items():
            for word in flag_words(bits).split():
                by_word[word] += count
        yield CATALOG["tetragon_flags_total"].by_label(by_word)
