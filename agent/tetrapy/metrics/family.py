# SPDX-License-Identifier: Apache-2.0
"""Families of metrics, their samples, and Prometheus's text format, version 0.0.4, of them.

https://prometheus.io/docs/instrumenting/exposition_formats/ describes the format.
docs/decisions/metrics.md says why prometheus_client is not used for it.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Iterable, List, Mapping, Protocol, Sequence, Tuple

from tetrapy.named import NamedTuple
from tetrapy.sensors.histogram import Histogram
from tetrapy.visible import as_ascii

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
COUNTER, GAUGE, HISTOGRAM = "counter", "gauge", "histogram"

Labelled = Iterable[Tuple[Sequence[str], float]]


class Sample(NamedTuple):
    """One line of the text: the sample's name, its labels in alphabetical order, its value."""

    name: str
    labels: Tuple[Tuple[str, str], ...]
    value: float


class Family(NamedTuple):
    """What a metric is called, what it is, and the names of its labels in alphabetical order."""

    name: str
    kind: str
    help: str
    labels: Tuple[str, ...] = ()

    def single(self, value: float) -> Metric:
        """The samples of a metric without labels."""
        return self.of([((), value)])

    def by_label(self, values: Mapping[str, float]) -> Metric:
        """The samples of a metric with one label: its value -> the figure."""
        return self.of([((label,), value) for label, value in values.items()])

    def of(self, values: Labelled) -> Metric:
        """The samples of a metric with labels: label values in the order of `labels`."""
        names = self.labels
        return Metric(
            self, [Sample(self.name, tuple(zip(names, labels)), value) for labels, value in values]
        )

    def histogram(
        self, bounds: Sequence[int], values: Mapping[str, Histogram], known: Iterable[str]
    ) -> Metric:
        """The samples of a histogram with one label; of its `known` values some have no figure.

        `bounds`: the largest figure of each bucket but the last.
        """
        ends = [*map(str, bounds), "+Inf"]
        (name,) = self.labels
        samples = []
        for value in known:
            found = values.get(value)
            label = (name, value)
            counts = list(accumulate([0] * len(ends) if found is None else found.counts))
            for end, count in zip(ends, counts):
                labels = tuple(sorted((label, ("le", end))))
                samples.append(Sample(f"{self.name}_bucket", labels, count))
            samples.append(Sample(f"{self.name}_count", (label,), counts[-1]))
            samples.append(Sample(f"{self.name}_sum", (label,), 0 if found is None else found.sum))
        return Metric(self, samples)


class Metric(NamedTuple):
    """A family with the samples of a moment."""

    family: Family
    samples: List[Sample]


class Collector(Protocol):
    """What has figures, and is asked for them in the thread of the server."""

    def collect(self) -> Iterable[Metric]:
        """The metrics of this moment."""


def encode(metrics: Iterable[Metric]) -> bytes:
    """The text of the metrics."""
    lines: List[str] = []
    for family, samples in metrics:
        lines.append(f"# HELP {family.name} {_escape(family.help)}")
        lines.append(f"# TYPE {family.name} {family.kind}")
        for name, labels, value in samples:
            text = ",".join([f'{label}="{_quote(content)}"' for label, content in labels])
            braced = f"{{{text}}}" if text else ""
            lines.append(f"{name}{braced} {_number(value)}")
    lines.append("")
    return "\n".join(lines).encode("utf-8", "replace")


def _escape(text: str) -> str:
    return text.replace("\\", "\\\\").replace("\n", "\\n")


def _quote(text: str) -> str:
    """The value of a label. The format escapes three characters; others that are not seen it lacks
    a way for, so their escapes are part of the value, and of all beyond ASCII beside them.
    """
    return _escape(as_ascii(text)).replace('"', '\\"')


def _number(value: float) -> str:
    """As Go reads it: whole numbers to the last digit, `+Inf`, `-Inf`, `NaN`."""
    if isinstance(value, int):
        return f"{value:d}"
    text = repr(value)
    return {"inf": "+Inf", "-inf": "-Inf", "nan": "NaN"}.get(text, text)
