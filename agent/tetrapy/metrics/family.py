# SPDX-License-Identifier: Apache-2.0
"""A row of the catalog, and the family of samples that is made of it."""

from __future__ import annotations

from itertools import accumulate
from typing import Iterable, Mapping, Sequence, Tuple

from tetrapy.metrics.prometheus import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from tetrapy.named import NamedTuple
from tetrapy.sensors.histogram import Histogram

COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"

Labelled = Iterable[Tuple[Sequence[str], float]]


class Family(NamedTuple):
    """What a metric is called, what it is, and the names of its labels in alphabetical order."""

    name: str
    kind: str
    help: str
    labels: Tuple[str, ...] = ()

    def single(self, value: float) -> Metric:
        """The family of a metric without labels."""
        return self.of([((), value)])

    def by_label(self, values: Mapping[str, float]) -> Metric:
        """The family of a metric with one label: its value -> the figure."""
        return self.of([((label,), value) for label, value in values.items()])

    def of(self, values: Labelled) -> Metric:
        """The family of a metric with labels: their values in the order of `labels`, the figure."""
        make = CounterMetricFamily if self.kind == COUNTER else GaugeMetricFamily
        metric = make(self.name, self.help, labels=self.labels)
        for labels, value in values:
            metric.add_metric(labels, value)
        return metric

    def histogram(
        self, bounds: Sequence[int], values: Mapping[str, Histogram], known: Iterable[str]
    ) -> Metric:
        """The family of a histogram with one label; of its `known` values some may have no figure.

        `bounds`: the largest figure of each bucket but the last.
        """
        metric = HistogramMetricFamily(self.name, self.help, labels=self.labels)
        ends = [*map(str, bounds), "+Inf"]
        for label in known:
            found = values.get(label)
            counts = [0] * len(ends) if found is None else found.counts
            buckets = list(zip(ends, accumulate(counts)))
            metric.add_metric((label,), buckets, 0 if found is None else found.sum)
        return metric
