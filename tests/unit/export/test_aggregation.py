# SPDX-License-Identifier: Apache-2.0
"""Events that tell the same become one line."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.filter_events import THROTTLE, capabilities, executed, exited, process
from tetrapy.events.event import Event
from tetrapy.events.json import JsonEncoder
from tetrapy.export.aggregation import Aggregator

SHELL = process("/bin/sh", pid=1)


def run(binary: str = "/usr/bin/id", **more: Any) -> Event:
    """An exec by a shell."""
    return executed(process(binary, parent=SHELL, **more))


def counts(lines: list[tuple[Event, int]]) -> list[tuple[str, int]]:
    """Binary and count of each line."""
    return [(event.process.binary if event.process else "", count) for event, count in lines]


def test_equal_events_are_one_line_with_the_first_of_them() -> None:
    """Lines come in the order of their first events, when the window ends."""
    aggregator = Aggregator(window=10, buffer_size=100)
    first = run(pid=5)
    assert aggregator.due_at is None
    assert aggregator.add([first, run("/bin/ls"), run(pid=6)], 100) == []
    assert aggregator.due_at == 110
    assert aggregator.add([run(pid=7)], 109) == []
    lines = aggregator.flush()
    assert lines[0][0] is first
    assert counts(lines) == [("/usr/bin/id", 3), ("/bin/ls", 1)]
    assert aggregator.flush() == []
    assert aggregator.due_at is None


def test_a_window_ends_by_itself_when_events_come() -> None:
    """The next one begins with the first event after it."""
    aggregator = Aggregator(window=10, buffer_size=100)
    aggregator.add([run()], 100)
    assert counts(aggregator.add([run()], 110)) == [("/usr/bin/id", 1)]
    assert aggregator.due_at == 120


def test_a_full_buffer_is_written_early() -> None:
    """In order, and nothing is lost."""
    aggregator = Aggregator(window=10, buffer_size=2)
    lines = aggregator.add([run("a"), run("b"), run("a"), run("c"), run("a")], 0)
    assert counts(lines) == [("a", 2), ("b", 1)]
    assert counts(aggregator.flush()) == [("c", 1), ("a", 1)]


@pytest.mark.parametrize("size", [0, 1])
def test_a_buffer_has_room_for_one_line_at_least(size: int) -> None:
    """Runs of equal events are merged even then."""
    aggregator = Aggregator(window=10, buffer_size=size)
    lines = aggregator.add([run("a"), run("a"), run("b")], 0)
    assert counts([*lines, *aggregator.flush()]) == [("a", 2), ("b", 1)]


@pytest.mark.parametrize(
    "different",
    [
        {"binary": "/bin/ls"},
        {"arguments": "-u"},
        {"cwd": "/tmp"},
        {"uid": 1},
        {"auid": 1},
        {"docker": "abc"},
        {"flags": 1},
        {"capabilities": capabilities(1)},
        {"environment": (("A", "b"),)},
    ],
)
def test_events_that_differ_in_what_matters_are_not_merged(different: dict[str, Any]) -> None:
    """Who ran what, with which rights, where."""
    aggregator = Aggregator(window=10, buffer_size=100)
    aggregator.add([run(), run(**different)], 0)
    assert [count for _, count in aggregator.flush()] == [1, 1]


def test_parents_of_other_binaries_and_other_ends_are_not_merged() -> None:
    """Nor are events of other types, nor events about no process."""
    aggregator = Aggregator(window=10, buffer_size=100)
    other = executed(process(parent=process("/bin/dash", pid=1)))
    alone = executed(process())
    ends = [exited(run().process, code) for code in (0, 0, 256, 9)]  # type: ignore[arg-type]
    aggregator.add([run(), other, alone, *ends, THROTTLE, THROTTLE], 0)
    assert [count for _, count in aggregator.flush()] == [1, 1, 1, 2, 1, 1, 2]


def test_a_line_tells_its_count_if_it_is_more_than_one() -> None:
    """The encoder writes aggregation_info for a count."""
    encoder = JsonEncoder("node")
    event = run()
    line = json.loads(encoder.encode(event, count=3))
    assert line["aggregation_info"] == {"count": "3"}
    assert "aggregation_info" not in json.loads(encoder.encode(event))


@pytest.mark.slow
@given(
    st.lists(
        st.tuples(
            st.integers(0, 7),
            st.lists(st.tuples(st.sampled_from("abcd"), st.integers(0, 2)), max_size=8),
        ),
        max_size=12,
    ),
    st.integers(0, 10),
    st.integers(0, 5),
)
def test_nothing_is_lost_or_counted_twice(
    batches: list[tuple[int, list[tuple[str, int]]]], window: int, size: int
) -> None:
    """The counts add up to the events, for each kind of event; no line waits too long."""
    aggregator = Aggregator(window, size)
    now = 0
    given_to, lines = [], []
    for pause, events in batches:
        now += pause
        made = [run(binary, uid=uid) for binary, uid in events]
        given_to += events
        lines += aggregator.add(made, now)
        assert aggregator.due_at is None or now <= aggregator.due_at <= now + window
        assert len(aggregator._waiting) <= max(size, 1)
    lines += aggregator.flush()
    reported: dict[tuple[str, int], int] = {}
    for event, count in lines:
        assert event.process
        key = (event.process.binary, event.process.uid)
        reported[key] = reported.get(key, 0) + count
    assert reported == {key: given_to.count(key) for key in given_to}
