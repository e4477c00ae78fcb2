# SPDX-License-Identifier: Apache-2.0
"""Processes of which nobody wants events: the kernel makes no records of them, or late ones."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.watch import Watch
from tetrapy.events.flags import flag_words

ENDS = '{"binary_regex":["/unwanted$"]}\n{"parent_binary_regex":["/noisy$"]}'


@pytest.fixture(params=[True, False], ids=["ring", "perf"])
def watch(request: pytest.FixtureRequest) -> Iterator[Watch]:
    """A sensor whose filters deny programs called unwanted, and children of noisy."""
    with Watch(f"--export-denylist={ENDS}", ring=request.param) as made:
        yield made


class Programs:
    """The actor under several names."""

    def __init__(self, actor: Path, directory: Path) -> None:
        self.directory = directory
        for name in ("unwanted", "noisy", "wanted"):
            shutil.copy(actor, directory / name)

    def __getattr__(self, name: str) -> str:
        return str(self.directory / name)


@pytest.fixture
def programs(actor: Path, tmp_path: Path) -> Programs:
    return Programs(actor, tmp_path)


def known(watch: Watch, path: str) -> None:
    """The kernel has the answer for a binary as soon as the agent saw it."""
    watch.run(path, "first", "exit", 0)


def kept(watch: Watch) -> tuple[int, int]:
    counts = watch.sensor.suppressed()
    return counts["PROCESS_EXEC"], counts["PROCESS_EXIT"]


def test_an_unwanted_binary(watch: Watch, programs: Programs) -> None:
    """Its first run is dropped by the agent; of the others there are no records at all."""
    known(watch, programs.unwanted)
    assert kept(watch) == (0, 0)
    pids = [watch.run(programs.unwanted, "tag", "exit", 0) for _ in range(20)]
    assert kept(watch) == (20, 20)
    assert watch.of("tag") == watch.of("first") == []
    assert all(pid not in watch.kinds for pid in pids)


def test_a_wanted_binary(watch: Watch, programs: Programs) -> None:
    """Nothing is suppressed of what no filter denies, however often it runs."""
    for _ in range(5):
        watch.run(programs.wanted, "tag", "exit", 0)
    assert len(watch.of("tag")) == 10
    assert kept(watch) == (0, 0)


def test_an_unwanted_process_that_forks(watch: Watch, programs: Programs) -> None:
    """It is reported late and makes no event; its child shows it as parent, with its path and
    time.
    """
    known(watch, programs.unwanted)
    words = ("tag", "fork", "exec", programs.wanted, "child", "exit", 0)
    pid = watch.run(programs.unwanted, *words)
    assert watch.kinds[pid] == ["exec", "exit"]
    (began,) = watch.of("child", "exec")
    shown = began.parent
    assert [event for event in watch.events if event.process.pid == pid] == []
    assert (shown.pid, shown.binary) == (pid, programs.unwanted)
    assert shown.arguments.startswith("tag fork exec")
    assert flag_words(shown.flags) == "execve clone"
    assert shown.start <= shown.ktime < began.process.start


def test_the_user_of_then_is_reported(watch: Watch, programs: Programs) -> None:
    """A suppressed process that gave up root before it forked was root when it began."""
    known(watch, programs.unwanted)
    words = ("tag", "setuid", 1234, "fork", "exec", "/bin/true", "child")
    watch.run(programs.unwanted, *words)
    (began,) = watch.of("child", "exec")
    assert (began.process.uid, began.parent.uid) == (1234, 0)


def test_an_unwanted_image_that_is_replaced(watch: Watch, programs: Programs) -> None:
    """A wanted program in its place has it as parent; its arguments are gone, and that is said."""
    known(watch, programs.unwanted)
    pid = watch.run(programs.unwanted, "tag", "exec", programs.wanted, "next", "exit", 0)
    began, ended = watch.of("next")
    assert flag_words(began.process.flags) == "execve"
    assert (began.parent.pid, began.parent.binary) == (pid, programs.unwanted)
    assert flag_words(began.parent.flags).split() == ["execve", "errorArgs", "errorCWD", "clone"]
    assert began.process.parent_exec_id == began.parent.exec_id
    assert ended.process is began.process
    assert kept(watch) == (1, 0)


def test_an_unwanted_image_in_place_of_a_wanted_one(watch: Watch, programs: Programs) -> None:
    """Who was told is seen through to the end; the agent drops what is not wanted."""
    known(watch, programs.unwanted)
    watch.run(programs.wanted, "tag", "exec", programs.unwanted, "next", "exit", 0)
    assert [event.name for event in watch.of("tag")] == ["process_exec"]
    assert watch.of("next") == []
    assert kept(watch) == (0, 0)


def test_two_unwanted_images(watch: Watch, programs: Programs) -> None:
    """Neither is reported."""
    known(watch, programs.unwanted)
    pid = watch.run(programs.unwanted, "tag", "exec", programs.unwanted, "next", "exit", 0)
    assert pid not in watch.kinds
    assert kept(watch) == (2, 1)


def test_children_of_an_unwanted_parent(watch: Watch, programs: Programs) -> None:
    """The kernel knows what runs in the parent."""
    known(watch, programs.wanted)
    known(watch, programs.noisy)
    watch.run(programs.noisy, "tag", "vfork", programs.wanted, "child", "exit", 0)
    assert [event.process.binary for event in watch.of("tag")] == [programs.noisy] * 2
    assert watch.of("child") == []
    assert kept(watch) == (1, 1)
    watch.run(programs.wanted, "again", "vfork", programs.wanted, "below", "exit", 0)
    assert len(watch.of("below")) == 2


def test_a_fork_of_an_unwanted_parent(watch: Watch, programs: Programs) -> None:
    """A process that only forked is reported at its end, and dropped by the agent."""
    known(watch, programs.unwanted)
    watch.run(programs.unwanted, "tag", "fork", "exit", 0)
    assert watch.of("tag") == []


def test_a_relative_path(watch: Watch, programs: Programs) -> None:
    """What it means depends on the directory: the agent decides each time."""
    for _ in range(3):
        watch.run("/bin/sh", "-c", f"cd {programs.directory}; ./unwanted tag exit 0; exit 0")
    assert watch.of("tag") == []
    assert kept(watch) == (0, 0)


def test_nothing_is_left_in_the_kernels_map(watch: Watch, programs: Programs) -> None:
    """Of suppressed processes at most the last on each CPU is remembered for a moment."""
    known(watch, programs.unwanted)
    pids = {watch.run(programs.unwanted, "tag", "exit", 0) for _ in range(30)}
    assert len(pids & set(watch.remembered())) <= (os.cpu_count() or 1)


def test_filters_in_the_agent_alone(programs: Programs) -> None:
    """With --kernel-filters=false the same is exported, and the kernel keeps nothing back."""
    with Watch(f"--export-denylist={ENDS}", "--kernel-filters=false") as watch:
        for _ in range(3):
            watch.run(programs.unwanted, "tag", "exit", 0)
        watch.run(programs.noisy, "tag", "vfork", programs.wanted, "child", "exit", 0)
        assert watch.of("child") == []
        assert [event.process.binary for event in watch.of("tag")] == [programs.noisy] * 2
        assert kept(watch) == (0, 0)


def test_an_allow_list(programs: Programs) -> None:
    """What no filter allows is suppressed."""
    # The fence of this test is /bin/true.
    allow = '{"binary_regex":["/wanted$","/true$"]}'
    with Watch(f"--export-allowlist={allow}") as watch:
        for name in ("wanted", "noisy"):
            watch.run(getattr(programs, name), "first", "exit", 0)
        before = kept(watch)
        for _ in range(5):
            for name in ("wanted", "noisy"):
                watch.run(getattr(programs, name), "tag", "exit", 0)
        assert {event.process.binary for event in watch.of("tag")} == {programs.wanted}
        assert len(watch.of("tag")) == 10
        # Other programs of this machine are suppressed as well.
        assert all(now - then >= 5 for now, then in zip(kept(watch), before, strict=True))
