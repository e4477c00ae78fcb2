# SPDX-License-Identifier: Apache-2.0
"""How many processes the table holds: never more than it may, and none that is gone."""

from __future__ import annotations

import gc
import random
from pathlib import Path

import pytest

from tests.support.procfs import FakeProcfs
from tests.support.records import SECOND, Task, World, execute, exit_of, fork
from tests.unit.process.kernel_side import KernelSide
from tests.unit.process.test_deferred_forks import History
from tetrapy.events.process import Process, UnknownProcess

INIT = Task(1, SECOND)


def tasks(count: int, first: int = 100) -> list[Task]:
    return [Task(first + number, 2 * SECOND + number * 10_000_000) for number in range(count)]


def start(world: World, *started: Task) -> None:
    for task in started:
        world.feed(execute(task, INIT, path=b"/bin/%d" % task.pid, fork_parent=INIT))


@pytest.fixture
def world(tmp_path: Path) -> World:
    world = World(str(FakeProcfs(tmp_path / "proc").root), capacity=10)
    world.feed(execute(INIT, Task(0)))
    return world


def test_the_first_gives_way(world: World) -> None:
    """At the capacity, the kernel's entry included, the oldest entry goes for each new one."""
    started = tasks(20)
    start(world, *started)
    assert len(world.table) == 10
    assert sorted(world.live) == [1, *(task.pid for task in started[-8:])]
    assert world.table.evictions == 12


def test_who_has_most_gives_way(world: World) -> None:
    """A user who starts processes without end has his own forgotten, not another's older ones."""
    victims = tasks(3)
    for uid, started in ((1234, victims), (65534, tasks(50, first=1000))):
        for task in started:
            world.feed(execute(task, INIT, path=b"/bin/it", fork_parent=INIT, uid=uid))
    assert {task.pid for task in victims} <= set(world.live)
    assert len(world.table) == 10


def test_init_never_gives_way(world: World) -> None:
    """Pids 1 and 2 stay, however old they are."""
    start(world, Task(2, SECOND), *tasks(50))
    assert {1, 2} <= set(world.live)


def test_an_exec_takes_no_room(world: World) -> None:
    """A new image in a process' place lets nobody give way."""
    start(world, *tasks(8))
    for _ in range(20):
        world.feed(execute(tasks(8)[0], INIT))
    assert world.table.evictions == 0


def test_who_gave_way_is_read_again(world: World, tmp_path: Path) -> None:
    """A parent that is asked for comes back from procfs."""
    started = tasks(20)
    start(world, *started)
    shown = FakeProcfs.__new__(FakeProcfs)
    shown.root = tmp_path / "proc"
    shown.add(100, ticks=200, exe="/bin/again")
    event = world.one(execute(Task(900, 9 * SECOND), started[0], fork_parent=started[0]))
    assert event.parent.binary == "/bin/again"
    assert len(world.table) == 10


def test_the_end_of_who_gave_way(world: World) -> None:
    """It is reported with what the record says, and counted."""
    started = tasks(20)
    start(world, *started)
    event = world.one(exit_of(started[0]))
    assert isinstance(event.process, UnknownProcess)
    assert len(world.table) == 10
    assert world.table.unknown_processes == 1


def test_children_of_who_gave_way_still_show_it(world: World) -> None:
    """As of a process that ended."""
    parent, child = tasks(2, first=50)
    start(world, parent)
    world.feed(execute(child, parent, path=b"/bin/child", fork_parent=parent))
    start(world, *tasks(7))
    assert parent.pid not in world.live
    assert world.one(exit_of(child)).parent.binary == "/bin/50"


def test_misses_are_counted(world: World) -> None:
    """A parent that neither the table nor procfs has."""
    before = world.table.misses
    world.feed(execute(Task(900, 9 * SECOND), Task(899, SECOND), fork_parent=Task(899, SECOND)))
    assert world.table.misses > before


def alive() -> list[Process]:
    gc.collect()
    return [thing for thing in gc.get_objects() if isinstance(thing, Process)]


@pytest.mark.slow
@pytest.mark.parametrize("ancestors", [False, True])
@pytest.mark.parametrize("at_once", [False, True])
@pytest.mark.parametrize("seed", range(4))
def test_at_rest_nothing_is_left(seed: int, at_once: bool, ancestors: bool) -> None:
    """After a random history in which all ended, the kernel's entry is the only process alive."""
    before = {id(process) for process in alive()}
    dice = random.Random(seed)
    history = History(KernelSide(at_once=at_once))
    for _ in range(1_000):
        history.step(dice.randrange(3), dice.randrange(9), dice.randrange(41))
    history.end_all()
    world = World(ancestors=ancestors)
    world.feed(*history.records[0])
    assert world.dispatcher.errors == 0
    assert [process.pid for process in world.table] == [0]
    left = [process for process in alive() if id(process) not in before]
    assert left == [world.table.kernel]


@pytest.mark.slow
def test_images_that_deferred_children_may_run_are_bounded() -> None:
    """Cloners that ended before a child was told are kept, as long as there are not too many."""
    world = World()
    world.feed(execute(INIT, Task(0)))
    before = len(alive())
    gone = tasks(3_000)
    for task in gone:
        world.feed(execute(task, INIT, path=b"/bin/%d" % task.pid, fork_parent=INIT))
        world.feed(exit_of(task, at=task.start + 30, deferred_children=1))
    assert len(alive()) - before <= 1024
    late, early = Task(9_000, gone[-1].start + 25), Task(9_001, gone[0].start + 25)
    shown = world.feed(fork(late, gone[-1]), exit_of(late), fork(early, gone[0]), exit_of(early))
    assert [event.process.binary for event in shown] == [f"/bin/{gone[-1].pid}", ""]
    del shown
    assert len(alive()) - before <= 1023
