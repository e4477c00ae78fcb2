# SPDX-License-Identifier: Apache-2.0
"""Which fields of an event its line shows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.filter_events import THROTTLE, capabilities, executed, exited, process
from tests.support.shown_process import fields
from tetrapy.errors import SettingsError
from tetrapy.events.event import Event
from tetrapy.events.json import JsonEncoder, body_of
from tetrapy.events.schema import EVENTS, FIELDS
from tetrapy.events.text import rfc3339
from tetrapy.filters.field_filters import field_filters_of, parse_field_filters

INIT = process("/sbin/init", pid=1)
EXEC = executed(process("/usr/bin/id", "-u", parent=INIT, capabilities=capabilities(3, 1)), INIT)
EXIT = exited(EXEC.process, 9)


def shown(event: Event, *filters: dict[str, Any]) -> dict[str, Any]:
    """What is left of the event's message."""
    made = parse_field_filters("\n".join(map(json.dumps, filters)), "field-filters")
    assert made is not None
    change = made.of_type(event.type)
    body = body_of(event)
    return body if change is None else change(body)


def test_included_fields_are_all_that_is_shown() -> None:
    """In both spellings; a field that the event does not have is just not there."""
    paths = "process.binary,process.execId, process.cap.effective,parent,signal"
    assert shown(EXEC, {"fields": paths}) == {
        "process": {
            "exec_id": EXEC.process.exec_id,
            "binary": "/usr/bin/id",
            "cap": {"effective": ["CAP_CHOWN"]},
        },
        "parent": fields(INIT),
    }


def test_excluded_fields_are_all_that_is_not_shown() -> None:
    """Other fields stay in their order."""
    expected = body_of(EXEC)
    del expected["process"]["arguments"], expected["parent"]
    one = {"fields": "process.arguments,parent", "action": "EXCLUDE"}
    assert shown(EXEC, one) == expected
    assert list(shown(EXEC, one)["process"]) == list(expected["process"])


def test_a_path_goes_through_lists() -> None:
    """It concerns each element."""
    assert shown(EXEC, {"fields": "ancestors.pid"}) == {"ancestors": [{"pid": 1}]}
    left = shown(EXEC, {"fields": "ancestors.binary", "action": 1})
    assert "binary" not in left["ancestors"][0]
    assert left["ancestors"][0]["pid"] == 1


def test_the_longer_of_two_paths_counts() -> None:
    """As in Tetragon: `process` beside `process.pid` adds nothing."""
    assert shown(EXEC, {"fields": "process,process.pid"}) == {"process": {"pid": 100}}


@pytest.mark.parametrize(
    ("types", "inverted", "changed"),
    [
        ([], False, (True, True, True)),
        ([], True, (True, True, True)),
        (["PROCESS_EXEC"], False, (True, False, False)),
        (["PROCESS_EXEC"], True, (False, True, True)),
        (["PROCESS_EXIT", 27], False, (False, True, True)),
    ],
)
def test_a_filter_is_for_types_of_events(
    types: list[Any], inverted: bool, changed: tuple[bool, ...]
) -> None:
    """Those in event_set, all others if that is inverted, and all without it."""
    one = {"event_set": types, "invert_event_set": inverted, "fields": "process.pid"}
    for event, expected in zip((EXEC, EXIT, THROTTLE), changed, strict=True):
        assert (shown(event, one) != body_of(event)) == expected


def test_filters_are_applied_in_turn() -> None:
    """What one took away the next cannot bring back."""
    first = {"fields": "process.pid,process.binary"}
    assert shown(EXEC, first, {"fields": "process.pid", "action": "EXCLUDE"}) == {
        "process": {"binary": "/usr/bin/id"}
    }
    assert shown(EXEC, first, {"fields": "parent"}) == {}


def test_a_filter_without_fields_changes_nothing() -> None:
    """Of either action."""
    made = parse_field_filters('{"action":"EXCLUDE"}{"event_set":[1]}', "field-filters")
    assert made is not None
    assert made.of_type("PROCESS_EXEC") is None


def test_what_every_event_has_stays() -> None:
    """The encoder writes node name, time and the rest, whatever the body."""
    made = parse_field_filters('{"fields": "parent.pid"}', "field-filters")
    assert made is not None
    line = JsonEncoder("node").encode(EXEC, made.of_type(EXEC.type))
    assert json.loads(line) == {
        "process_exec": {"parent": {"pid": 1}},
        "node_name": "node",
        "time": rfc3339(EXEC.time),
    }


def test_an_event_is_not_changed_itself() -> None:
    """Another output may show it whole."""
    body = body_of(EXEC)
    before = json.dumps(body)
    made = parse_field_filters('{"fields":"process.cap,ancestors.pid","action":1}', "x")
    assert made is not None
    change = made.of_type("PROCESS_EXEC")
    assert change is not None
    change(body)
    assert json.dumps(body) == before


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"fields":"process.bad"}', "there is no field process.bad"),
        ('{"fields":"proces"}', "there is no field proces"),
        ('{"fields":"process.pid.value"}', "there is no field process.pid.value"),
        ('{"fields":"process."}', "there is no field process."),
        ('{"fields":"process.pid,,parent"}', "there is no field "),
        ('{"fields":"args..x","event_set":[9]}', "there is no field args..x"),
        ('{"fields":"cgroup","event_set":[1]}', "there is no field cgroup"),
        ('{"fields":"status","event_set":["PROCESS_EXEC"]}', "there is no field status"),
        ('{"fields":["process"]}', '"fields" is a string of paths'),
        ('{"fields":"process","action":"KEEP"}', '"KEEP" is no action, such as INCLUDE, EXCLUDE'),
        ('{"fields":"process","action":2}', "2 is no action"),
        ('{"fields":"process","invert_event_set":1}', "is true or false"),
        ('{"events":[]}', 'there is no field "events"'),
    ],
)
def test_a_mistake_is_an_error(text: str, said: str) -> None:
    """With list and line; a path that no event of these types has is one."""
    with pytest.raises(SettingsError) as info:
        parse_field_filters(text, "field-filters")
    assert str(info.value).startswith("field-filters, line 1: ")
    assert said in str(info.value)


@pytest.mark.parametrize("path", ["args.int_arg", "process.pod.podLabels", "functionName"])
def test_fields_of_events_that_come_later_are_known(path: str) -> None:
    """A filter written for Tetragon's policies is accepted."""
    assert parse_field_filters(json.dumps({"fields": path}), "x") is not None
    assert field_filters_of([{"fields": path, "eventSet": ["PROCESS_KPROBE"]}], "x") is not None


def every_path(message: str) -> list[str]:
    """All paths in a message, three levels deep."""
    found = []
    for name, row in FIELDS[message].items():
        found.append(name)
        inner = row.element
        if inner in FIELDS and inner not in {"Process", "Namespaces"}:
            found += [f"{name}.{path}" for path in every_path(inner)]
    return found


def has(body: Any, path: list[str]) -> bool:
    """Whether the field is in the body."""
    if isinstance(body, list):
        return any(has(one, path) for one in body)
    if not isinstance(body, dict) or path[0] not in body:
        return False
    return len(path) == 1 or has(body[path[0]], path[1:])


@given(st.lists(st.sampled_from(every_path("Process")), min_size=1, max_size=4, unique=True))
def test_including_and_excluding_are_opposites(paths: list[str]) -> None:
    """For paths of which none leads to another: a field is in one of the results or the other."""
    if any(one != two and f"{one}.".startswith(f"{two}.") for one in paths for two in paths):
        return
    fields = ",".join(f"process.{path}" for path in paths)
    body = body_of(EXEC)
    inside = shown(EXEC, {"fields": fields})
    outside = shown(EXEC, {"fields": fields, "action": "EXCLUDE"})
    for path in paths:
        full = ["process", *path.split(".")]
        assert has(inside, full) == has(body, full)
        assert not has(outside, full)
    assert "parent" not in inside
    assert outside["parent"] == body["parent"]


def test_the_message_tables_are_the_events() -> None:
    """Every field that an event can show has its row."""

    def check(body: dict[str, Any], message: str) -> None:
        for name, content in body.items():
            kind = FIELDS[message][name].element
            for one in content if isinstance(content, list) else [content]:
                if isinstance(one, dict):
                    check(one, kind)

    for event in (EXEC, EXIT, THROTTLE):
        check(body_of(event), EVENTS[event.name])
