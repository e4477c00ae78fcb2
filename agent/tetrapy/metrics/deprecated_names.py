# SPDX-License-Identifier: Apache-2.0
"""Names that Tetragon 1.1 had, and later releases have not: dashboards of its time ask for them.

Each is made of the series of today's name, summed over the labels that it did not have.
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, Optional, Tuple

from tetrapy.metrics.family import COUNTER, Family, Metric
from tetrapy.named import NamedTuple


class Deprecated(NamedTuple):
    """A deprecated counter: its name, where its figures are now, and the labels that it had."""

    name: str
    now: Tuple[str, ...]
    labels: Tuple[str, ...] = ()
    only: Optional[Tuple[str, str]] = None  # the label and value of today's series that it has

    @property
    def family(self) -> Family:
        """As a row of the catalog."""
        return Family(self.name, COUNTER, "Former name of " + ", ".join(self.now), self.labels)


_RINGBUF = "tetragon_observer_ringbuf"
_CACHE = "tetragon_event_cache"
_FAILURES = (f"{_CACHE}_fetch_failures_total",)

DEPRECATED = (
    Deprecated("tetragon_missed_events_total", ("tetragon_bpf_missed_events_total",), ("msg_op",)),
    Deprecated(
        "tetragon_ringbuf_perf_event_received_total", (f"{_RINGBUF}_events_received_total",)
    ),
    Deprecated("tetragon_ringbuf_perf_event_lost_total", (f"{_RINGBUF}_events_lost_total",)),
    Deprecated("tetragon_ringbuf_perf_event_errors_total", (f"{_RINGBUF}_errors_total",)),
    Deprecated(
        "tetragon_ringbuf_queue_received_total", (f"{_RINGBUF}_queue_events_received_total",)
    ),
    Deprecated("tetragon_ringbuf_queue_lost_total", (f"{_RINGBUF}_queue_events_lost_total",)),
    Deprecated(
        "tetragon_ratelimit_dropped_total", ("tetragon_export_ratelimit_events_dropped_total",)
    ),
    Deprecated(
        "tetragon_map_errors_total",
        ("tetragon_map_errors_update_total", "tetragon_map_errors_delete_total"),
        ("map",),
    ),
    Deprecated(f"{_CACHE}_accesses_total", (f"{_CACHE}_inserts_total",)),
    Deprecated(f"{_CACHE}_retries_total", (f"{_CACHE}_fetch_retries_total",), ("entry_type",)),
    *(
        Deprecated(
            f"{_CACHE}_{entry}_errors_total", _FAILURES, ("event_type",), ("entry_type", entry)
        )
        for entry in ("parent_info", "pod_info", "process_info")
    ),
)


def with_deprecated(metrics: Iterable[Metric]) -> Iterator[Metric]:
    """The metrics, and behind them those with deprecated names."""
    sums: Dict[str, Dict[Tuple[str, ...], float]] = {old.name: {} for old in DEPRECATED}
    for metric in metrics:
        yield metric
        for old in DEPRECATED:
            if metric.family.name in old.now:
                _add(metric, old, sums[old.name])
    for old in DEPRECATED:
        yield old.family.of(sums[old.name].items())


def _add(metric: Metric, old: Deprecated, sums: Dict[Tuple[str, ...], float]) -> None:
    for sample in metric.samples:
        if old.only is None or old.only in sample.labels:
            values = dict(sample.labels)
            labels = tuple([values[label] for label in old.labels])
            sums[labels] = sums.get(labels, 0) + sample.value
