# SPDX-License-Identifier: Apache-2.0
"""The text format: as prometheus_client's own encoder writes it, and as its parser reads it."""

from __future__ import annotations

import math
from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import metrics_core as library
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tetrapy.metrics.family import (
    CONTENT_TYPE,
    COUNTER,
    GAUGE,
    HISTOGRAM,
    Family,
    Metric,
    encode,
)
from tetrapy.sensors.histogram import Histogram
from tetrapy.visible import printable

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,12}x", fullmatch=True)
# What is not seen is escaped, see test_visible; line feeds the format itself escapes.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(
    lambda made: "\n".join(map(printable, made.split("\n")))
)
NUMBERS = st.integers(0, 2**64) | st.floats()
THEIRS = {
    COUNTER: library.CounterMetricFamily,
    GAUGE: library.GaugeMetricFamily,
    HISTOGRAM: library.HistogramMetricFamily,
}


@st.composite
def metrics(draw: st.DrawFn) -> tuple[Metric, library.Metric]:
    """Any metric of the three kinds, ours and the library's."""
    labels = tuple(draw(st.lists(NAMES, max_size=3, unique=True).map(sorted)))
    name, documentation = draw(NAMES), draw(TEXTS)
    kind = draw(st.sampled_from((COUNTER, GAUGE, HISTOGRAM)))
    if kind == HISTOGRAM:
        labels = ("op",)
    if kind == COUNTER:
        name += "_total"
    theirs = THEIRS[kind](name, documentation, labels=labels)
    family = Family(name, kind, documentation, labels)
    values = draw(st.lists(st.tuples(*[TEXTS] * len(labels)), max_size=3, unique=True))
    if kind == HISTOGRAM:
        found = {}
        for (value,) in values:
            histogram = found[value] = Histogram((5, 10))
            for figure in draw(st.lists(st.integers(0, 20))):
                histogram.add(figure)
            at_most = list(accumulate(histogram.counts))
            buckets = list(zip(("5", "10", "+Inf"), at_most, strict=True))
            theirs.add_metric((value,), buckets, histogram.sum)
        return family.histogram((5, 10), found, list(found)), theirs
    figures = [(value, draw(NUMBERS)) for value in values]
    for value, figure in figures:
        theirs.add_metric(value, figure)
    return family.of(figures), theirs


class Registry:
    """What prometheus_client's encoder asks."""

    def __init__(self, *metrics: library.Metric) -> None:
        self.metrics = metrics

    def collect(self) -> tuple[library.Metric, ...]:
        return self.metrics


def number(line: str) -> float:
    """The figure at the end of a sample's line."""
    return float(line.rpartition(" ")[2])


def test_the_type_of_the_text() -> None:
    """It is the library's."""
    assert CONTENT_TYPE == CONTENT_TYPE_LATEST


@pytest.mark.slow
@given(st.lists(metrics(), max_size=3))
def test_it_says_what_the_library_says(made: list[tuple[Metric, library.Metric]]) -> None:
    """The same lines but for the writing of numbers, which mean the same."""
    ours = encode(mine for mine, _ in made).decode().split("\n")
    theirs = generate_latest(Registry(*[other for _, other in made])).decode().split("\n")
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        if mine.startswith("#") or not mine:
            assert mine == other
            continue
        assert mine.rpartition(" ")[0] == other.rpartition(" ")[0]
        assert number(mine) == number(other) or math.isnan(number(mine) + number(other))


@pytest.mark.slow
@given(st.dictionaries(st.tuples(TEXTS), st.integers(0, 2**53), max_size=5))
def test_it_is_read_as_it_was_meant(values: dict[tuple[str], int]) -> None:
    """Label values of any text and whole numbers come back."""
    metric = Family("counter_total", COUNTER, "Help", ("label",)).of(values.items())
    (read,) = text_string_to_metric_families(encode([metric]).decode())
    assert {(s.labels["label"],): s.value for s in read.samples} == values


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (0, "0"),
        (2**64 - 1, "18446744073709551615"),
        (1.5, "1.5"),
        (1e300, "1e+300"),
        (math.inf, "+Inf"),
        (-math.inf, "-Inf"),
        (math.nan, "NaN"),
    ],
)
def test_numbers(value: float, written: str) -> None:
    """Whole ones to the last digit, others as Go's parser takes them."""
    metric = Family("gauge", GAUGE, "Help").single(value)
    assert encode([metric]) == f"# HELP gauge Help\n# TYPE gauge gauge\ngauge {written}\n".encode()


def test_nothing_is_nothing() -> None:
    """No families, no text."""
    assert encode([]) == b""
