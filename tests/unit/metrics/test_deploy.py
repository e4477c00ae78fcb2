# SPDX-License-Identifier: Apache-2.0
"""The Grafana dashboard and the alert rules: well formed, and about metrics that there are."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.support.paths import ROOT
from tests.unit.metrics.promql import Asked, asked
from tetrapy.metrics.catalog import CATALOG
from tetrapy.metrics.family import HISTOGRAM

DEPLOY = ROOT / "deploy"
DASHBOARD = json.loads((DEPLOY / "grafana/tetrapy.json").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus/tetrapy.rules.yaml").read_text())
ALERTS = [rule for group in RULES["groups"] for rule in group["rules"]]

# What Prometheus itself says of each target.
OF_PROMETHEUS = {"up"}
OF_TARGETS = {"job", "instance"}


def panels(kind: str | None = None) -> Iterator[dict[str, Any]]:
    """Those of the dashboard that ask for something, or of one kind."""
    for panel in DASHBOARD["panels"]:
        if panel["type"] == kind or (kind is None and panel["type"] != "row"):
            yield panel


QUERIES = [(panel["title"], target) for panel in panels() for target in panel["targets"]]
EXPRESSIONS = [target["expr"] for _, target in QUERIES] + [rule["expr"] for rule in ALERTS]


def labels_of(metric: str) -> set[str]:
    """The labels of a metric as it is stored; fails for one that there is not."""
    if metric in OF_PROMETHEUS:
        return OF_TARGETS
    family = re.sub("_(bucket|sum|count)$", "", metric)
    if family != metric and family in CATALOG:
        assert CATALOG[family].kind == HISTOGRAM
        return {*CATALOG[family].labels, "le", *OF_TARGETS}
    assert metric in CATALOG, f"no such metric: {metric}"
    assert CATALOG[metric].kind != HISTOGRAM
    return {*CATALOG[metric].labels, *OF_TARGETS}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_an_expression_asks_for_what_there_is(expression: str) -> None:
    """Its metrics are in the catalog, and its labels are theirs."""
    found = asked(expression)
    assert found.metrics
    for metric, labels in found.metrics.items():
        assert labels <= labels_of(metric), metric
    assert found.grouped <= set().union(*map(labels_of, found.metrics))


def test_the_reader_of_expressions() -> None:
    """Names, matchers and groupings are found; functions, strings, ranges and words are not."""
    text = (
        'topk(10, sum by (a, b) (rate(m:one{x="y{z=1}", v!~"p|q"}[$__rate_interval])))'
        " / on (c) group_left (d) sum(two) > 100e6 and time() - three unless four == 1"
    )
    metrics = {"m:one": {"x", "v"}, "two": set(), "three": set(), "four": set()}
    assert asked(text) == Asked(metrics, {"a", "b", "c", "d"})


@pytest.mark.parametrize("expression", ["tetragon_no_such", "tetragon_handling_latency"])
def test_what_there_is_not_is_noticed(expression: str) -> None:
    """A wrong name, and a histogram that is asked for as if it were a number."""
    (metric,) = asked(expression).metrics
    with pytest.raises(AssertionError):
        labels_of(metric)


# --- the dashboard -------------------------------------------------------------------------------


def test_the_rows() -> None:
    """What an operator looks for, in the order in which it is looked for."""
    rows = [panel["title"] for panel in panels("row")]
    expected = "Health|Events|Loss by stage|Process cache|Export|Kernel side|Resources"
    assert rows == expected.split("|")


def test_legends_use_labels_of_the_result() -> None:
    """A legend names labels of the metric, or those that it is grouped by."""
    for title, target in QUERIES:
        found = asked(target["expr"])
        there = found.grouped or set().union(*map(labels_of, found.metrics))
        assert set(re.findall(r"{{(\w+)}}", target["legendFormat"])) <= there, title


def test_panels_do_not_overlap() -> None:
    """Each has a place of its own in the grid of 24 columns, and a number of its own."""
    places = set()
    for panel in DASHBOARD["panels"]:
        at = panel["gridPos"]
        assert at["x"] + at["w"] <= 24
        cells = {
            (x, y)
            for x in range(at["x"], at["x"] + at["w"])
            for y in range(at["y"], at["y"] + at["h"])
        }
        assert not cells & places, panel["title"]
        places |= cells
    numbers = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(set(numbers)) == len(numbers)


def test_every_panel_follows_the_variables() -> None:
    """Data source, job and instance are chosen at the top, and each query obeys."""
    variables = {variable["name"]: variable for variable in DASHBOARD["templating"]["list"]}
    assert list(variables) == ["datasource", "job", "instance"]
    for _, target in QUERIES:
        assert target["datasource"]["uid"] == "${datasource}"
        for labels in asked(target["expr"]).metrics.values():
            assert labels >= OF_TARGETS
    for name in ("job", "instance"):
        (metric,) = re.findall(r"label_values\((\w+)", variables[name]["query"]["query"])
        assert name in labels_of(metric)


def test_it_is_for_grafana_10_and_later() -> None:
    """The version of its schema, and what an import needs."""
    assert DASHBOARD["schemaVersion"] == 39
    assert DASHBOARD["uid"] == "tetrapy"
    assert "id" not in DASHBOARD
    references = [target["refId"] for target in next(panels("timeseries"))["targets"]]
    assert references == sorted(set(references))


# --- the rules -----------------------------------------------------------------------------------


def test_every_alert_says_what_and_what_to_do() -> None:
    """Names are unique, and each has a severity, a summary with the instance, a description."""
    names = [rule["alert"] for rule in ALERTS]
    assert len(set(names)) == len(names)
    for rule in ALERTS:
        assert set(rule) <= {"alert", "expr", "for", "labels", "annotations"}
        assert rule["labels"]["severity"] in {"critical", "warning", "info"}
        assert "$labels.instance" in rule["annotations"]["summary"]
        assert rule["annotations"]["description"]


def test_alerts_name_labels_of_the_result() -> None:
    """What stands in braces is a label that the expression leaves."""
    for rule in ALERTS:
        found = asked(rule["expr"])
        there = set().union(OF_TARGETS, *map(labels_of, found.metrics))
        said = re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))
        assert set(said) <= there, rule["alert"]
