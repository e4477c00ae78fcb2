# SPDX-License-Identifier: Apache-2.0
"""Threads make no events of their own; whichever of them acts, the process is reported once."""

from __future__ import annotations

import pytest

from tests.kernel.conftest import Stage


def test_several_threads(stage: Stage) -> None:
    """A process with threads makes one exec and one exit event."""
    stage.run("threads", 5, "exit", 3)
    _, ended = stage.one()
    assert ended.status == 3
    assert ended.process["tid"] == ended.pid


def test_thread_executes(stage: Stage) -> None:
    """When a thread other than the leader executes, the image has the process's pid, and no exit
    event comes before the last one.
    """
    stage.run("threads", 2, "thread", "exec", stage.actor, stage.tag, "exit", 3)
    first, second, ended = stage.events()
    assert (first.kind, second.kind, ended.kind) == ("exec", "exec", "exit")
    assert first.pid == second.pid == ended.pid == second.process["tid"]
    assert second.process["parent_exec_id"] == first.id
    assert second.parent == first.process
    assert second.flags == ["execve"]
    assert ended.process == second.process
    assert ended.status == 3


def test_thread_forks(stage: Stage) -> None:
    """A child that a thread forked is a child of the process."""
    stage.run("thread", "fork", "exec", stage.actor, stage.tag, "exit", 3)
    parent, child, child_end, ended = stage.events()
    assert child.process["parent_exec_id"] == parent.id
    assert child.flags == ["execve", "clone"]
    assert child_end.id == child.id
    assert ended.id == parent.id


def test_thread_ends_process(stage: Stage) -> None:
    """exit_group by a thread gives the process's status."""
    stage.run("threads", 3, "thread", "exit", 7)
    _, ended = stage.one()
    assert ended.status == 7


def test_leader_exits_first(stage: Stage) -> None:
    """A process whose leader ended first ends with its last thread, with the status of wait(2).

    In old kernels that is the leader's, in new ones (such as 6.18) the last thread's.
    """
    done = stage.run("leaderexit", 5, "threadexit", 6)
    assert done.returncode in {5, 6}
    _, ended = stage.one()
    assert ended.status == done.returncode


def test_leader_exits_then_group(stage: Stage) -> None:
    """exit_group by the thread that is left overrides the leader's status."""
    done = stage.run("leaderexit", 5, "exit", 6)
    assert done.returncode == 6
    _, ended = stage.one()
    assert ended.status == 6


def test_leader_exits_thread_executes(stage: Stage) -> None:
    """A thread that executes after its leader ended goes on as the process."""
    stage.run("leaderexit", 5, "exec", stage.actor, stage.tag, "exit", 6)
    first, second, ended = stage.events()
    assert (first.kind, second.kind, ended.kind) == ("exec", "exec", "exit")
    assert first.pid == second.pid
    assert ended.id == second.id
    assert ended.status == 6


def test_leader_exits_thread_forks(stage: Stage) -> None:
    """A child of a process whose leader ended is linked to that process."""
    stage.run("leaderexit", 5, "fork", "exit", 4)
    started, child, ended = stage.events()
    assert child.status == 4
    assert child.process["parent_exec_id"] == started.id
    assert ended.id == started.id


@pytest.mark.parametrize("count", [1, 30])
def test_killed_with_threads(stage: Stage, count: int) -> None:
    """A signal ends all threads, the process once."""
    stage.run("threads", count, "kill", 9)
    _, ended = stage.one()
    assert ended.signal == "SIGKILL"


def test_many_processes_with_threads(stage: Stage) -> None:
    """Threads that end at the same moment on several CPUs make one exit event."""
    for _ in range(20):
        stage.run("threads", 8, "exit", 1)
    events = stage.events()
    assert [event.kind for event in events] == ["exec", "exit"] * 20
    assert len({event.id for event in events}) == 20


def test_threads_race_to_execute(stage: Stage) -> None:
    """Of several threads that execute at the same moment one wins, and makes one event."""
    for _ in range(20):
        done = stage.run("race", 6, "exec", stage.actor, stage.tag, "exit", 3)
        assert done.returncode == 3
    events = stage.events()
    assert [event.kind for event in events] == ["exec", "exec", "exit"] * 20
    for first, second, ended in zip(*[iter(events)] * 3, strict=True):
        assert first.pid == second.pid
        assert second.process["parent_exec_id"] == first.id
        assert ended.id == second.id


def test_threads_race_to_exit(stage: Stage) -> None:
    """Threads that all end at the same moment, each for itself, make one event."""
    statuses = [stage.run("race", 6, "threadexit", 3).returncode for _ in range(40)]
    events = stage.events()
    assert [event.kind for event in events] == ["exec", "exit"] * 40
    assert [event.status for event in events[1::2]] == statuses


def test_threads_race_to_end_the_process(stage: Stage) -> None:
    """So do threads that all end the process."""
    for _ in range(20):
        stage.run("race", 6, "exit", 4)
    events = stage.events()
    assert [event.kind for event in events] == ["exec", "exit"] * 20
    assert {event.status for event in events[1::2]} == {4}
