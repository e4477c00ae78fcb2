# SPDX-License-Identifier: Apache-2.0
"""The one description of messages, and what is derived from it."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from tests.support.every_event import every_event
from tests.support.json_schema import mistakes
from tests.support.paths import ROOT
from tests.support.records import DATA, NODE
from tetrapy.config.table import SETTINGS
from tetrapy.events.calls import (
    CallEvent,
)
from tetrapy.events.event import Event
from tetrapy.events.json import JsonEncoder
from tetrapy.events.schema import (
    CONVERSIONS,
    ENUMS,
    ENVELOPE,
    EVENTS,
    FIELDS,
    MADE,
    MESSAGES,
    SCALARS,
)
from tetrapy.events.schema.field import OWN, Field
from tools.event_docs.files import files

SCHEMA = json.loads((ROOT / "docs/events.schema.json").read_text())
ALL = {**MESSAGES, "GetEventsResponse": ENVELOPE}


@pytest.mark.parametrize("path", sorted(files()))
def test_nothing_is_stale(path: str) -> None:
    """`python3 -m tools.event_docs` writes what is committed."""
    assert (ROOT / path).read_text() == files()[path], "run python3 -m tools.event_docs"


def classes(base: type[Event] = Event) -> list[type[Event]]:
    return [one for inner in base.__subclasses__() for one in (inner, *classes(inner))]


def test_every_event_has_a_class_of_its_messages_name() -> None:
    """And every class a row."""
    made = {one.name: (one.__name__, one.type) for one in classes() if one is not CallEvent}
    assert made == {name: (EVENTS[name], name.upper()) for name in MADE}


def test_rows_are_consistent() -> None:
    """Numbers and names are unique, types known, sources and settings there."""
    settings = {setting.name for setting in SETTINGS}
    for message, rows in ALL.items():
        assert len({row.number for row in rows}) == len({row.name for row in rows}) == len(rows)
        for row in rows:
            where = f"{message}.{row.name}"
            assert row.element in {*SCALARS, *ENUMS, *MESSAGES}, where
            assert not row.setting or row.setting in settings, where
            assert not row.through or row.through in CONVERSIONS, where
            assert row.help or not row.is_filled or message == "Namespaces", where


def documented() -> dict[str, dict[str, tuple[int, str]]]:
    """Message -> field -> number and type, of Tetragon."""
    found: dict[str, dict[str, tuple[int, str]]] = {}
    for line in (ROOT / "tests/data/tetragon_messages.tsv").read_text().splitlines()[1:]:
        message, name, number, kind = line.split("\t")
        found.setdefault(message, {})[name] = int(number), kind
    return found


def as_documented(row: Field) -> tuple[int, str]:
    kind = "map<string, string>" if row.type == "map" else row.element
    return row.number, f"repeated {kind}" if row.is_repeated else kind


WITH_OWN = {"Process", "Container"}  # messages with a field that Tetragon does not have


def test_numbers_and_types_are_tetragons() -> None:
    """All fields of each message, and of tetrapy's own only those that say so."""
    known = documented()
    for message, rows in ALL.items():
        own = {row.name for row in rows if row.number >= OWN and message in WITH_OWN}
        ours = {row.name: as_documented(row) for row in rows if row.name not in own}
        if message != "ExecutedFile":
            assert ours == known[message], message


def golden_lines() -> list[Any]:
    paths = sorted(DATA.glob("*.jsonl"))
    return [
        pytest.param(json.loads(line), id=f"{path.stem}-{number}")
        for path in paths
        for number, line in enumerate(path.read_text("utf-8").splitlines())
    ]


@pytest.mark.parametrize("line", golden_lines())
def test_golden_lines_are_valid(line: dict[str, Any]) -> None:
    """Every field that they have is in the schema."""
    if set(line) & set(MADE):
        assert mistakes(line, SCHEMA, strict=True) == []


@pytest.mark.parametrize("number", range(len(every_event())))
def test_every_event_is_valid(number: int) -> None:
    """With all that settings can ask for, an aggregated line too."""
    line = json.loads(JsonEncoder(NODE, "cluster").encode(every_event()[number], count=3))
    assert mistakes(line, SCHEMA, strict=True) == []
    assert set(line) - set(MADE) == {"node_name", "time", "aggregation_info", "cluster_name"}
    names = [row.name for row in ENVELOPE]
    assert sorted(line, key=names.index) == list(line)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        (("process_exec", "process", "pid"), "7"),
        (("process_exec", "process", "pid"), -1),
        (("process_exec", "process", "in_init_tree"), 1),
        (("process_exec", "process", "start_time"), "yesterday"),
        (("process_exec", "process", "cap", "permitted"), ["CAP_NONE"]),
        (("process_exec", "process", "environment_variables"), {}),
        (("process_exec", "process", "process_credentials", "uid"), True),
        (("process_exec", "ancestors"), [[]]),
        (("aggregation_info", "count"), 3),
        (("process_exit",), {}),
        (("node_name",), None),
    ],
)
def test_the_schema_refuses_what_is_wrong(path: tuple[str, ...], value: object) -> None:
    """Types, ranges, enums, lists, and two events in one line."""
    line = json.loads(JsonEncoder(NODE).encode(every_event()[0], count=3))
    changed = copy.deepcopy(line)
    node = changed
    for name in path[:-1]:
        node = node[name]
    node[path[-1]] = value
    assert mistakes(line, SCHEMA) == []
    assert mistakes(changed, SCHEMA) != []


def test_what_the_schema_does_not_know_is_no_mistake() -> None:
    """A line of a later release is valid, but not strictly."""
    line = json.loads(JsonEncoder(NODE).encode(every_event()[0]))
    line["process_exec"]["process"]["new_field"] = 1
    assert mistakes(line, SCHEMA) == []
    unknown = "line.process_exec.process: no field new_field in the schema"
    assert mistakes(line, SCHEMA, strict=True) == [unknown]


def test_the_document_has_every_field() -> None:
    """Of each message that events have, with its number."""
    text = (ROOT / "docs/events.md").read_text()
    for message, rows in MESSAGES.items():
        for row in rows:
            if row.is_filled:
                assert f"| `{row.name}` | {row.number} | " in text, f"{message}.{row.name}"
    assert set(FIELDS) == set(MESSAGES)
