# SPDX-License-Identifier: Apache-2.0
"""The process table beside a procfs on disk: reading all, a missing parent, forgetting."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.support.procfs import PF_KTHREAD, FakeProcfs
from tests.support.records import SECOND, Task, World, execute, exit_of, fork
from tetrapy.events.process import UnknownProcess, make_exec_id
from tetrapy.process import seed


def test_reading_a_whole_procfs(tmp_path: Path) -> None:
    """Every process with a time, and how many directories were listed; a gone one is missed."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(1, parent=0, exe="/sbin/init")
    procfs.add(2, parent=0, comm=b"kthreadd", argv=(), exe=None, cwd=None, stat_flags=PF_KTHREAD)
    procfs.add(50, ticks=500)
    (procfs.root / "51").mkdir()  # gone by the time that it is read
    found, listed = seed.read_all(str(procfs.root))
    assert listed == 4
    assert sorted(process.pid for _, process in found) == [1, 2, 50]
    assert all(when > 0 for when, _ in found)
    world = World()
    assert [process.pid for process in seed.fill(
        world.table, found, world.dispatcher.touched([])
    )] == [0, 1, 50]  # fmt: skip


def test_a_parent_that_the_table_misses_is_read(tmp_path: Path) -> None:
    """When its fork was lost, procfs still tells who the parent is."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(50, ticks=200, exe="/bin/missed")
    world = World(str(procfs.root))
    event = world.one(execute(Task(51, 3 * SECOND), Task(50, 2 * SECOND + 3_000_000)))
    assert event.parent.binary == "/bin/missed"
    assert event.process.parent_exec_id == make_exec_id(b"host1", 2 * SECOND, 50)
    assert world.live[50] is event.parent


def test_another_process_is_not_read_for_a_parent(tmp_path: Path) -> None:
    """A process of procfs with the pid and another start is not the parent."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(50, ticks=9_999)
    world = World(str(procfs.root))
    event = world.one(execute(Task(51, 3 * SECOND), Task(50, 2 * SECOND)))
    assert event.parent is None
    assert list(world.live) == [51]


def test_a_whole_line_of_missed_parents_is_read(tmp_path: Path) -> None:
    """A parent that is read has its own parent, not the kernel, when procfs shows that one too."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(1, parent=0, ticks=100)
    procfs.add(49, parent=1, ticks=150)
    procfs.add(50, parent=49, ticks=200)
    world = World(str(procfs.root))
    event = world.one(execute(Task(51, 3 * SECOND), Task(50, 2 * SECOND)))
    assert event.parent.parent_exec_id == make_exec_id(b"host1", 1_500_000_000, 49)


def test_the_processes_that_a_lost_exit_left_behind(tmp_path: Path) -> None:
    """What procfs does not show at two looks in a row is gone; a pid that it shows stays."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(1, parent=0)
    procfs.add(50)
    world = World(str(procfs.root))
    init = Task(1, SECOND)
    world.feed(execute(init, Task(0)))
    for pid in (50, 51, 52):
        world.feed(fork(Task(pid, 2 * SECOND), init))
    assert world.table.forget_gone() == 0
    assert sorted(world.live) == [1, 50, 51, 52]
    shutil.rmtree(procfs.root / "50")
    assert world.table.forget_gone() == 2
    assert sorted(world.live) == [1, 50]
    assert world.table.forget_gone() == 1
    assert isinstance(world.one(exit_of(Task(51, 2 * SECOND))).process, UnknownProcess)


def test_a_pid_that_came_back_is_not_forgotten(tmp_path: Path) -> None:
    """A process that is born between two looks, with the pid of one that was missed, stays."""
    procfs = FakeProcfs(tmp_path / "proc")
    world = World(str(procfs.root))
    world.feed(fork(Task(51, 2 * SECOND), Task(9, SECOND)))
    assert world.table.forget_gone() == 0
    world.feed(fork(Task(51, 3 * SECOND), Task(9, SECOND)))
    assert world.table.forget_gone() == 0
    assert list(world.live) == [51]


def test_children_of_a_forgotten_process_still_show_it(tmp_path: Path) -> None:
    """Their parent's id and image are what they were."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(1, parent=0)
    procfs.add(51)
    world = World(str(procfs.root))
    init, parent, child = Task(1, SECOND), Task(50, 2 * SECOND), Task(51, 3 * SECOND)
    world.feed(execute(init, Task(0)), fork(parent, init), execute(parent, init, path=b"/bin/p"))
    world.feed(fork(child, parent))
    assert [world.table.forget_gone() for _ in range(2)] == [0, 1]
    event = world.one(exit_of(child))
    assert event.parent.binary == "/bin/p"
    assert event.parent.parent_exec_id == world.live[1].exec_id
