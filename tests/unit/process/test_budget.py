# SPDX-License-Identifier: Apache-2.0
"""All images together take no more bytes than they may."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from tests.support.procfs import FakeProcfs
from tests.support.records import SECOND, Task, World, execute, exit_of
from tests.support.shown_process import fields
from tetrapy.events.process import Process
from tetrapy.process import replaced_images
from tetrapy.process.budget import weight
from tetrapy.process.procfs import read_process
from tetrapy.sensors import reassembly
from tetrapy.sensors.reassembly import Reassembly

INIT = Task(1, SECOND)
MOST = 2 << 20


def heavy() -> int:
    gc.collect()
    return sum(weight(thing) for thing in gc.get_objects() if isinstance(thing, Process))


def tasks(count: int, first: int = 100) -> list[Task]:
    return [Task(first + number, 2 * SECOND + number * 10_000_000) for number in range(count)]


@pytest.mark.slow
@pytest.mark.parametrize("ancestors", [False, True])
@pytest.mark.parametrize("text", [b"x", "🚀".encode()])
def test_long_texts(text: bytes, ancestors: bool) -> None:
    """Thousands of live processes with long texts: what is oldest is cut, and told as cut."""
    world = World(ancestors=ancestors, max_bytes=MOST)
    before = heavy()
    words = (b"p", text * (8_000 // len(text)))
    for task in tasks(1_000):
        world.feed(execute(task, INIT, argv=words, fork_parent=INIT))
        assert world.table.bytes <= MOST
    assert heavy() - before < MOST * 1.3
    assert world.table.cuts > 100
    assert world.table.evictions == 0
    assert "truncArgs" in fields(world.one(exit_of(tasks(1)[0])).process)["flags"]


@pytest.mark.slow
def test_long_texts_of_another_user() -> None:
    """Who has most of them has his own cut, not an older one of somebody else."""
    world = World(max_bytes=MOST)
    victim = Task(90, SECOND)
    words = (b"p", b"x" * 3_000)
    world.feed(execute(victim, INIT, argv=words, fork_parent=INIT, uid=1234))
    for task in tasks(1_000):
        world.feed(execute(task, INIT, argv=words, fork_parent=INIT, uid=65534))
    assert world.table.cuts > 100
    assert "truncArgs" not in fields(world.one(exit_of(victim)).process)["flags"]
    assert "truncArgs" in fields(world.one(exit_of(tasks(1)[0])).process)["flags"]


@pytest.mark.slow
def test_many_processes() -> None:
    """When texts cannot be cut any more, the oldest processes go."""
    world = World(max_bytes=MOST)
    before = heavy()
    for task in tasks(5_000):
        world.feed(execute(task, INIT, path=b"/bin/%d" % task.pid, fork_parent=INIT))
    assert heavy() - before < MOST * 1.3
    assert world.table.evictions > 1_000
    assert max(world.live) == 5_099


@pytest.mark.slow
def test_parents_that_are_gone() -> None:
    """Those that only children refer to are counted with the rest."""
    world = World(max_bytes=MOST)
    before = heavy()
    words = (b"p", b"x" * 4_000)
    for parent, child in zip(tasks(1_000), tasks(1_000, first=10_000), strict=True):
        world.feed(
            execute(parent, INIT, argv=words, fork_parent=INIT),
            execute(child, parent, fork_parent=parent),
            exit_of(parent),
        )
    assert heavy() - before < MOST * 1.3


@pytest.mark.slow
def test_usual_processes_are_left_alone() -> None:
    """Some thousand processes with usual texts stay whole by default."""
    world = World()
    for task in tasks(3_000):
        world.feed(execute(task, INIT, argv=(b"p", b"x" * 300), fork_parent=INIT))
    assert world.table.cuts == world.table.evictions == 0
    assert len(world.table) == 3_001


@pytest.mark.slow
def test_images_for_deferred_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """They have a bound in bytes too, also when they are replaced again and again."""
    monkeypatch.setattr(replaced_images, "_MAX_BYTES", 200_000)
    world = World()
    before = heavy()
    for task in tasks(300):
        for number in range(3):
            words = (b"p", b"x" * 4_000)
            at = task.start + number
            record = execute(task, INIT, argv=words, fork_parent=INIT, at=at, deferred_children=1)
            world.feed(record)
        world.feed(exit_of(task, at=task.start + 30, deferred_children=1))
    assert heavy() - before < 250_000


def test_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits longest goes when all that waits is too much."""
    monkeypatch.setattr(reassembly, "MAX_BYTES", 100_000)
    waiting = Reassembly(64)
    for number in range(10):
        for part in range(3):
            waiting.add((number, 1, 0), part * 10_000, b"x" * 10_000)
            assert waiting.bytes <= 100_000
    assert (waiting.size, waiting.evictions) == (3, 7)
    assert [len(waiting.claim((number, 1, 0), 30_000)) for number in range(10)] == [0] * 7 + [
        30_000
    ] * 3
    assert waiting.bytes == 0


def test_a_command_line_of_procfs(tmp_path: Path) -> None:
    """It is read as far as later lines may show it, and flagged."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(7, exe="/bin/x", argv=(b"x", b"\x01" * 300_000))
    seen = read_process(str(procfs.root), 7)
    assert seen is not None
    assert len(seen.arguments) == 4096 // 6
    assert seen.flags & 0x10
