# SPDX-License-Identifier: Apache-2.0
"""How many images the process table keeps alive."""

from __future__ import annotations

import gc

import pytest

from tests.support.records import SECOND, Task, World, execute, exit_of, fork
from tetrapy.events.process import Process

INIT = Task(1, SECOND)


def images() -> int:
    """The Process objects of this interpreter."""
    gc.collect()
    return sum(isinstance(thing, Process) for thing in gc.get_objects())


@pytest.fixture
def world() -> World:
    world = World()
    world.feed(execute(INIT, Task(0)))
    return world


@pytest.mark.slow
def test_a_chain_of_execs_keeps_two_images(world: World) -> None:
    """10,000 execs of one pid without a fork leave its image and the one before."""
    before = images()
    task = Task(50, 2 * SECOND)
    world.feed(fork(task, INIT))
    for number in range(10_000):
        world.feed(execute(task, INIT, at=3 * SECOND + number))
    assert images() - before <= 2
    world.feed(exit_of(task))
    assert images() == before


@pytest.mark.slow
def test_a_chain_of_forks_keeps_the_last(world: World) -> None:
    """Of 5,000 processes, each of which forks the next and ends, the last one stays."""
    before = images()
    task = Task(50, 2 * SECOND)
    world.feed(fork(task, INIT))
    for number in range(5_000):
        child = Task(100 + number, 3 * SECOND + number)
        world.feed(fork(child, task), exit_of(task))
        task = child
    assert images() - before <= 2  # the last one and its ended parent
    world.feed(exit_of(task))
    assert images() == before


@pytest.mark.slow
def test_many_short_commands_leave_nothing(world: World) -> None:
    """2,000 commands of a shell leave the table as it was."""
    before = images()
    for number in range(2_000):
        task = Task(2 + number % 7, 3 * SECOND + number)
        world.feed(fork(task, INIT), execute(task, INIT), exit_of(task))
    assert images() == before
    assert list(world.live) == [1]


@pytest.mark.slow
def test_lost_exits_are_made_up_for_by_reused_pids(world: World) -> None:
    """When no exit ever arrives, the table holds one image a pid, not one a process."""
    before = images()
    for number in range(1_000):
        task = Task(100 + number % 50, 3 * SECOND + number)
        world.feed(fork(task, INIT), execute(task, INIT))
    assert len(world.live) == 51
    assert images() - before <= 51


@pytest.mark.slow
def test_lost_exits_do_not_chain_images(world: World) -> None:
    """Two pids that fork each other by turns, all exits lost, keep few images alive."""
    before = images()
    task = Task(50, 2 * SECOND)
    world.feed(fork(task, INIT))
    for number in range(1_000):
        child = Task(50 + (number + 1) % 2, 3 * SECOND + number)
        world.feed(fork(child, task))
        task = child
    assert len(world.live) == 3
    assert images() - before <= 10


@pytest.mark.slow
def test_lost_forks_do_not_chain_images(world: World) -> None:
    """Execs of ever new processes with the same two pids keep few images alive."""
    before = images()
    task = INIT
    for number in range(1_000):
        child = Task(50 + number % 2, 3 * SECOND + number)
        world.feed(execute(child, task))
        task = child
    assert images() - before <= 10


@pytest.mark.slow
def test_ended_processes_are_remembered_in_bounds(world: World) -> None:
    """What tells second exits apart does not grow with the number of processes."""
    for number in range(5_000):
        world.feed(exit_of(Task(100 + number, 3 * SECOND)))
    assert len(world.tracker._recent_exits) <= 1024
