# SPDX-License-Identifier: Apache-2.0
"""Who answers for what a process does."""

from __future__ import annotations

import pytest

from tests.support.records import SECOND, UNSET, Task, World, execute, exit_of, fork
from tests.unit.process.seeds import MACHINE, start_up
from tetrapy.events.account import HELPERS, ROOT, UNKNOWN, Account
from tetrapy.events.process import Process

KTHREADD, KWORKER, SHELL = Task(2, SECOND), Task(3, SECOND), Task(60, 3 * SECOND)
NEW, NEXT = Task(900, 1010 * SECOND), Task(901, 1011 * SECOND)
ID = b"5ca1ab1e" * 8
OTHER = b"feedface" * 8
SHOWN = ID.decode()[:31]


def machine() -> World:
    world = World()
    start_up(world, MACHINE)
    return world


def test_what_was_there_before() -> None:
    """Root's processes are root's; threads of the kernel are the kernel's."""
    live = machine().live
    assert live[1].account == live[60].account == ROOT
    assert live[2].account is live[3].account is HELPERS


@pytest.mark.parametrize("parent", [KTHREADD, KWORKER])
def test_what_the_kernel_starts(parent: Task) -> None:
    """`core_pattern` and modprobe run as root for anybody; what they start is theirs too."""
    world = machine()
    helper = world.one(execute(NEW, parent, uid=0, fork_parent=parent)).process
    assert helper.account is HELPERS
    world.feed(fork(NEXT, NEW))
    assert world.one(exit_of(NEXT)).process.account is HELPERS
    child = world.one(execute(Task(902, 1012 * SECOND), NEW, uid=0, fork_parent=NEW)).process
    assert child.account is HELPERS
    assert str(child.account) == "helpers of the kernel"


def test_what_a_helper_becomes() -> None:
    """Another user answers for himself."""
    world = machine()
    world.feed(execute(NEW, KTHREADD, uid=0, fork_parent=KTHREADD))
    assert world.one(execute(NEXT, NEW, uid=33, fork_parent=NEW)).process.account == Account(33)


@pytest.mark.parametrize("effective", [0, 2000])
def test_a_program_that_is_setuid(effective: int) -> None:
    """Who runs it answers, whoever his parent is by now: init, for an orphan, or what another user
    started (CLONE_PARENT).
    """
    world = machine()
    world.feed(execute(NEW, SHELL, uid=1000, fork_parent=SHELL))
    for number, fork_parent in enumerate((NEW, SHELL, None)):
        task = Task(910 + number, 1012 * SECOND)
        if fork_parent is None:
            world.feed(fork(task, NEW))
        record = execute(task, SHELL, uid=effective, real_uid=1000, fork_parent=fork_parent)
        process = world.one(record).process
        assert process.uid == effective
        assert process.account == Account(1000)


def test_a_program_of_root_that_anybody_may_start() -> None:
    """Its starter answers, also for its end when he is gone; root answers for what it starts."""
    world = machine()
    world.feed(execute(NEW, SHELL, uid=1000, fork_parent=SHELL))
    started = world.one(execute(NEXT, NEW, uid=0, fork_parent=NEW)).process
    assert started.account == Account(1000)
    world.feed(exit_of(NEW))
    assert world.one(exit_of(NEXT)).process.account == Account(1000)


def test_one_object_for_many() -> None:
    """A process shares it with its parent."""
    world = machine()
    first = world.one(execute(NEW, SHELL, uid=1000, fork_parent=SHELL)).process
    second = world.one(execute(NEXT, NEW, uid=1000, fork_parent=NEW)).process
    assert first.account is second.account


@pytest.mark.parametrize(
    ("uid", "names", "account"),
    [
        (0, ID + b"\0docker\0", Account(0, SHOWN)),
        (33, ID + b"\0docker\0", Account(33, SHOWN)),
        (100_001, ID + b"\0docker\0", Account(65536, SHOWN)),
        (0, OTHER + b"\0" + ID + b"\0docker\0", Account(0, SHOWN)),
    ],
)
def test_a_container(uid: int, names: bytes, account: Account) -> None:
    """A user in it is not the host's; its first process is started by the host's root."""
    world = machine()
    process = world.one(execute(NEW, SHELL, uid=uid, fork_parent=SHELL, cgroup=names)).process
    assert process.account == account


@pytest.mark.parametrize("names", [OTHER + b"\0deep\0", b"deep\0"])
def test_a_cgroup_deeper_than_is_read(names: bytes) -> None:
    """Who hides in it is in the container that he was in before, whatever he names it."""
    world = machine()
    inside = ID + b"\0docker\0"
    world.feed(execute(NEW, SHELL, uid=0, fork_parent=SHELL, cgroup=inside))
    record = execute(NEXT, NEW, uid=0, fork_parent=NEW, cgroup=names, flags=["EXEC_CGROUP_PARTIAL"])
    assert world.one(record).process.account == Account(0, SHOWN)


def test_of_whom_nothing_is_known() -> None:
    """They answer together, and are not taken for root."""
    process = World().one(exit_of(NEW)).process
    assert process.uid == UNSET
    assert process.account == UNKNOWN == Account(UNSET & -65536)
    assert Process(b"", 1, 0, 0).account == UNKNOWN
