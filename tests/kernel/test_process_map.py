# SPDX-License-Identifier: Apache-2.0
"""What the kernel side remembers of processes, and how many records it makes."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.watch import Watch
from tetrapy.events.flags import flag_words


@pytest.fixture(params=[True, False], ids=["ring", "perf"])
def watch(request: pytest.FixtureRequest) -> Iterator[Watch]:
    with Watch(ring=request.param) as made:
        yield made


def test_a_command_makes_two_records(watch: Watch, actor: Path) -> None:
    """Its exec tells of its fork."""
    pid = watch.run(actor, "tag", "exit", 0)
    assert watch.kinds[pid] == ["exec", "exit"]


def test_a_fork_is_reported_when_it_matters(watch: Watch, actor: Path) -> None:
    """At its end, or as soon as it forks itself."""
    pid = watch.run(actor, "tag", "fork", "exit", 0)
    started, child, _ = watch.of("tag")
    assert started.process.pid == pid
    assert watch.kinds[child.process.pid] == ["fork", "exit"]
    watch.run(actor, "deep", "fork", "fork", "exec", actor, "leaf", "exit", 0)
    middle = watch.of("leaf", "exec")[0].parent
    assert watch.kinds[middle.pid] == ["fork", "exit"]


def test_a_fork_that_runs_an_image_of_before(watch: Watch, actor: Path) -> None:
    """Its creator executed something else meanwhile; the fork shows what it runs itself."""
    script = f"( read line < /dev/null; exec {actor} leaf exit 0 ) & exec {actor} tag exit 0"
    pid = watch.run("/bin/sh", "-c", script)
    assert [event.process.pid for event in watch.of("tag", "exec")][-1] == pid
    watch.run(actor, "other", "subreaper", "fork", "outlived", "exit", 0)
    ends = watch.of("other", "exit")
    assert all(event.process.binary == str(actor) for event in ends)


@pytest.mark.parametrize("leader", ["exec", "exit"])
def test_a_daemon_that_forks_twice(watch: Watch, actor: Path, leader: str) -> None:
    """Who started it is gone when it ends; it shows the image that it ran all the time."""
    words = ["exec", "/bin/true"] if leader == "exec" else ["exit", "0"]
    watch.run(actor, "tag", "subreaper", "fork", "outlived", *words)
    if leader == "exit":
        orphan = watch.of("tag", "exit")[1]
        assert (orphan.process.binary, orphan.process.refcnt) == (str(actor), 1)
        assert orphan.parent.binary == str(actor)


def test_nothing_is_remembered_of_who_ended(watch: Watch, actor: Path) -> None:
    """Threads that end together, forks, execs and vforks leave no entry."""
    pids = {
        watch.run(actor, "tag", *words)
        for words in (
            ("exit", 0),
            ("fork", "fork", "exit", 0),
            ("threads", 5, "exit", 0),
            ("race", 4, "exit", 0),
            ("vforkexit", 0),
            ("exec", actor, "tag", "exec", actor, "tag", "exit", 0),
            ("fork", "sibling", "exit", 0),
            ("newpidns", "fork", "exit", 0),
        )
    }
    pids |= {event.process.pid for event in watch.of("tag")}
    left = pids & set(watch.remembered())
    assert {pid for pid in left if not os.path.exists(f"/proc/{pid}")} == set()


def test_a_full_map(actor: Path) -> None:
    """Where there is no room forks are reported at once, and all events are what they were."""
    with Watch(processes=1) as watch:
        for number in range(10):
            watch.run(actor, f"tag{number}x", "fork", "exec", actor, f"tag{number}x", "exit", 0)
        for number in range(10):
            events = watch.of(f"tag{number}x")
            began, child, child_end, ended = events
            assert [event.name for event in events] == ["process_exec"] * 2 + ["process_exit"] * 2
            assert flag_words(child.process.flags) == flag_words(began.process.flags)
            assert flag_words(child.process.flags) == "execve clone"
            assert child.parent is began.process
            assert (child_end.process, ended.process) == (child.process, began.process)
        assert len(watch.remembered()) <= 1


def test_what_the_kernel_is_reported_to_forget(watch: Watch, actor: Path) -> None:
    """Entries of processes that are not there go; life goes on."""
    watch.run(actor, "tag", "exit", 0)
    watch.sensor.forget_gone(lambda pid: os.path.exists(f"/proc/{pid}"))
    watch.sensor.forget_gone(lambda pid: False)
    watch.run(actor, "next", "fork", "exec", actor, "next", "exit", 0)
    assert len(watch.of("next")) == 4
