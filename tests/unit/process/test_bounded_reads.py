# SPDX-License-Identifier: Apache-2.0
"""Reads that somebody keeps from ending: who waits for them, how long, and how often."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from tests.support.agent import until
from tests.support.procfs import FakeProcfs
from tetrapy.events.flags import flag_words
from tetrapy.process import bounded_reads
from tetrapy.process.bounded_reads import MOST, MOST_OF_OWNER, PATIENCE, WINDOW, BoundedReads
from tetrapy.process.procfs import read_process, read_processes, reads_of
from tetrapy.sensors.connector.snapshot import take_snapshot

SHORT = 0.02  # seconds; only who never answers is waited for so long


class World:
    """Reads about pids, of which some wait; a pid's owner is its hundreds."""

    def __init__(self) -> None:
        self.now = 100.0
        self.reads = BoundedReads(lambda pid: pid // 100, lambda: self.now)
        self.held: set[int] = set()
        self.release = threading.Event()
        self.asked: list[int] = []  # those that might wait

    def read(self, pid: int, may_wait: bool) -> tuple[int, bool]:
        if may_wait:
            self.asked.append(pid)
            if pid in self.held:
                self.release.wait()
        return pid, may_wait

    def each(self, *pids: int) -> list[int]:
        """The pids of which nothing was read that may wait."""
        found = self.reads.each(pids, self.read, deadline=SHORT)
        assert [pid for pid, _ in found] == list(pids)
        return [pid for pid, waited in found if not waited]


@pytest.fixture
def world() -> Iterator[World]:
    own = World()
    yield own
    own.release.set()
    until(lambda: not own.reads.waiting, "the helpers' ends")


def test_answers_come_in_order(world: World) -> None:
    """Everything is read by one helper, which the next reads find again."""
    threads = set()

    def read(pid: int, may_wait: bool) -> int:
        threads.add(threading.get_ident())
        return pid * may_wait

    assert world.reads.each(range(500), read) == list(range(500))
    assert world.reads.one(7, read) == 7
    assert world.reads.each([], read) == []
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    assert (world.reads.unanswered, world.reads.refused) == (0, 0)


def test_several_who_ask(world: World) -> None:
    """Each gets his own answers."""
    found: dict[int, list[int]] = {}

    def ask(number: int) -> None:
        pids = range(number * 1000, number * 1000 + 300)
        found[number] = [pid for pid in pids if world.reads.one(pid, lambda pid, _: pid) != pid]

    threads = [threading.Thread(target=ask, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {number: [] for number in range(4)}


def test_rest(world: World) -> None:
    """The helper ends, and the next read has another one."""
    tids = []

    def read(pid: int, _: bool) -> int:
        tids.append(threading.get_native_id())
        return pid

    world.reads.rest()
    world.reads.one(1, read)
    world.reads.rest()
    until(lambda: not os.path.exists(f"/proc/self/task/{tids[0]}"), "the helper's end")
    world.reads.rest()
    assert world.reads.one(2, read) == 2
    assert len(set(tids)) == 2


def test_one_that_waits_costs_no_other(world: World) -> None:
    """Who does not answer is read without what may wait; those behind are read as ever."""
    world.held = {205}
    assert world.each(101, 205, 301, 102) == [205]
    assert (world.reads.unanswered, world.reads.waiting, world.reads.owner) == (1, 1, 2)


@pytest.mark.parametrize(("pid", "deadlines"), [(205, 1), (5, PATIENCE)])
def test_root_is_waited_for_longer(world: World, pid: int, deadlines: int) -> None:
    """Signs of life are given as often as there was no answer."""
    world.held = {pid}
    signs: list[int] = []
    found = world.reads.each((pid,), world.read, lambda: signs.append(1), deadline=SHORT)
    assert found == [(pid, False)]
    assert len(signs) >= deadlines  # more, if the helper wanted a processor meanwhile


def test_it_is_not_asked_again_while_it_waits(world: World) -> None:
    """Nor does time change that; when its helper is back, it is."""
    world.held = {205}
    world.each(205)
    for _ in range(3):
        assert world.each(205, 206) == [205]
        world.now += WINDOW
    assert world.asked.count(205) == 1
    assert world.reads.refused == 3
    world.release.set()
    until(lambda: not world.reads.waiting, "the helper's end")
    assert world.each(205) == []


def test_an_owner_is_waited_for_a_few_times(world: World) -> None:
    """All his processes are refused then; those of others are not."""
    world.held = set(range(200, 220))
    assert world.each(*range(195, 225)) == list(range(200, 225))
    assert world.reads.unanswered == MOST_OF_OWNER
    assert world.each(150, 222, 350) == [222]


def test_time_forgives_who_does_not_wait_any_more(world: World) -> None:
    """Helpers that have come back are counted until the window is over."""
    world.held = set(range(200, 220))
    world.each(*range(200, 220))
    world.release.set()
    until(lambda: not world.reads.waiting, "the helpers' ends")
    assert world.each(230) == [230]
    world.now += WINDOW
    assert world.each(230) == []


def test_helpers_are_few(world: World) -> None:
    """Many owners have no more than so many waiting; everything is refused then, for no time."""
    world.held = set(range(0, 10_000, 100))
    refused = world.each(*range(0, 10_000, 100))
    assert refused == list(range(0, 10_000, 100))
    assert (world.reads.unanswered, world.reads.waiting) == (MOST, MOST)
    assert world.reads.refused == 100 - MOST


def test_a_late_answer_is_dropped(world: World) -> None:
    """The helper that was left ends: it neither answers nor goes on."""
    world.held = {205}
    found = world.reads.each((205, 301), world.read, deadline=SHORT)
    world.release.set()
    until(lambda: not world.reads.waiting, "the helper's end")
    assert found == [(205, False), (301, True)]
    assert world.asked == [205, 301]


def test_who_is_slow_is_waited_for(world: World) -> None:
    """A helper that computes is not left; a sign of life is given meanwhile."""
    signs: list[int] = []

    def compute(pid: int, may_wait: bool) -> bool:
        while not signs:
            sum(range(1000))
        return may_wait

    found = world.reads.each((1,), compute, lambda: signs.append(1), deadline=SHORT)
    assert (found, world.reads.unanswered) == ([True], 0)


def test_an_error_is_the_askers(world: World) -> None:
    """What a read raises, the asker sees; the helper goes on."""

    def fail(pid: int, _: bool) -> None:
        raise ValueError(pid)

    with pytest.raises(ValueError, match="5"):
        world.reads.each((5, 6), fail)
    assert world.each(1) == []


def test_no_thread_is_to_be_had(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then nothing that may wait is read."""

    def refuse(*_: Any) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(bounded_reads, "start_new_thread", refuse)
    assert world.each(1, 2) == [1, 2]
    assert world.reads.refused == 2


@pytest.fixture
def procfs(tmp_path) -> Iterator[FakeProcfs]:
    """Three processes; the arguments of the second are a FIFO that nobody writes to."""
    own = FakeProcfs(tmp_path / "proc")
    for pid in (41, 42, 43):
        own.add(pid, uid=(pid,) * 4, exe="/usr/bin/x", cwd="/", argv=(b"x", b"y"))
    fifo = own.root / "42" / "cmdline"
    fifo.unlink()
    os.mkfifo(fifo)
    yield own
    os.close(os.open(fifo, os.O_RDWR))
    until(lambda: not reads_of(str(own.root)).waiting, "the helper's end")


def test_a_process_that_does_not_show_its_arguments(procfs: FakeProcfs) -> None:
    """The rest of it is read, and the flags tell; others are read whole."""
    root = str(procfs.root)
    found = read_processes(root, [41, 42, 43])
    assert [one and (one.binary, one.arguments, one.uid) for one in found] == [
        ("/usr/bin/x", "y", 41),
        ("/usr/bin/x", "", 42),
        ("/usr/bin/x", "y", 43),
    ]
    assert ["errorArgs" in flag_words(one.flags) for one in found if one] == [False, True, False]
    again = read_process(root, 42)
    assert again is not None
    assert "errorArgs" in flag_words(again.flags)
    assert (reads_of(root).unanswered, reads_of(root).refused) == (1, 1)


def test_a_look_that_may_not_wait(procfs: FakeProcfs) -> None:
    """Neither arguments nor variables are read, and it says so."""
    seen = take_snapshot(str(procfs.root), 42, environment=True, may_wait=False)
    assert seen is not None
    assert (seen.exe, seen.command_line, seen.environment) == (b"/usr/bin/x", b"", b"")
    assert (seen.answered, seen.has_image, seen.uid) == (False, True, 42)
