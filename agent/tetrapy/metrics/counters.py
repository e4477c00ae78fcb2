# SPDX-License-Identifier: Apache-2.0
"""What is counted for each event while metrics are served: one step in a dictionary."""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, Iterator, Optional, Tuple, Union

from tetrapy.events.account import ROOT, Account
from tetrapy.events.event import Event
from tetrapy.events.exec import ProcessExec
from tetrapy.events.flags import flag_words
from tetrapy.events.process import Process
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.family import Metric

CAPACITY = 4096  # series; a host's own programs are some hundreds
SHARES = 4  # a part in so many of the series is one user's at most
MAX_LENGTH = 255  # characters of a binary that is a label
OTHER = "other"  # binaries beyond these; none is called so, since their names begin with a slash

_ALL_FLAGS = -1


def enabled_labels(names: Iterable[str]) -> FrozenSet[str]:
    """The labels that `metrics-label-filter` names; blanks around them do not count."""
    return frozenset(name.strip() for name in names)


class EventCounter:
    """`tetragon_events_total`: events by type and binary; `tetragon_policy_events_total`: those of
    policies by policy, hook and binary.

    Anybody who may run programs can make up any number of binaries, so that the number and size of
    the series are limited: who begins them, by events/account.py (a container is one), may have as
    many as are free after that, and a part in SHARES at most if it is not root of the host. Thus
    seven who take what they can leave 32 to others. No series ever goes: its count would be missing
    in sums or, if `other` had it, be counted twice by Prometheus.
    """

    def __init__(self, labels: FrozenSet[str], node_name: str, capacity: int = CAPACITY) -> None:
        """`labels`: those that are enabled; the others are empty, and the series summed.

        `count` takes batches of events, each event once, before any filter of the export.
        """
        self._node_name = node_name if "node_name" in labels else ""
        self._capacity = capacity
        self._counts: Dict[str, Dict[str, int]] = {}  # type -> binary -> events
        self._policies: Dict[Tuple[str, str], Dict[str, int]] = {}  # policy, hook -> the same
        self._series = 0
        self._begun: Dict[Union[int, str], int] = {}  # uid or container -> series that it began
        self.count = self._by_binary if "binary" in labels else self._by_type

    def _by_binary(self, events: Iterable[Event]) -> None:
        counts = self._counts
        for event in events:
            process = event.process
            binary = "" if process is None else process.binary
            try:
                counts[event.type][binary] += 1
            except KeyError:
                self._begin(self._counts.setdefault(event.type, {}), process)
            probe = event.probe
            if probe is not None:
                key = probe.policy_name, probe.label
                self._begin(self._policies.setdefault(key, {}), process)

    def _by_type(self, events: Iterable[Event]) -> None:
        for event in events:
            self._begin(self._counts.setdefault(event.type, {}), None)
            probe = event.probe
            if probe is not None:
                key = probe.policy_name, probe.label
                self._begin(self._policies.setdefault(key, {}), None)

    def _begin(self, series: Dict[str, int], process: Optional[Process]) -> None:
        """Count what may have no series yet, or the one of all others."""
        binary = "" if process is None else process.binary
        if process is not None and binary and binary not in series:
            if len(binary) <= MAX_LENGTH and self._may_begin(process.account):
                self._series += 1
            else:
                binary = OTHER
        series[binary] = series.get(binary, 0) + 1

    def _may_begin(self, account: Account) -> bool:
        """Whether there is room for one more that a process begins, which is counted then."""
        whose = account.together
        most = self._capacity - self._series
        if account != ROOT:
            most = min(most, max(self._capacity // SHARES, 1))
        begun = self._begun.get(whose, 0)
        if begun >= most:
            return False
        self._begun[whose] = begun + 1
        return True

    def collect(self) -> Iterator[Metric]:
        """The series, how many there are, and how many there may be."""
        counts = {kind: series.copy() for kind, series in self._counts.copy().items()}
        yield CATALOG["tetragon_events_total"].of(
            ((binary, "", self._node_name, "", kind, ""), count)
            for kind, series in counts.items()
            for binary, count in series.items()
        )
        policies = {key: series.copy() for key, series in self._policies.copy().items()}
        yield CATALOG["tetragon_policy_events_total"].of(
            ((binary, hook, "", self._node_name, "", policy, ""), count)
            for (policy, hook), series in policies.items()
            for binary, count in series.items()
        )
        series = sum(map(len, counts.values())) + sum(map(len, policies.values()))
        yield CATALOG["tetrapy_event_series"].single(series)
        yield CATALOG["tetrapy_event_series_capacity"].single(self._capacity)


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
