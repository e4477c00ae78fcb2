# SPDX-License-Identifier: Apache-2.0
"""The text format: as prometheus_client's own encoder writes it, and as its parser reads it."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.parser import text_string_to_metric_families

from tetrapy.metrics import text
from tetrapy.visible import printable

NAMES = st.from_regex(r"[a-z_][a-z0-9_]{0,12}x", fullmatch=True)
# What is not seen is escaped, see test_visible; line feeds the format itself escapes.
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20).map(
    lambda made: "\n".join(map(printable, made.split("\n")))
)
NUMBERS = st.integers(0, 2**64) | st.floats()


@st.composite
def families(draw: st.DrawFn) -> Metric:
    """Any family of the three kinds."""
    labels = draw(st.lists(NAMES, max_size=3, unique=True).map(sorted))
    name, documentation = draw(NAMES), draw(TEXTS)
    kind = draw(st.sampled_from((CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily)))
    family = kind(name, documentation, labels=labels)
    values = st.tuples(*[TEXTS] * len(labels))
    for value in draw(st.lists(values, max_size=3, unique=True)):
        if isinstance(family, HistogramMetricFamily):
            family.add_metric(value, [("5", draw(NUMBERS)), ("+Inf", draw(NUMBERS))], draw(NUMBERS))
        else:
            family.add_metric(value, draw(NUMBERS))
    return family


class Registry:
    """What prometheus_client's encoder asks."""

    def __init__(self, *metrics: Metric) -> None:
        self.metrics = metrics

    def collect(self) -> tuple[Metric, ...]:
        return self.metrics


def number(line: str) -> float:
    """The figure at the end of a sample's line."""
    return float(line.rpartition(" ")[2])


def test_the_type_of_the_text() -> None:
    """It is the library's."""
    assert text.CONTENT_TYPE == CONTENT_TYPE_LATEST


@given(st.lists(families(), max_size=3))
def test_it_says_what_the_library_says(metrics: list[Metric]) -> None:
    """The same lines but for the writing of numbers, which mean the same."""
    ours = text.encode(metrics).decode().split("\n")
    theirs = generate_latest(Registry(*metrics)).decode().split("\n")
    assert len(ours) == len(theirs)
    for mine, other in zip(ours, theirs, strict=True):
        if mine.startswith("#") or not mine:
            assert mine == other
            continue
        assert mine.rpartition(" ")[0] == other.rpartition(" ")[0]
        assert number(mine) == number(other) or math.isnan(number(mine) + number(other))


@given(st.dictionaries(st.tuples(TEXTS), st.integers(0, 2**53), max_size=5))
def test_it_is_read_as_it_was_meant(values: dict[tuple[str], int]) -> None:
    """Label values of any text and whole numbers come back."""
    family = CounterMetricFamily("counter", "Help", labels=["label"])
    for label, value in values.items():
        family.add_metric(label, value)
    (read,) = text_string_to_metric_families(text.encode([family]).decode())
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
    family = GaugeMetricFamily("gauge", "Help", value=value)
    assert (
        text.encode([family])
        == f"# HELP gauge Help\n# TYPE gauge gauge\ngauge {written}\n".encode()
    )


def test_nothing_is_nothing() -> None:
    """No families, no text."""
    assert text.encode([]) == b""
