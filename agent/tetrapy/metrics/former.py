# SPDX-License-Identifier: Apache-2.0
"""Names that Tetragon 1.1 had, and later releases have not: dashboards of its time ask for them.

Each is made of the series of today's name, summed over the labels that it did not have.
"""

from __future__ import annotations

from typing import Dict, Iterable, Iterator, Optional, Tuple

from tetrapy.metrics.family import COUNTER, Family, Metric
from tetrapy.named import NamedTuple


class Former(NamedTuple):
    """A former counter: its name, where its figures are now, and the labels that it had."""

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

FORMER = (
    Former("tetragon_missed_events_total", ("tetragon_bpf_missed_events_total",), ("msg_op",)),
    Former("tetragon_ringbuf_perf_event_received_total", (f"{_RINGBUF}_events_received_total",)),
    Former("tetragon_ringbuf_perf_event_lost_total", (f"{_RINGBUF}_events_lost_total",)),
    Former("tetragon_ringbuf_perf_event_errors_total", (f"{_RINGBUF}_errors_total",)),
    Former("tetragon_ringbuf_queue_received_total", (f"{_RINGBUF}_queue_events_received_total",)),
    Former("tetragon_ringbuf_queue_lost_total", (f"{_RINGBUF}_queue_events_lost_total",)),
    Former("tetragon_ratelimit_dropped_total", ("tetragon_export_ratelimit_events_dropped_total",)),
    Former(
        "tetragon_map_errors_total",
        ("tetragon_map_errors_update_total", "tetragon_map_errors_delete_total"),
        ("map",),
    ),
    Former(f"{_CACHE}_accesses_total", (f"{_CACHE}_inserts_total",)),
    Former(f"{_CACHE}_retries_total", (f"{_CACHE}_fetch_retries_total",), ("entry_type",)),
    *(
        Former(f"{_CACHE}_{entry}_errors_total", _FAILURES, ("event_type",), ("entry_type", entry))
        for entry in ("parent_info", "pod_info", "process_info")
    ),
)


def with_former(metrics: Iterable[Metric]) -> Iterator[Metric]:
    """The metrics, and behind them those with former names."""
    sums: Dict[str, Dict[Tuple[str, ...], float]] = {former.name: {} for former in FORMER}
    for metric in metrics:
        yield metric
        for former in FORMER:
            if metric.family.name in former.now:
                _add(metric, former, sums[former.name])
    for former in FORMER:
        yield former.family.of(sums[former.name].items())


def _add(metric: Metric, former: Former, sums: Dict[Tuple[str, ...], float]) -> None:
    for sample in metric.samples:
        if former.only is None or former.only in sample.labels:
            values = dict(sample.labels)
            labels = tuple([values[label] for label in former.labels])
            sums[labels] = sums.get(labels, 0) + sample.value
