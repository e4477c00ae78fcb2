# SPDX-License-Identifier: Apache-2.0
"""The line of parents that an event tells, and what is kept of it."""

from __future__ import annotations

import gc
import json
from typing import Any

import pytest

from tests.support.records import SECOND, Task, World, execute, exit_of, fork
from tetrapy.events.process import Process
from tetrapy.process.table import ANCESTORS

KERNEL = Task(0)
INIT = Task(1, SECOND)
THREADS = Task(2, SECOND + 1)  # kthreadd
SHELL = Task(50, 2 * SECOND)
CHILD = Task(51, 3 * SECOND)
GRANDCHILD = Task(52, 4 * SECOND)


def images() -> int:
    """The Process objects of this interpreter."""
    gc.collect()
    return sum(isinstance(thing, Process) for thing in gc.get_objects())


@pytest.fixture
def world() -> World:
    """A machine that tells ancestors, with init and a shell."""
    world = World(ancestors=True)
    world.feed(
        execute(INIT, KERNEL, path=b"/sbin/init"),
        fork(SHELL, INIT),
        execute(SHELL, INIT, path=b"/bin/sh"),
    )
    return world


def nested(world: World, count: int, innermost: Task = SHELL) -> list[Task]:
    """So many shells, each the child of the one before."""
    tasks = [innermost]
    for number in range(count):
        task = Task(100 + number, 10 * SECOND + number)
        world.feed(fork(task, tasks[-1]), execute(task, tasks[-1], path=b"/bin/%d" % number))
        tasks.append(task)
    return tasks


def line_of(event: Any) -> list[str]:
    return [ancestor.binary for ancestor in event.ancestors]


def test_from_the_grandparent_to_init(world: World) -> None:
    """The parent is the event's own field, so its parent comes first, as with Tetragon."""
    world.feed(fork(CHILD, SHELL), execute(CHILD, SHELL, path=b"/bin/a"))
    world.feed(fork(GRANDCHILD, CHILD))
    began = world.one(execute(GRANDCHILD, CHILD, path=b"/bin/b"))
    ended = world.one(exit_of(GRANDCHILD))
    assert line_of(began) == line_of(ended) == ["/bin/sh", "/sbin/init"]
    assert began.parent is not None
    assert began.ancestors[0] is began.parent.parent
    message = json.loads(world.line(ended))["process_exit"]
    assert list(message) == ["process", "parent", "time", "ancestors"]
    assert message["ancestors"][0]["exec_id"] == message["parent"]["parent_exec_id"]
    assert all(shown["start_time"] and shown["parent_exec_id"] for shown in message["ancestors"])


def test_a_process_that_only_forked_is_an_ancestor(world: World) -> None:
    """It is reported with the image that it runs, its own id and its refcnt."""
    world.feed(fork(CHILD, SHELL), fork(GRANDCHILD, CHILD))
    event = world.one(execute(GRANDCHILD, CHILD))
    assert [(one.pid, one.binary, one.refcnt) for one in event.ancestors] == [
        (50, "/bin/sh", 0),
        (1, "/sbin/init", 0),
    ]
    great_grandchild = Task(53, 5 * SECOND)
    world.feed(fork(great_grandchild, GRANDCHILD))
    event = world.one(exit_of(great_grandchild))
    assert [(one.pid, one.refcnt) for one in event.ancestors] == [(51, 1), (50, 0), (1, 0)]


def test_an_exec_without_a_fork_adds_the_image_before(world: World) -> None:
    """The image that was replaced is an ancestor, of the same pid."""
    world.feed(fork(CHILD, SHELL), execute(CHILD, SHELL, path=b"/bin/a"))
    event = world.one(execute(CHILD, SHELL, path=b"/bin/b", at=5 * SECOND))
    assert line_of(event) == ["/bin/sh", "/sbin/init"]
    world.feed(fork(GRANDCHILD, CHILD))
    event = world.one(execute(GRANDCHILD, CHILD, path=b"/bin/c"))
    assert line_of(event) == ["/bin/a", "/bin/sh", "/sbin/init"]


def test_nothing_is_reported_beyond_init_and_kthreadd(world: World) -> None:
    """Pid 1 and pid 2 end the line; the entry of the kernel itself is never part of it."""
    assert world.one(execute(INIT, KERNEL, path=b"/sbin/init2", at=9 * SECOND)).ancestors == ()
    world.feed(execute(THREADS, KERNEL, path=b"/kthreadd"))
    world.feed(fork(CHILD, THREADS))
    event = world.one(execute(CHILD, THREADS, path=b"/sbin/modprobe"))
    assert line_of(event) == []
    world.feed(fork(GRANDCHILD, CHILD))
    event = world.one(execute(GRANDCHILD, CHILD, path=b"/bin/true"))
    assert line_of(event) == ["/kthreadd"]
    (first,) = World(ancestors=True).feed(execute(INIT, KERNEL))
    assert first.ancestors == ()
    assert b"ancestors" not in world.line(first)


def test_an_unknown_parent_has_no_ancestors(world: World) -> None:
    """Where the parent is not known there is no line, and no empty list in the JSON."""
    event = world.one(execute(GRANDCHILD, Task(999, 5)))
    assert (event.parent, event.ancestors) == (None, ())
    assert b"ancestors" not in world.line(event)


def test_none_unless_they_are_asked_for() -> None:
    """By default no event tells ancestors."""
    world = World()
    world.feed(execute(INIT, KERNEL), fork(SHELL, INIT))
    event = world.one(execute(SHELL, INIT))
    assert event.ancestors == ()


def test_ended_ancestors_are_still_reported(world: World) -> None:
    """A process whose parents are gone shows who they were."""
    world.feed(fork(CHILD, SHELL), execute(CHILD, SHELL, path=b"/bin/a"))
    world.feed(fork(GRANDCHILD, CHILD), execute(GRANDCHILD, CHILD, path=b"/bin/b"))
    world.feed(exit_of(CHILD), exit_of(SHELL))
    event = world.one(exit_of(GRANDCHILD))
    assert line_of(event) == ["/bin/sh", "/sbin/init"]


def test_a_long_line_is_cut(world: World) -> None:
    """ANCESTORS of them are reported, those next to the process."""
    tasks = nested(world, ANCESTORS + 20)
    event = world.one(exit_of(tasks[-1]))
    assert line_of(event)[0] == f"/bin/{ANCESTORS + 17}"
    assert len(event.ancestors) == ANCESTORS


def test_a_deep_line_of_living_processes(world: World) -> None:
    """However deep the innermost one was that ended, the living keep their parents."""
    tasks = nested(world, ANCESTORS + 20)
    world.feed(exit_of(tasks[-1]))
    for task, parent in zip(tasks[-2:0:-1], tasks[-3::-1], strict=False):
        event = world.one(exit_of(task))
        assert event.parent is not None, task
        assert event.parent.pid == parent.pid


@pytest.mark.slow
def test_a_chain_of_execs_is_bounded(world: World) -> None:
    """Of 600 execs of one pid without a fork as many images are kept as are reported."""
    before = images()
    world.feed(fork(CHILD, SHELL))
    for number in range(600):
        event = world.one(execute(CHILD, SHELL, at=5 * SECOND + number))
    assert len(event.ancestors) == ANCESTORS
    del event
    assert images() - before <= ANCESTORS + 3
    world.feed(exit_of(CHILD))
    assert images() == before


@pytest.mark.slow
def test_a_chain_of_forks_is_bounded(world: World) -> None:
    """Of 1,500 processes, each of which forks the next and ends, as many are kept."""
    before = images()
    task = CHILD
    world.feed(fork(task, SHELL))
    for number in range(1_500):
        child = Task(1000 + number, 10 * SECOND + number)
        world.feed(fork(child, task), exit_of(task))
        task = child
    assert images() - before <= ANCESTORS + 3
    world.feed(exit_of(task))
    assert images() == before


@pytest.mark.slow
def test_many_children_of_a_long_chain_are_bounded(world: World) -> None:
    """A process that executes and forks by turns, each child outliving it by a little."""
    before = images()
    world.feed(fork(CHILD, SHELL))
    waiting: list[Task] = []
    for number in range(600):
        world.feed(execute(CHILD, SHELL, at=(10 + number) * SECOND))
        child = Task(1000 + number % 40, (10 + number) * SECOND + 1)
        world.feed(fork(child, CHILD))
        waiting.append(child)
        if len(waiting) > 20:
            world.feed(exit_of(waiting.pop(0)))
    assert images() - before <= ANCESTORS + 60
    world.feed(*map(exit_of, waiting), exit_of(CHILD))
    assert images() == before
