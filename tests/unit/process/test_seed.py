# SPDX-License-Identifier: Apache-2.0
"""Filling the table with what was there before, while records already arrive."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import SECOND, Task, World, execute, exit_of, fork
from tests.unit.process.seeds import ID, MACHINE, READ, seen, start_up
from tetrapy.events.flags import flag_words
from tetrapy.events.process import UnknownProcess, make_exec_id
from tetrapy.events.text import rfc3339

if TYPE_CHECKING:
    pass


def test_the_kernels_entry_comes_first() -> None:
    """Pid 0 is told even when procfs shows nothing."""
    world = World()
    (kernel,) = start_up(world, [])
    line = world.line(world.tracker.on_seed(kernel)).decode()
    body = (
        '{"exec_id":"aG9zdDE6MTow","pid":0,"uid":0,"binary":"<kernel>","flags":"procFS",'
        '"start_time":"2026-01-01T00:00:00.000000001Z","auid":4294967295,'
        '"parent_exec_id":"aG9zdDE6MTow","tid":0,"in_init_tree":false}'
    )
    assert line == (
        f'{{"process_exec":{{"process":{body},"parent":{body}}},"node_name":"host1",'
        '"time":"2026-01-01T00:00:00.000000001Z"}\n'
    )


def test_what_is_reported_of_a_machine() -> None:
    """User processes by their parents' pids; kernel threads are known but not reported."""
    world = World()
    reported = start_up(world, MACHINE)
    assert [process.pid for process in reported] == [0, 1, 50, 60, 61]
    assert sorted(world.live) == [1, 2, 3, 50, 60, 61]


@pytest.mark.parametrize("order", list(itertools.permutations(range(6)))[::37])
def test_the_order_of_procfs_does_not_matter(order: tuple[int, ...]) -> None:
    """Whatever order the directories come in, each process has its parent."""
    world = World()
    reported = start_up(world, [MACHINE[index] for index in order])
    assert [process.pid for process in reported][:2] == [0, 1]
    parents = {pid: process.parent.pid for pid, process in world.live.items() if process.parent}
    assert parents == {1: 0, 2: 0, 3: 2, 50: 1, 60: 50, 61: 60}
    for process in reported[1:]:
        assert process.parent
        assert process.parent_exec_id == process.parent.exec_id


@pytest.mark.slow
@given(st.permutations(range(2, 12)), st.permutations(range(1, 11)), st.data())
def test_any_tree_in_any_order(pids: list[int], order: list[int], data: st.DataObject) -> None:
    """Parents are found though pids wrapped and many processes began in the same tick."""
    parents = {1: 0}
    for pid in pids:
        parents[pid] = data.draw(st.sampled_from(sorted(parents.keys())))
    found = [seen(pid, parent, SECOND) for pid, parent in parents.items()]
    world = World()
    start_up(world, [found[0], *(found[index] for index in order)][::-1])
    shown = {pid: process.parent.pid for pid, process in world.live.items() if process.parent}
    assert shown == parents


def test_ids_are_made_of_ticks() -> None:
    """exec_id and start_time of a process of procfs are its start, to 10 ms."""
    world = World()
    start_up(world, MACHINE)
    process = world.live[50]
    assert process.exec_id == make_exec_id(b"host1", 2 * SECOND, 50)
    assert rfc3339(process.start_time) == "2026-01-01T00:00:02Z"
    assert flag_words(process.flags) == "procFS rootcwd"


def test_a_process_without_a_known_parent_is_the_kernels_child() -> None:
    """As Tetragon: parent pid 0 or unknown means <kernel>."""
    world = World()
    start_up(world, [seen(70, 69, 5 * SECOND)])
    assert world.live[70].parent is world.table.kernel
    assert world.live[70].parent_exec_id == world.table.kernel.exec_id


def test_a_line_shows_all_that_procfs_tells() -> None:
    """Each field of the process is in its exec event."""
    world = World()
    shown = seen(
        70, 1, 5 * SECOND, uid=10, auid=11, cwd="/srv", binary="/bin/x", arguments="a b",
        flags=0x4, docker=ID[:31], inner_pid=7,
    )  # fmt: skip
    reported = start_up(world, [seen(1, 0, SECOND), shown])
    line = world.line(world.tracker.on_seed(reported[-1])).decode()
    assert line.startswith(
        '{"process_exec":{"process":{"exec_id":"aG9zdDE6NTAwMDAwMDAwMDo3MA==","pid":70,"uid":10,'
        '"cwd":"/srv","binary":"/bin/x","arguments":"a b","flags":"procFS",'
        '"start_time":"2026-01-01T00:00:05Z","auid":11,'
        '"docker":"5ca1ab1e5ca1ab1e5ca1ab1e5ca1ab1","parent_exec_id":"aG9zdDE6MTAwMDAwMDAwMDox",'
        '"tid":70,"in_init_tree":false},"parent":{'
    )
    assert line.endswith('"node_name":"host1","time":"2026-01-01T00:00:05Z"}\n')


def test_a_record_finds_its_process_of_procfs() -> None:
    """Records have the start in ns, procfs in ticks: they are one process."""
    world = World()
    start_up(world, MACHINE)
    shell = Task(50, 2 * SECOND + 7_654_321)
    former = world.live[50]
    event = world.one(execute(shell, Task(1, SECOND), path=b"/bin/new", at=READ + 1))
    assert event.parent is former
    assert flag_words(event.process.flags) == "execve"
    assert world.one(exit_of(shell)).process is event.process


def test_the_exit_of_a_process_of_procfs() -> None:
    """It shows the image and the parent that procfs told."""
    world = World()
    start_up(world, MACHINE)
    event = world.one(exit_of(Task(61, 3 * SECOND + 2), 9))
    assert event.process.binary == "/bin/61"
    assert event.parent is world.live[60]
    assert 61 not in world.live


def test_another_process_with_the_pid_of_one_of_procfs() -> None:
    """A start of another tick is another process."""
    world = World()
    start_up(world, MACHINE)
    event = world.one(exit_of(Task(61, 3 * SECOND + 10_000_000)))
    assert isinstance(event.process, UnknownProcess)
    assert 61 in world.live


def test_a_fork_of_a_process_of_procfs() -> None:
    """The child runs the image that procfs shows, under that parent."""
    world = World()
    start_up(world, MACHINE)
    child = Task(80, READ)
    world.feed(fork(child, Task(60, 3 * SECOND + 1)))
    assert world.live[80].binary == "/bin/60"
    assert world.live[80].parent is world.live[60]
    assert flag_words(world.live[80].flags) == "execve"


# The container's init tree.


def test_the_init_tree_of_a_container_of_procfs() -> None:
    """The container's pid 1 and its descendants are in it; who entered it is not."""
    world = World()
    start_up(
        world,
        [
            seen(1, 0, SECOND),
            seen(70, 1, 5 * SECOND, docker=ID[:31], inner_pid=1),
            seen(71, 70, 6 * SECOND, docker=ID[:31], inner_pid=9),
            seen(72, 1, 7 * SECOND, docker=ID[:31], inner_pid=20),
        ],
    )
    assert {pid: process.in_init_tree for pid, process in world.live.items()} == {
        1: False, 70: True, 71: True, 72: False,
    }  # fmt: skip
    assert flag_words(world.live[71].flags) == "procFS rootcwd inInitTree"
    assert world.live[71].docker == ID[:31]


def test_the_init_tree_of_a_container_without_an_id() -> None:
    """LXC and nspawn name no id; what counts is the pid namespace, as for those that execute."""
    world = World()
    start_up(
        world, [seen(1, 0, SECOND), seen(70, 1, 5 * SECOND, inner_pid=1), seen(71, 70, 6 * SECOND)]
    )
    later = Task(80, 8 * SECOND)
    world.feed(fork(later, Task(1, SECOND), inner_pid=1))
    event = world.one(execute(later, Task(1, SECOND), inner_pid=1))
    assert world.live[70].in_init_tree == world.live[71].in_init_tree == event.process.in_init_tree
    assert event.process.in_init_tree
