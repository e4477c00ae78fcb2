# SPDX-License-Identifier: Apache-2.0
"""The line of parents."""

from __future__ import annotations

import os
from itertools import pairwise

from tests.kernel.conftest import Stage
from tests.support.events import Event, check_event


def line(event: Event) -> list[str]:
    return [one["exec_id"] for one in event.body.get("ancestors", [])]


def check_line(event: Event) -> None:
    """Each is the parent of the one before; the first is the parent's own parent."""
    check_event(event)
    ancestors = event.body["ancestors"]
    assert event.parent is not None
    assert ancestors[0]["exec_id"] == event.parent["parent_exec_id"]
    for one, next_one in pairwise(ancestors):
        assert one["parent_exec_id"] == next_one["exec_id"]
    assert ancestors[-1]["pid"] in {1, 2}


def test_from_the_grandparent_to_the_first_process(telling: Stage) -> None:
    """All processes between, those of the tests included, which are older than the agent."""
    telling.run("fork", "exec", telling.actor, telling.tag, "exit", 0)
    for event in telling.events():
        check_line(event)
    pids = [one["pid"] for one in telling.events()[1].body["ancestors"]]
    assert pids[0] == os.getpid()


def test_images_without_a_fork(telling: Stage) -> None:
    """Each image that was replaced is an ancestor of the next."""
    again = ("exec", telling.actor, telling.tag)
    telling.run(*again, *again, *again, "exit", 0)
    events = telling.events()
    for event in events:
        check_line(event)
    ids = [event.id for event in events[:-1]]
    assert line(events[3])[:2] == ids[1::-1]
    assert line(events[4])[:2] == ids[1::-1]


def test_ancestors_that_ended(telling: Stage) -> None:
    """A process that outlived its parent shows it, and whom it had as parent."""
    telling.run("subreaper", "fork", "outlived", "exit", 8)
    events = telling.events()
    orphan = next(event for event in events if event.status == 8)
    check_line(orphan)
    assert line(orphan)[0] == events[0].id


def test_a_process_that_only_forked(telling: Stage) -> None:
    """It is among the ancestors with its own id."""
    telling.run("fork", "fork", "exec", telling.actor, telling.tag, "exit", 0)
    events = telling.events()
    image = next(event for event in events[1:] if event.kind == "exec")
    check_line(image)
    assert image.parent is not None
    assert image.parent["refcnt"] == 1
    assert line(image)[0] == events[0].id


def test_a_long_chain(telling: Stage) -> None:
    """128 images are reported, the nearest."""
    telling.run("countdown", telling.actor, 150)
    last = telling.execs()[-1]
    assert len(last.body["ancestors"]) == 128
    assert {one["pid"] for one in last.body["ancestors"]} == {last.pid}
