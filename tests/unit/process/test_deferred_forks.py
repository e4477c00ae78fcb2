# SPDX-License-Identifier: Apache-2.0
"""Forks that are reported late, and execs that tell of their own fork."""

from __future__ import annotations

import json
from itertools import count
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import SECOND, Task, World, execute, exit_of, fork
from tests.unit.process.kernel_side import KernelSide
from tetrapy.events.flags import flag_words
from tetrapy.events.process import Process, make_exec_id

KERNEL = Task(0)
INIT = Task(1, SECOND)
SHELL = Task(50, 2 * SECOND)
CHILD = Task(51, 3 * SECOND)
GRANDCHILD = Task(52, 4 * SECOND)


def words(process: Process) -> list[str]:
    return flag_words(process.flags).split()


@pytest.fixture
def world() -> World:
    """A machine on which init and a shell, its child, run."""
    world = World()
    world.feed(
        execute(INIT, KERNEL, path=b"/sbin/init"),
        execute(SHELL, INIT, path=b"/bin/sh", fork_parent=INIT),
    )
    return world


def test_an_exec_tells_of_its_own_fork(world: World) -> None:
    """Without a fork record the first exec is a clone's, under its parent."""
    event = world.one(execute(CHILD, SHELL, path=b"/bin/ls", fork_parent=SHELL))
    assert words(event.process) == ["execve", "clone"]
    assert event.process.refcnt == 0
    assert event.parent is world.live[50]
    ended = world.one(exit_of(CHILD))
    assert (ended.process, ended.parent) == (event.process, event.parent)


def test_the_second_exec_is_no_clone(world: World) -> None:
    """The image that it replaces is its parent."""
    first = world.one(execute(CHILD, SHELL, path=b"/bin/a", fork_parent=SHELL)).process
    event = world.one(execute(CHILD, SHELL, path=b"/bin/b", at=5 * SECOND))
    assert words(event.process) == ["execve"]
    assert event.parent is first


def test_an_exec_after_a_fork_that_was_reported(world: World) -> None:
    """A process that forked before it executed: told, and its exec is still a clone's."""
    world.feed(fork(CHILD, SHELL), execute(GRANDCHILD, CHILD, fork_parent=CHILD))
    event = world.one(execute(CHILD, SHELL, fork_parent=SHELL, at=5 * SECOND))
    assert words(event.process) == ["execve", "clone"]
    assert event.parent is world.live[50]


def test_a_fork_that_is_reported_at_the_end(world: World) -> None:
    """The fork and the exit come together: the exit shows the creator's image as ever."""
    (event,) = world.feed(fork(CHILD, SHELL, at=3 * SECOND + 7), exit_of(CHILD, 0x100))
    assert event.process.exec_id == make_exec_id(b"host1", 3 * SECOND + 7, 51)
    assert event.process.binary == "/bin/sh"
    assert event.process.refcnt == 1
    assert event.parent is world.live[50]
    assert 51 not in world.live


def test_a_fork_that_two_last_threads_report(world: World) -> None:
    """Both find the process deferred, and tell fork and exit: the second pair leaves nothing."""
    events = world.feed(fork(CHILD, SHELL), exit_of(CHILD), fork(CHILD, SHELL), exit_of(CHILD))
    assert len(events) == 1
    assert 51 not in world.live


def test_a_fork_that_two_forking_threads_report(world: World) -> None:
    """The second record changes nothing, though the process runs another image by then."""
    world.feed(fork(CHILD, SHELL))
    event = world.one(execute(CHILD, SHELL, path=b"/bin/ls", fork_parent=SHELL))
    world.feed(fork(CHILD, SHELL))
    assert world.live[51] is event.process


def test_an_orphan_has_its_new_parent(world: World) -> None:
    """An exec after its parent's end is a child of init, whoever forked it."""
    event = world.one(execute(GRANDCHILD, INIT, fork_parent=CHILD))
    assert event.parent is world.live[1]
    assert words(event.process) == ["execve", "clone"]


@pytest.mark.parametrize("ended", [False, True])
@pytest.mark.parametrize("in_tree", [False, True])
def test_the_tree_is_inherited_at_the_fork(world: World, in_tree: bool, ended: bool) -> None:
    """It counts where the parent at the fork was, though another has the orphan since."""
    container = Task(60, 5 * SECOND)
    daemon, orphan = Task(61, 6 * SECOND), Task(62, 7 * SECOND)
    world.feed(execute(container, SHELL, fork_parent=SHELL, inner_pid=1))
    forker = container if in_tree else SHELL  # a shell outside entered the container
    world.feed(execute(daemon, forker, fork_parent=forker, inner_pid=7))
    assert world.live[61].in_init_tree == in_tree
    if ended:
        world.feed(exit_of(daemon))
    reaper = INIT if in_tree else container
    process = world.one(execute(orphan, reaper, fork_parent=daemon, inner_pid=8)).process
    assert process.in_init_tree == in_tree
    assert ("inInitTree" in words(process)) == in_tree


def test_a_lost_fork_parent_puts_nothing_into_a_tree(world: World) -> None:
    """Who is unknown and gone is not taken for a member."""
    process = world.one(execute(CHILD, INIT, fork_parent=Task(999, 5), inner_pid=9)).process
    assert not process.in_init_tree


def test_the_first_process_of_a_container_is_in_its_tree(world: World) -> None:
    """Its own pid says so, whoever forked it."""
    process = world.one(execute(CHILD, SHELL, fork_parent=SHELL, inner_pid=1)).process
    assert process.in_init_tree


class History:
    """A history of a machine, the same for whoever listens. Small numbers are what is drawn."""

    def __init__(self, *sides: KernelSide, siblings: bool = True) -> None:
        """`siblings`: some forks are made with CLONE_PARENT."""
        self.sides = sides
        self.siblings = siblings
        self.records: list[list[bytes]] = [[] for _ in sides]
        self.clock = count(2 * SECOND, 7)
        self.parents: dict[Task, Task] = {}
        self.tell("execute", INIT, KERNEL, b"/bin/init", next(self.clock))
        self.parents[INIT] = KERNEL
        self.inner = {INIT: 0}

    def tell(self, what: str, *given: Any) -> None:
        for side, records in zip(self.sides, self.records, strict=True):
            records.extend(getattr(side, what)(*given))

    def step(self, kind: int, who: int, what: int) -> None:
        task = list(self.parents)[-1 - who % len(self.parents)]
        if kind == 0:
            self.fork(
                task, with_parent=self.siblings and what % 8 == 0, inner=(0, 0, 0, 1, 5)[what % 5]
            )
        elif kind == 1:
            path = b"/bin/%d" % (what % 5)
            inner = self.inner[task]
            self.tell("execute", task, self.parents[task], path, next(self.clock), inner)
        else:
            self.end(task)

    def fork(self, creator: Task, with_parent: bool, inner: int) -> None:
        taken = {task.pid for task in self.parents}
        pid = next(pid for pid in count(2) if pid not in taken)
        parent = self.parents[creator] if with_parent and creator is not INIT else creator
        child = Task(pid, next(self.clock))
        at = next(self.clock)
        self.tell("fork", child, creator, self.parents[creator], parent, at, inner)
        self.parents[child], self.inner[child] = parent, inner

    def end(self, task: Task) -> None:
        if task is INIT:
            return
        del self.parents[task]
        for child, parent in self.parents.items():
            if parent == task:
                self.parents[child] = INIT
        self.tell("exit", task, next(self.clock))

    def end_all(self) -> None:
        for task in list(self.parents)[:0:-1]:
            self.end(task)
        self.tell("exit", INIT, next(self.clock))


steps = st.lists(
    st.tuples(st.integers(0, 2), st.integers(0, 6), st.integers(0, 40)), min_size=1, max_size=60
)


def lines(world: World, records: list[bytes]) -> list[bytes]:
    reported = [world.line(event) for event in world.feed(*records)]
    assert world.dispatcher.errors == 0
    return reported


@pytest.mark.slow
@pytest.mark.parametrize("ancestors", [False, True])
@given(steps=steps)
def test_what_is_reported_does_not_depend_on_when(
    ancestors: bool, steps: list[tuple[int, int, int]]
) -> None:
    """Forks told at once or when they matter: the same lines, byte by byte."""
    history = History(KernelSide(at_once=True), KernelSide())
    for step in steps:
        history.step(*step)
    history.end_all()
    worlds = [World(ancestors=ancestors) for _ in history.sides]
    at_once, lazily = map(lines, worlds, history.records)
    assert at_once == lazily
    assert len(history.records[1]) <= len(history.records[0])
    for world in worlds:
        assert world.live == {}


def shown(world: World, event: Any) -> dict[str, Any]:
    """The event without what its parent says of the grandparent."""
    line: dict[str, Any] = json.loads(world.line(event))
    parent = line[event.name].get("parent", {})
    for name in ("parent_exec_id", "flags"):
        parent.pop(name, None)
    return line


@pytest.mark.slow
@given(steps=steps, denied=st.sets(st.integers(0, 4)), below=st.sets(st.integers(0, 4)))
def test_what_is_suppressed_is_what_a_filter_drops(
    steps: list[tuple[int, int, int]], denied: set[int], below: set[int]
) -> None:
    """Events of wanted processes are the same whether the kernel keeps the others back or not.

    Unwanted are binaries, and all that children of some binaries execute. What is reported late has
    the parent of that moment, so that much of the parents shown is not compared. Whose image a
    suppressed process' sibling by CLONE_PARENT runs may be told wrong.
    """
    own = {b"/bin/%d" % number for number in denied}
    parents = {b"/bin/%d" % number for number in below}

    def is_unwanted(path: bytes, parent: bytes | None) -> bool:
        return path in own or parent in parents

    def wanted(event: Any) -> bool:
        parent = event.parent.binary.encode() if event.parent else None
        return not is_unwanted(event.process.binary.encode(), parent)

    history = History(KernelSide(), KernelSide(is_unwanted=is_unwanted), siblings=False)
    for step in steps:
        history.step(*step)
    history.end_all()
    worlds = [World(), World()]
    all_reported, some_reported = (
        [shown(world, event) for event in world.feed(*records) if wanted(event)]
        for world, records in zip(worlds, history.records, strict=True)
    )
    assert all_reported == some_reported
    assert worlds[1].live == {}
