# SPDX-License-Identifier: Apache-2.0
"""Random lives: whatever processes do one after the other, a simple model knows what is
reported.
"""

from __future__ import annotations

import itertools

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.kernel.conftest import Stage
from tests.support.agent import Agent
from tests.support.events import Event, check_event

_images = itertools.count()


class Process:
    """One process of the model: the image that it runs, and its real parent."""

    def __init__(self, parent: Process | None, image: int, *, executed: bool) -> None:
        self.parent = parent
        self.image = image
        self.executed = executed  # else the image is a copy of its creator's


class Model:
    """What the words make: images in the order of their execs, and how each process ends.

    An image is a number; `execs` has (image, its parent image), `exits` (image, parent image).
    """

    def __init__(self, words: list[str]) -> None:
        self.root = Process(None, next(_images), executed=True)
        self.execs = [(self.root.image, -1)]
        self.exits: list[tuple[int, int]] = []
        self.copies: set[int] = set()
        self._parents = {self.root.image: -1}
        current = self.root
        everyone = [current]
        for word in ["fork", *words]:
            if word == "exec":
                current = self._execute(current)
            elif word != "thread":
                current = self._clone(current, word)
                everyone.append(current)
        self.last = current
        self.exits = [(process.image, self._parents[process.image]) for process in everyone]

    def _execute(self, process: Process) -> Process:
        before = process.image
        if process.executed:
            parent = before
        else:
            assert process.parent is not None
            parent = process.parent.image
        process.image, process.executed = next(_images), True
        self._parents[process.image] = parent
        self.execs.append((process.image, parent))
        return process

    def _clone(self, maker: Process, word: str) -> Process:
        parent = maker.parent if word == "sibling" else maker
        assert parent is not None
        child = Process(parent, next(_images), executed=False)
        self._parents[child.image] = parent.image
        self.copies.add(child.image)
        if word == "outlived":
            child.parent = self.root  # which adopts it when the maker is gone
        return child


def compare(model: Model, events: list[Event]) -> None:
    """The events are those of the model; exec_ids stand for images one to one."""
    ids: dict[int, str] = {}

    def is_image(image: int, exec_id: str) -> None:
        if image >= 0:
            assert ids.setdefault(image, exec_id) == exec_id, (image, events)

    for event in events:
        check_event(event)
    execs = [event for event in events if event.kind == "exec"]
    exits = [event for event in events if event.kind == "exit"]
    assert len(execs) == len(model.execs), events
    assert len(exits) == len(model.exits), events
    for event, (image, parent) in zip(execs, model.execs, strict=True):
        is_image(image, event.id)
        is_image(parent, event.process["parent_exec_id"])
        assert event.parent is not None
        replaced = (
            parent in {image for image, _ in model.execs} and event.pid == event.parent["pid"]
        )
        assert event.flags == (["execve"] if replaced else ["execve", "clone"])
    # Ends come in any order: those of executed images are known by their id, the others by status.
    (last,) = [event for event in exits if event.status == 9]
    is_image(model.last.image, last.id)
    expected = {ids[image]: parent for image, parent in model.exits if image in ids}
    for event in exits:
        if event.id in expected:
            is_image(expected[event.id], event.process["parent_exec_id"])
        assert bool(event.process.get("refcnt")) == (event.id not in {e.id for e in execs})
    assert len({event.id for event in exits}) == len(exits)
    assert len(set(ids.values())) == len(ids)


@pytest.fixture
def stages(agent: Agent, actor, place):
    """A new stage for each example."""
    return lambda: Stage(agent, actor, place)


WORDS = st.lists(
    st.sampled_from(["fork", "exec", "exec", "thread", "outlived", "sibling"]), max_size=9
)


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(WORDS)
@example(["outlived", "outlived", "exec", "sibling", "exec", "fork"])
@example(["thread", "sibling", "thread", "exec", "exec", "outlived", "exec"])
def test_random_life(stages, words: list[str]) -> None:
    """One exec event and one exit event an image, linked as the processes were."""
    stage = stages()
    spelled: list[str] = []
    for word in words:
        spelled += ["exec", stage.actor, stage.tag] if word == "exec" else [word]
    stage.run("subreaper", "fork", *spelled, "exit", 9)
    compare(Model(words), stage.events())
