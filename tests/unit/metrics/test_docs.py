# SPDX-License-Identifier: Apache-2.0
"""docs/metrics.md and the catalog, and both beside the list of Tetragon's metrics."""

from __future__ import annotations

import re

from tests.support.paths import DATA, ROOT
from tetrapy.metrics.catalog import CATALOG, EVENTS, GROUPS, HEALTH, RESOURCES
from tetrapy.metrics.collectors import ALWAYS_ZERO
from tetrapy.metrics.counters import CAPACITY, MAX_LENGTH
from tetrapy.metrics.deprecated_names import DEPRECATED
from tetrapy.metrics.family import Family
from tetrapy.metrics.health import TIMEOUT

TEXT = (ROOT / "docs/metrics.md").read_text()
HEADINGS = {HEALTH: "Health: always", EVENTS: "Events: while", RESOURCES: "Resources: always"}


def section(heading: str) -> str:
    """The text below a heading that begins so, up to the next."""
    found = re.search(rf"^#+ {heading}.*?\n(.*?)(?=^#|\Z)", TEXT, re.MULTILINE | re.DOTALL)
    assert found, heading
    return found[1]


def rows(heading: str) -> list[list[str]]:
    """The cells of the table below a heading."""
    lines = [line for line in section(heading).splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]


def row(family: Family) -> list[str]:
    """A metric's row, as the document has it."""
    return [f"`{family.name}`", family.kind, ", ".join(family.labels), family.help]


def tetragons() -> dict[str, tuple[str, tuple[str, ...]]]:
    """Name -> type and labels of every metric that Tetragon has."""
    text = (DATA / "tetragon_metrics.txt").read_text()
    fields = [line.split() for line in text.splitlines() if not line.startswith("#")]
    return {
        name: (kind, tuple(",".join(labels).split(",")) if labels else ())
        for name, kind, *labels in fields
    }


def test_every_metric_has_its_row() -> None:
    """In the table of its group, in the catalog's order, with its type, labels and help."""
    for group, heading in HEADINGS.items():
        expected = [row(family) for name, family in CATALOG.items() if GROUPS[name] == group]
        assert rows(heading) == expected


def test_names_of_tetragon_mean_what_they_mean_there() -> None:
    """Their type and labels are Tetragon's; only names of tetrapy's own are new."""
    known = tetragons()
    ours = {n: (f.kind, f.labels) for n, f in CATALOG.items() if n.startswith("tetragon_")}
    assert ours == {name: known[name] for name in ours}
    others = {name.partition("_")[0] for name in CATALOG.keys() - ours}
    assert others == {"tetrapy", "process", "promhttp"}


def test_what_is_not_served_is_reported_with_the_reason() -> None:
    """Each of Tetragon's metrics is in the catalog or in the table of those that are not."""
    absent = {name.strip("`"): why for name, why in rows("Not served")}
    assert absent.keys() == tetragons().keys() - CATALOG.keys()
    assert all(absent.values())


def test_former_names_are_reported() -> None:
    """Each with its labels and where its figures are now; none is a name of today."""
    reported = {
        (name.split("`")[1], tuple(re.findall(r"`(\w+)`", now))) for name, now in rows("Former")
    }
    assert reported == {(old.name, old.now) for old in DEPRECATED}
    labels = {name.split("`")[1]: re.findall(r" by (\w+)", name) for name, _ in rows("Former")}
    assert labels == {old.name: list(old.labels) for old in DEPRECATED}
    assert not {old.name for old in DEPRECATED} & (CATALOG.keys() | tetragons().keys())
    for old in DEPRECATED:
        assert all(set(old.labels) <= set(CATALOG[name].labels) for name in old.now)


def test_figures_that_are_always_0_are_reported() -> None:
    """All of them and no other."""
    named = re.findall(r"`(tetragon_\w+)`", section("Figures that are always 0"))
    assert sorted(named) == sorted(ALWAYS_ZERO)


def test_every_metric_that_the_text_names_exists() -> None:
    """But for those that are told not to be served, and the former ones."""
    named = set(re.findall(r"`((?:tetragon|tetrapy|process)_\w+)`", TEXT))
    events = {"process_throttle"}
    absent = {name.strip("`") for name, _ in rows("Not served")}
    assert named - absent - {old.name for old in DEPRECATED} - events <= CATALOG.keys()


def test_the_stages_of_loss() -> None:
    """Each stage has a counter of the catalog, and but for the two landmarks something to do."""
    stages = rows("Where an event can be lost")
    for stage, counters, advice in stages:
        named = re.findall(r"`(\w+)`", counters)
        assert named
        assert all(CATALOG[name].kind == "counter" for name in named if name in CATALOG)
        assert bool(advice) != stage.startswith("*")
    reported = {name for _, counters, _ in stages for name in re.findall(r"`(\w+)`", counters)}
    losses = {
        "tetragon_bpf_missed_events_total",
        "tetragon_missed_prog_probes_total",
        "tetragon_observer_ringbuf_events_lost_total",
        "tetragon_handler_errors_total",
        "tetragon_export_ratelimit_events_dropped_total",
        "tetrapy_export_lost_lines_total",
    }
    assert losses <= reported <= CATALOG.keys()


def test_the_numbers_are_those_of_the_code() -> None:
    """Limits of series and of names, and the patience of health."""
    text = " ".join(TEXT.split())
    assert f"at most {CAPACITY:,} series" in text
    assert f"more than {MAX_LENGTH} characters" in text
    assert f"not turned for {TIMEOUT:.0f} seconds" in text
