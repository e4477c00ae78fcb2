# SPDX-License-Identifier: Apache-2.0
"""The life of a process: one exec event and one exit event for each image it runs."""

from __future__ import annotations

import os
import signal
import time

import pytest

from tests.kernel.conftest import Stage
from tests.support.agent import Agent
from tests.support.events import check_event, check_stream, exec_id, nanoseconds


def test_fork_exec_exit(stage: Stage) -> None:
    """A program that is run and ends makes an exec and an exit event with the same process."""
    before = time.time_ns()
    stage.run("exit", 0)
    started, ended = stage.one()
    check_event(started)
    check_event(ended)
    process = started.process
    assert process == ended.process
    assert process["binary"] == stage.actor
    assert process["arguments"] == f"{stage.tag} exit 0"
    assert process["cwd"] == str(stage.directory)
    assert process["uid"] == 0
    assert process["flags"] == "execve clone"
    assert process["in_init_tree"] is False
    assert "refcnt" not in process
    assert "ns" not in process
    assert "cap" not in process
    assert "status" not in ended.body
    assert "signal" not in ended.body
    assert started.json["node_name"] == os.uname().nodename
    # A minute of room: the wall clock may be stepped a little while the test runs.
    assert abs(nanoseconds(started.json["time"]) - before) < 60_000_000_000
    assert nanoseconds(ended.json["time"]) >= nanoseconds(started.json["time"])


def test_parent_of_exec(stage: Stage) -> None:
    """The parent is the process that forked; the link is its exec_id."""
    stage.run("fork", "exec", stage.actor, stage.tag, "exit", 1)
    parent, child, child_end, parent_end = stage.events()
    assert (parent.kind, child.kind, child_end.kind, parent_end.kind) == (
        "exec",
        "exec",
        "exit",
        "exit",
    )
    assert child.parent == parent.process
    assert child.process["parent_exec_id"] == parent.id
    assert child_end.parent == parent.process
    assert child.pid != parent.pid
    assert child.flags == ["execve", "clone"]


@pytest.mark.parametrize("status", [0, 1, 42, 127, 255])
def test_exit_status(stage: Stage, status: int) -> None:
    """The exit status is that of wait(2); 0 is left out."""
    assert stage.run("exit", status).returncode == status
    _, ended = stage.one()
    assert ended.body.get("status", 0) == status
    assert ("status" in ended.body) == (status != 0)
    assert "signal" not in ended.body


@pytest.mark.parametrize(
    "name",
    "HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT XCPU XFSZ "
    "VTALRM PROF IO PWR SYS".split(),
)
def test_killed(stage: Stage, name: str) -> None:
    """A process that a signal ends has the signal's name and no status."""
    number = 16 if name == "STKFLT" else int(getattr(signal, "SIG" + name))
    assert stage.run("kill", number).returncode == -number
    _, ended = stage.one()
    assert ended.signal == "SIG" + name
    assert "status" not in ended.body


def test_killed_by_real_time_signal(stage: Stage) -> None:
    """Real-time signals are counted from the first that programs may use, as kill(1) does."""
    assert stage.run("kill", signal.SIGRTMIN + 6).returncode == -(signal.SIGRTMIN + 6)
    _, ended = stage.one()
    assert ended.signal == "SIGRTMIN+6"
    assert "status" not in ended.body


def test_core_dumped(stage: Stage) -> None:
    """The bit that tells of a core file is not taken for a part of the signal's number."""
    stage.run("core", "kill", int(signal.SIGSEGV))
    _, ended = stage.one()
    assert ended.signal == "SIGSEGV"
    assert "status" not in ended.body


def test_exec_without_fork(stage: Stage) -> None:
    """A process that executes twice more makes three exec events in a chain and one exit event."""
    again = (stage.actor, stage.tag)
    stage.run("exec", *again, "exec", *again, "exit", 5)
    first, second, third, ended = stage.events()
    assert [event.kind for event in (first, second, third, ended)] == ["exec"] * 3 + ["exit"]
    assert first.pid == second.pid == third.pid == ended.pid
    assert first.flags == ["execve", "clone"]
    assert second.flags == third.flags == ["execve"]
    # The parent of an image that came without a fork is the image before it.
    assert second.parent is not None
    assert second.parent["exec_id"] == second.process["parent_exec_id"] == first.id
    assert third.parent is not None
    assert third.parent["exec_id"] == third.process["parent_exec_id"] == second.id
    assert ended.process == third.process
    assert ended.status == 5
    assert exec_id(first.id).ktime < exec_id(second.id).ktime < exec_id(third.id).ktime


def test_fork_without_exec(stage: Stage) -> None:
    """A child that executes nothing has no exec event; its exit shows a copy of its parent."""
    stage.run("fork", "exit", 9)
    started, child, ended = stage.events()
    assert (started.kind, child.kind, ended.kind) == ("exec", "exit", "exit")
    check_event(child)
    assert child.status == 9
    assert child.pid != started.pid
    assert child.id != started.id
    assert child.process["parent_exec_id"] == started.id
    assert child.parent == started.process
    assert child.process["flags"] == "execve"
    assert child.process["refcnt"] == 1
    for name in ("binary", "arguments", "cwd", "uid", "auid"):
        assert child.process[name] == started.process[name]
    assert exec_id(child.id).ktime > exec_id(started.id).ktime
    assert ended.process == started.process


def test_fork_of_fork(stage: Stage) -> None:
    """A grandchild without exec is linked to the child without exec that forked it."""
    stage.run("fork", "fork", "exit", 3)
    started, grandchild, child, _ended = stage.events()
    assert grandchild.status == 3
    assert grandchild.process["parent_exec_id"] == child.id
    assert grandchild.parent is not None
    assert grandchild.parent["exec_id"] == child.id
    assert child.process["parent_exec_id"] == started.id


def test_exec_after_forks(stage: Stage) -> None:
    """An exec in a grandchild whose parent executed nothing links to that parent."""
    stage.run("fork", "fork", "exec", stage.actor, stage.tag, "exit", 3)
    started, image, image_end, child, _ended = stage.events()
    assert (image.kind, image_end.kind, child.kind) == ("exec", "exit", "exit")
    assert image.id == image_end.id
    assert image.process["parent_exec_id"] == child.id
    assert image.flags == ["execve", "clone"]
    assert child.process["parent_exec_id"] == started.id


def test_vfork(stage: Stage) -> None:
    """vfork and exec count as fork and exec."""
    stage.run("vfork", stage.actor, stage.tag, "exit", 4)
    parent, child, child_end, _ = stage.events()
    assert child.process["parent_exec_id"] == parent.id
    assert child.flags == ["execve", "clone"]
    assert child_end.status == 4


def test_vfork_without_exec(stage: Stage) -> None:
    """A child of vfork that executes nothing makes an exit event as one of fork does."""
    stage.run("vforkexit", 6)
    parent, child, _ = stage.events()
    assert (child.kind, child.status, child.process["refcnt"]) == ("exit", 6, 1)
    assert child.process["parent_exec_id"] == parent.id


def test_posix_spawn(stage: Stage) -> None:
    """posix_spawn (CLONE_VM | CLONE_VFORK) counts as fork and exec."""
    stage.run("spawn", stage.actor, stage.tag, "exit", 4)
    parent, child, child_end, _ = stage.events()
    assert child.process["parent_exec_id"] == parent.id
    assert child.flags == ["execve", "clone"]
    assert child_end.id == child.id


def test_sibling(stage: Stage) -> None:
    """With CLONE_PARENT the parent is the maker's parent, the image the maker's."""
    again = (stage.actor, stage.tag)
    stage.run("fork", "sibling", "exec", *again, "exit", 2)
    events = stage.events()
    started = events[0]
    image = next(event for event in events if event.kind == "exec" and event is not started)
    maker = next(event for event in events if event.kind == "exit" and event.process.get("refcnt"))
    assert image.process["parent_exec_id"] == started.id
    assert image.parent == started.process
    assert maker.process["parent_exec_id"] == started.id
    assert len(events) == 5


def test_sibling_without_exec(stage: Stage) -> None:
    """A sibling that executes nothing is linked to the maker's parent."""
    stage.run("fork", "sibling", "exit", 2)
    started, *exits = stage.events()
    assert [event.kind for event in exits] == ["exit"] * 3
    sibling = next(event for event in exits if event.status == 2)
    assert sibling.process["parent_exec_id"] == started.id
    assert sibling.process["refcnt"] == 1
    assert sibling.binary == stage.actor


def test_outlived(stage: Stage) -> None:
    """A process that outlives its parent keeps the link to it."""
    stage.run("subreaper", "fork", "outlived", "exit", 8)
    events = stage.events()
    started = events[0]
    exits = {event.status: event for event in events if event.kind == "exit" and event.status}
    orphan = exits[8]
    middle = next(
        e for e in events[1:] if e.kind == "exit" and not e.status and e is not events[-1]
    )
    assert middle.process["parent_exec_id"] == started.id
    assert orphan.process["parent_exec_id"] == middle.id
    assert orphan.parent is not None
    assert orphan.parent["exec_id"] == middle.id


def test_orphan_executes(stage: Stage) -> None:
    """An orphan's new image has the process that adopted it as its parent."""
    stage.run("subreaper", "fork", "outlived", "exec", stage.actor, stage.tag, "exit", 8)
    events = stage.events()
    started = events[0]
    image = next(event for event in events[1:] if event.kind == "exec")
    assert image.process["parent_exec_id"] == started.id
    assert image.parent == started.process
    assert image.flags == ["execve", "clone"]
    assert [e.status for e in events if e.kind == "exit" and e.id == image.id] == [8]


def test_pid_reuse(stage: Stage) -> None:
    """A pid that is used again gives another process: other exec_id, own parent, own exit."""
    stage.run("fork", "exit", 3)
    pid = next(event.pid for event in stage.events() if event.status == 3)
    stage.run("clonepid", pid, "exec", stage.actor, stage.tag, "exit", 4)
    stage.run("clonepid", pid, "exit", 5)
    mine = [event for event in stage.events() if event.pid == pid]
    first, image, second, third = mine
    assert (first.status, image.kind, second.status, third.status) == (3, "exec", 4, 5)
    assert image.id == second.id
    assert len({first.id, second.id, third.id}) == 3
    assert image.flags == ["execve", "clone"]
    assert third.process["flags"] == "execve"
    starts = [exec_id(event.id).ktime for event in (first, second, third)]
    assert starts == sorted(starts)


def test_own_pid_namespace(stage: Stage) -> None:
    """The first process of a pid namespace and what it starts are in_init_tree; pids are global."""
    again = (stage.actor, stage.tag)
    stage.run("newpidns", "exec", *again, "fork", "exec", *again, "exit", 2)
    parent, first, second, second_end, first_end, _ = stage.events()
    assert parent.process["in_init_tree"] is False
    assert first.pid > 1
    assert first.process["parent_exec_id"] == parent.id
    assert first.process["in_init_tree"] is True
    assert first.flags == ["execve", "clone", "inInitTree"]
    assert second.process["in_init_tree"] is True
    assert second.process["parent_exec_id"] == first.id
    assert second_end.status == 2
    assert first_end.process == first.process


def test_fork_in_own_pid_namespace(stage: Stage) -> None:
    """The first process of a pid namespace is in_init_tree also when it executes nothing."""
    stage.run("newpidns", "exit", 2)
    child = next(event for event in stage.events() if event.status == 2)
    assert child.process["in_init_tree"] is True
    assert child.flags == ["execve", "inInitTree"]


def test_stream_of_the_machine(stage: Stage, agent: Agent) -> None:
    """Whatever else ran meanwhile: one exec and one exit an image, linked, in order."""
    stage.run("hops", 50, stage.actor)
    check_stream(agent.events(), agent.lost)
    events = stage.events()
    started, ended = events[0], events[-1]
    assert len(events) == 102
    assert started.id == ended.id
    for index, (child, child_end) in enumerate(zip(events[1:-1:2], events[2:-1:2], strict=True)):
        assert (child.kind, child_end.kind) == ("exec", "exit")
        assert child.id == child_end.id
        assert child.arguments == f"{stage.tag} exit 0 {index}"
        assert child.parent == started.process
