# SPDX-License-Identifier: Apache-2.0
"""Records -> process table and events: one short history a test."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.procfs import FakeProcfs
from tests.support.records import SECOND, UNSET, Task, World, execute, exit_of, fork
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.events.flags import flag_words
from tetrapy.events.process import Process, UnknownProcess, make_exec_id
from tetrapy.events.text import rfc3339
from tetrapy.process.procfs import TICK_NS

KERNEL = Task(0)
INIT = Task(1, SECOND)
SHELL = Task(50, 2 * SECOND)
CHILD = Task(51, 3 * SECOND)
GRANDCHILD = Task(52, 4 * SECOND)


def words(process: Process) -> list[str]:
    return flag_words(process.flags).split()


@pytest.fixture
def world() -> World:
    """A machine on which init and a shell, its child, run since before the test."""
    world = World()
    world.feed(
        execute(INIT, KERNEL, path=b"/sbin/init", cwd=b"", flags=["EXEC_CWD_ROOT"]),
        fork(SHELL, INIT),
        execute(SHELL, INIT, path=b"/bin/sh", at=2 * SECOND + 500),
    )
    return world


def test_fork_exec_exit(world: World) -> None:
    """One exec and one exit event for a command, with the shell as parent in both."""
    shell = world.live[50]
    assert world.feed(fork(CHILD, SHELL)) == []
    began = world.one(execute(CHILD, SHELL, path=b"/bin/ls", argv=(b"ls", b"-l")))
    ended = world.one(exit_of(CHILD, 0x200))
    assert isinstance(began, ProcessExec)
    assert isinstance(ended, ProcessExit)
    assert began.process is ended.process
    assert began.parent is ended.parent is shell
    assert began.process.parent_exec_id == shell.exec_id
    assert (began.process.binary, began.process.arguments) == ("/bin/ls", "-l")
    assert words(began.process) == ["execve", "clone"]
    assert ended.status == 2
    assert began.process.refcnt == 0
    assert 51 not in world.live


def test_the_image_of_an_exec_has_the_execs_time(world: World) -> None:
    """exec_id and start_time are those of the exec, not of the fork."""
    world.feed(fork(CHILD, SHELL))
    process = world.one(execute(CHILD, SHELL, at=9 * SECOND)).process
    assert process.exec_id == make_exec_id(b"host1", 9 * SECOND, 51)
    assert rfc3339(process.start_time) == "2026-01-01T00:00:09Z"


def test_exec_without_fork(world: World) -> None:
    """The parent of the second image is the first, of the same pid; it is no clone."""
    world.feed(fork(CHILD, SHELL))
    first = world.one(execute(CHILD, SHELL, path=b"/bin/a")).process
    event = world.one(execute(CHILD, SHELL, path=b"/bin/b", at=5 * SECOND))
    assert event.parent is first
    assert event.process.parent_exec_id == first.exec_id
    assert words(event.process) == ["execve"]
    ended = world.one(exit_of(CHILD))
    assert ended.process is event.process
    assert ended.parent is first


def test_fork_without_exec(world: World) -> None:
    """A forked process makes no event until it ends; then it shows its creator's image."""
    cgroup = b"docker-" + b"0123456789abcdef" * 4
    shell = world.one(
        execute(
            SHELL,
            INIT,
            argv=(b"sh", b"-c"),
            cwd=b"/srv",
            cgroup=cgroup,
            uid=5,
            auid=6,
            at=3 * SECOND,
        )
    ).process
    assert world.feed(fork(CHILD, SHELL, at=3 * SECOND + 7)) == []
    event = world.one(exit_of(CHILD))
    assert event.process.pid == 51
    assert event.process.exec_id == make_exec_id(b"host1", 3 * SECOND + 7, 51)
    assert rfc3339(event.process.start_time) == "2026-01-01T00:00:03.000000007Z"
    for name in ("binary", "arguments", "cwd", "uid", "auid", "docker"):
        assert getattr(event.process, name) == getattr(shell, name)
    assert event.parent is shell
    assert event.process.parent_exec_id == shell.exec_id
    assert event.process.refcnt == 1
    assert words(event.process) == ["execve"]


def test_a_command_of_a_subshell(world: World) -> None:
    """The parent of an exec may itself be a process that only forked."""
    world.feed(fork(CHILD, SHELL), fork(GRANDCHILD, CHILD))
    event = world.one(execute(GRANDCHILD, CHILD))
    assert event.parent is world.live[51]
    assert event.parent.refcnt == 1
    assert event.parent.parent_exec_id == world.live[50].exec_id


def test_a_child_born_with_clone_parent_is_its_creators_sibling(world: World) -> None:
    """CLONE_PARENT: the image is the creator's, the parent is the creator's parent."""
    world.feed(fork(CHILD, SHELL), execute(CHILD, SHELL, path=b"/bin/threads"))
    world.feed(fork(GRANDCHILD, CHILD, parent=SHELL))
    event = world.one(exit_of(GRANDCHILD))
    assert event.process.binary == "/bin/threads"
    assert event.parent is world.live[50]
    assert event.process.parent_exec_id == world.live[50].exec_id


def test_an_unknown_parent_of_clone_parent_is_named_by_its_id(world: World) -> None:
    """A parent that was never seen is left out, and parent_exec_id still names it."""
    world.feed(fork(CHILD, SHELL, parent=Task(77, 5)))
    event = world.one(exit_of(CHILD))
    assert event.parent is None
    assert event.process.parent_exec_id == make_exec_id(b"host1", 5, 77)


def test_an_orphans_exec_has_its_new_parent(world: World) -> None:
    """A process that outlived its parent executes as a child of init."""
    world.feed(fork(CHILD, SHELL), fork(GRANDCHILD, CHILD), exit_of(CHILD))
    event = world.one(execute(GRANDCHILD, INIT, at=9 * SECOND))
    assert event.parent is world.live[1]
    assert event.process.parent_exec_id == world.live[1].exec_id
    assert words(event.process) == ["execve", "clone"]


def test_an_orphans_exit_still_shows_who_started_it(world: World) -> None:
    """The parent in an exit is the one the process was started by, though it is gone."""
    world.feed(fork(CHILD, SHELL), execute(CHILD, SHELL, path=b"/bin/daemonize"))
    world.feed(fork(GRANDCHILD, CHILD), exit_of(CHILD))
    event = world.one(exit_of(GRANDCHILD))
    assert event.parent.binary == "/bin/daemonize"
    assert event.process.parent_exec_id == event.parent.exec_id


def test_the_parent_may_have_executed_meanwhile(world: World) -> None:
    """An exec's parent is the image that the parent runs now."""
    world.feed(fork(CHILD, SHELL))
    second = world.one(execute(SHELL, INIT, path=b"/bin/bash", at=4 * SECOND)).process
    event = world.one(execute(CHILD, SHELL, at=5 * SECOND))
    assert event.parent is second


def test_an_image_that_was_replaced_before_it_was_shown_keeps_its_parent(world: World) -> None:
    """A subshell starts a child, then executes; the child's exit shows the subshell rightly."""
    shell = world.live[50]
    world.feed(fork(CHILD, SHELL), fork(GRANDCHILD, CHILD))
    world.feed(execute(CHILD, SHELL, at=5 * SECOND))
    event = world.one(exit_of(GRANDCHILD))
    assert event.parent.exec_id == event.process.parent_exec_id
    assert event.parent.parent_exec_id == shell.exec_id


def test_a_reused_pid_after_a_lost_exit(world: World) -> None:
    """A fork with a known pid and another start is another process; the old one is gone."""
    world.feed(fork(CHILD, SHELL), execute(CHILD, SHELL, path=b"/bin/old"))
    again = Task(51, 9 * SECOND)
    world.feed(fork(again, INIT))
    assert world.live[51].binary == "/sbin/init"
    event = world.one(execute(again, INIT, path=b"/bin/new"))
    assert event.parent is world.live[1]
    ended = world.one(exit_of(again))
    assert ended.process.binary == "/bin/new"
    assert 51 not in world.live


def test_a_reused_pid_after_lost_exit_and_fork(world: World) -> None:
    """An exec of another process with a known pid is not taken for an exec without fork."""
    old = world.live[50]
    event = world.one(execute(Task(50, 9 * SECOND), INIT, path=b"/bin/new"))
    assert event.parent is world.live[1]
    assert event.parent is not old
    assert world.live[50].binary == "/bin/new"


def test_an_old_exit_does_not_end_a_new_process(world: World) -> None:
    """A late exit of the former owner of a pid leaves the present one alone."""
    again = Task(51, 9 * SECOND)
    world.feed(fork(CHILD, SHELL), fork(again, SHELL))
    event = world.one(exit_of(CHILD))
    assert isinstance(event.process, UnknownProcess)
    assert world.live[51].start == again.start


def test_a_lost_fork(world: World) -> None:
    """An exec whose fork was lost has the parent that the record names."""
    event = world.one(execute(CHILD, SHELL))
    assert event.parent is world.live[50]
    assert event.process.parent_exec_id == world.live[50].exec_id


def test_a_lost_fork_of_an_unknown_parent(world: World) -> None:
    """Without a known parent `parent` is left out and parent_exec_id is made of the record."""
    event = world.one(execute(GRANDCHILD, CHILD))
    assert event.parent is None
    assert event.process.parent_exec_id == make_exec_id(b"host1", CHILD.start, CHILD.pid)


def test_a_lost_exec(world: World) -> None:
    """The exit of a process whose exec was lost shows the image that it was forked with."""
    world.feed(fork(CHILD, SHELL))  # and an exec that never came
    event = world.one(exit_of(CHILD))
    assert event.process.binary == "/bin/sh"


def test_a_fork_by_an_unknown_process(world: World) -> None:
    """A child of a process that was never seen is tracked without inventing an image for it."""
    world.feed(fork(GRANDCHILD, CHILD))
    event = world.one(exit_of(GRANDCHILD))
    assert event.process.pid == 52
    assert event.process.binary == ""
    assert event.process.parent_exec_id == make_exec_id(b"host1", CHILD.start, CHILD.pid)
    assert event.parent is None or isinstance(event.parent, UnknownProcess)


def test_a_fork_by_an_unknown_process_that_procfs_shows(tmp_path: Path) -> None:
    """Its creator began before the agent and ended before procfs was read: no exec is told, and
    the exit and a later exec say so.
    """
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(52, parent=1, ticks=GRANDCHILD.start // TICK_NS, exe="/bin/forked")
    world = World(f"{procfs.root}/")
    world.feed(fork(GRANDCHILD, CHILD))
    assert world.live[52].binary == "/bin/forked"
    executed = world.one(execute(GRANDCHILD, INIT, path=b"/bin/new"))
    assert flag_words(executed.process.flags) == "execve clone"
    other = World(f"{procfs.root}/")
    other.feed(fork(GRANDCHILD, CHILD))
    assert other.one(exit_of(GRANDCHILD)).process.refcnt == 1


def test_the_exit_of_an_unknown_process(world: World) -> None:
    """Only pid and start time are shown, as Tetragon shows it."""
    event = world.one(exit_of(CHILD, 9))
    assert world.line(event) == (
        b'{"process_exit":{"process":{"pid":51,"start_time":"2026-01-01T00:00:03Z"},'
        b'"signal":"SIGKILL","time":"2026-01-01T00:00:03.000000030Z"},'
        b'"node_name":"host1","time":"2026-01-01T00:00:03.000000030Z"}\n'
    )


def test_a_process_ends_once(world: World) -> None:
    """Of the records of two last threads that ended together the second makes no event."""
    world.feed(fork(CHILD, SHELL))
    assert len(world.feed(exit_of(CHILD), exit_of(CHILD, at=4 * SECOND))) == 1
    assert len(world.feed(exit_of(Task(77, 7)), exit_of(Task(77, 7)))) == 1  # unknown ones too


def test_a_pid_may_be_reused_right_after_its_end(world: World) -> None:
    """The next process with the pid ends once more."""
    world.feed(fork(CHILD, SHELL), exit_of(CHILD))
    again = Task(51, CHILD.start + 1)
    world.feed(fork(again, SHELL))
    assert len(world.feed(exit_of(again))) == 1


def test_a_fork_reported_twice_changes_nothing(world: World) -> None:
    """A process that is already in the table keeps its image."""
    world.feed(fork(CHILD, SHELL), execute(CHILD, SHELL, path=b"/bin/ls"), fork(CHILD, SHELL))
    assert world.live[51].binary == "/bin/ls"


@pytest.mark.parametrize("lost_fork", [False, True])
def test_in_init_tree_is_inherited(world: World, lost_fork: bool) -> None:
    """Pid 1 of a container and what descends from it is in the init tree, by fork and by exec."""
    inner = Task(60, 5 * SECOND)
    world.feed(fork(inner, SHELL, inner_pid=1))
    began = world.one(execute(inner, SHELL, inner_pid=1)).process
    assert began.in_init_tree
    assert words(began) == ["execve", "clone", "inInitTree"]
    child = Task(61, 6 * SECOND)
    if not lost_fork:
        world.feed(fork(child, inner, inner_pid=7))
    process = world.one(execute(child, inner, inner_pid=7)).process
    assert process.in_init_tree
    assert "inInitTree" in words(process)
    again = world.one(execute(child, inner, inner_pid=7, at=9 * SECOND)).process
    assert again.in_init_tree


def test_entering_a_container_is_not_being_born_in_it(world: World) -> None:
    """A process that joins a pid namespace from outside is not in its init tree."""
    world.feed(fork(CHILD, SHELL, inner_pid=9))
    process = world.one(execute(CHILD, SHELL, inner_pid=9)).process
    assert not process.in_init_tree
    assert words(process) == ["execve", "clone"]


def test_in_init_tree_of_a_process_that_only_forked(world: World) -> None:
    """A fork without exec in a container has the flag in its exit."""
    inner = Task(60, 5 * SECOND)
    world.feed(fork(inner, SHELL, inner_pid=1))
    event = world.one(exit_of(inner))
    assert event.process.in_init_tree
    assert words(event.process) == ["execve", "inInitTree"]


def test_what_an_exec_says_of_the_user(world: World) -> None:
    """uid and auid are the record's, also at an exec without fork."""
    world.feed(fork(CHILD, SHELL))
    process = world.one(execute(CHILD, SHELL, uid=1000, auid=1001)).process
    assert (process.uid, process.auid) == (1000, 1001)
    process = world.one(execute(CHILD, SHELL, uid=0, auid=1001, at=9 * SECOND)).process
    assert (process.uid, process.auid) == (0, 1001)
    assert world.live[50].auid == UNSET


def test_the_end_of_a_fork_tree_leaves_nothing(world: World) -> None:
    """When every process ended, the table holds the kernel's entry alone."""
    tasks = [Task(100 + number, 5 * SECOND + number) for number in range(63)]
    for number, task in enumerate(tasks):
        world.feed(fork(task, tasks[(number - 1) // 2] if number else SHELL))
    assert len(world.live) == 65
    for task in [*reversed(tasks), SHELL, INIT]:
        assert world.feed(exit_of(task))
    assert [process.pid for process in world.table] == [0]
