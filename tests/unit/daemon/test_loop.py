# SPDX-License-Identifier: Apache-2.0
"""When the main loop looks, sleeps and takes care: by its timeouts, not by a clock."""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.agent_run import FakeSensor
from tests.support.procfs import FakeProcfs
from tests.support.records import NODE, SECOND, Task, exit_of, fork
from tetrapy.daemon import loop as module
from tetrapy.daemon.loop import Loop
from tetrapy.process.table import ProcessTable

RECORD = exit_of(Task(5, SECOND))


class FakeFanout:
    """Takes everything, and remembers what time brought."""

    reader_is_gone = False
    passed = dropped = 0

    def __init__(self) -> None:
        self.ticks: list[float] = []
        self.published: list[list[Any]] = []
        self.waiting = 0  # pushes that a slow reader takes

    @property
    def wants_push(self) -> bool:
        return self.waiting > 0

    def push(self) -> None:
        self.waiting -= 1

    def report_to(self, alive: object) -> None:
        pass

    def publish(self, events: list[Any]) -> None:
        self.published.append(list(events))

    def tick(self, now: float) -> None:
        self.ticks.append(now)


def loop_of(sensor: Any, fanout: Any, procfs: str = "") -> Loop:
    table = ProcessTable(NODE, procfs)
    return Loop(sensor, fanout, table, None, procfs, lambda *_, **__: None)


class Course(FakeSensor):
    """A loop whose poll, buffer and clock are lists."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        *batches: int,
        wakes: bool = True,
        waiting: int = 0,
    ) -> None:
        super().__init__()
        self.now = 1000.0
        self.timeouts: list[float] = []
        self.sizes = list(batches)
        self.wakes = wakes
        self.cares = 0
        self.stopped: int | None = None
        fanout = FakeFanout()
        fanout.waiting = waiting
        self.loop = loop_of(self, fanout)
        monkeypatch.setattr(self.loop, "_handle", lambda records: self.course.append("handle"))
        monkeypatch.setattr(self.loop, "_report_losses", self.take_care)
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        self.loop.run(self, lambda: self.stopped)
        self.rounds = [now - 1000.0 for now in fanout.ticks]

    def poll(self, timeout: float) -> list[Any]:
        self.timeouts.append(timeout)
        self.now += timeout
        return []

    def drain(self, limit: int, everything: bool = False) -> list[bytes]:
        if not self.sizes:
            self.stopped = 15
            return []
        self.course.append("drain")
        size = self.sizes.pop(0)
        self.more = size == limit
        return [RECORD] * size

    def ask_for_wakeup(self) -> bool:
        self.course.append("ask")
        return self.wakes

    def take_care(self) -> None:
        self.cares += 1


def test_a_busy_buffer_is_looked_at_every_tick(monkeypatch: pytest.MonkeyPatch) -> None:
    """One wake-up serves what came in 50 ms."""
    loop = Course(monkeypatch, 3, 3, 3)
    assert loop.timeouts == [0.0, 0.05, 0.05, 0.05]
    assert "ask" not in loop.course


def test_a_full_batch_is_followed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When more waits than is taken at a time, the loop does not pause."""
    loop = Course(monkeypatch, 512, 512, 7)
    assert loop.timeouts == [0.0, 0.0, 0.0, 0.05]


def test_a_quiet_buffer_lets_the_reader_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """After three looks in vain it asks to be woken, looks once more, sleeps until the round."""
    loop = Course(monkeypatch, 1, 0, 0, 0, 0, 0)
    assert loop.timeouts[:5] == [0.0, 0.05, 0.05, 0.05, 0.0]
    assert 1.5 < loop.timeouts[5] <= 2.0
    asked = loop.course.index("ask")
    assert loop.course[asked + 1] == "drain"


def test_lines_that_wait_for_a_slow_reader_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each tick some, though no record comes; then the loop sleeps as ever."""
    loop = Course(monkeypatch, *[0] * 20, waiting=10)
    assert set(loop.timeouts[:10]) == {0.0, 0.05}
    assert max(loop.timeouts[10:]) > 1.5


def test_a_record_wakes_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a sleep the loop goes back to its ticks."""
    loop = Course(monkeypatch, 0, 0, 0, 0, 1, 1, 0)
    assert loop.timeouts[5:7] == [0.05, 0.05]


def test_a_buffer_that_cannot_wake_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Perf buffers are looked at every tick, quiet or not."""
    loop = Course(monkeypatch, *[0] * 10, wakes=False)
    assert set(loop.timeouts[1:]) == {0.05}


def test_what_takes_long_lets_events_through() -> None:
    """Within a policy that is loaded, say, between two batches; not before the loop runs, nor
    within a batch, whose events come first.
    """
    sensor = FakeSensor(*([exit_of(Task(pid, SECOND))] for pid in (5, 6, 7)))
    fanout = FakeFanout()
    loop = loop_of(sensor, fanout)
    seen: list[int] = []
    steps: list[str] = []

    def handle(records: list[Any], _end: float = 0.0) -> int:
        steps.append(f"batch {len(seen)}")
        seen.append(len(records))
        loop.breathe()
        steps.append("its end")
        return len(records)

    def turn(_ready: Any) -> None:
        steps.append("long work")
        fanout.waiting = 1
        loop.breathe()
        assert fanout.waiting == 0

    loop._handle = handle  # type: ignore[method-assign]
    loop.breathe()
    assert steps == []
    loop.clients = SimpleNamespace(turn=turn, tick=lambda _: None)  # type: ignore[assignment]
    polls = SimpleNamespace(poll=lambda _: [(0, 0)])
    loop.run(polls, lambda: 15 if len(seen) > 1 else None)  # type: ignore[arg-type]
    assert steps == ["long work", "batch 0", "its end", "batch 1", "its end"]


def test_a_storm_does_not_keep_long_work_from_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """However much waits: half of the time is that of what takes long."""
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    sensor = FakeSensor(*[[RECORD] * 512] * 200)
    loop = loop_of(sensor, FakeFanout())
    took = [0.0]

    def handle(records: list[Any], _end: float = 0.0) -> int:
        now[0] += 0.02
        took[0] += 0.02
        return len(records)

    def turn(_ready: Any) -> None:
        began, took[0] = now[0], 0.0
        for _ in range(100):  # hooks
            now[0] += 0.004
            loop.breathe()
        assert 0.2 <= took[0] <= 0.5 * (now[0] - began) + 0.02

    loop._handle = handle  # type: ignore[method-assign]
    loop.clients = SimpleNamespace(turn=turn, tick=lambda _: None)  # type: ignore[assignment]
    stops = iter((None, 15))
    loop.run(SimpleNamespace(poll=lambda _: [(0, 0)]), lambda: next(stops))  # type: ignore[arg-type]
    assert took[0] > 0


@pytest.mark.parametrize("batches", [[0] * 25, [1] * 500])
def test_care_is_taken_now_and_then(monkeypatch: pytest.MonkeyPatch, batches: list[int]) -> None:
    """Clocks and losses are looked at every ten seconds, the rest every two, asleep or busy."""
    loop = Course(monkeypatch, *batches)
    passed = loop.now - 1000.0
    assert passed > 20
    assert passed / 10 - 1 <= loop.cares <= passed / 10 + 2
    assert passed / 2 - 1 <= len(loop.rounds) <= passed / 2 + 2
    assert all(1.9 < later - earlier < 2.2 for earlier, later in pairwise(loop.rounds))


@pytest.mark.parametrize("batches", [[0] * 25, [1] * 500])
def test_the_loop_is_seen_to_turn(monkeypatch: pytest.MonkeyPatch, batches: list[int]) -> None:
    """Who asks whether the loop hangs finds when it last turned, asleep or busy."""
    loop = Course(monkeypatch, *batches)
    assert loop.now - loop.loop.heartbeat <= 2.1


def care(loop: module.Loop) -> None:
    """One look at clocks and losses."""
    loop._rounds = 0
    loop._housekeep(0.0)


@pytest.mark.parametrize("procfs", [True, False])
def test_the_table_is_swept_after_a_loss(tmp_path: Path, procfs: bool) -> None:
    """Two looks at procfs follow a loss, and none when procfs is not to be trusted."""
    sensor = FakeSensor()
    root = str(FakeProcfs(tmp_path / "proc").root) if procfs else ""
    loop = loop_of(sensor, FakeFanout(), root)
    gone = Task(50, 2 * SECOND)
    loop._handle([fork(gone, Task(1, SECOND))])
    for _ in range(3):
        care(loop)
    assert len(loop.table) == 2  # nothing was lost, so nothing is suspected
    assert sensor.forgotten == 0
    sensor.lost = {"exit": 1}
    care(loop)
    care(loop)
    assert len(loop.table) == (1 if procfs else 2)
    assert sensor.forgotten == (2 if procfs else 0)
    care(loop)
    assert sensor.forgotten == (2 if procfs else 0)


def test_the_kernel_is_reported_who_is_gone(tmp_path: Path) -> None:
    """It asks by pid, and procfs answers."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(50)
    asked = {}

    class Sensor(FakeSensor):
        def forget_gone(self, is_there: Callable[[int], bool]) -> None:
            asked.update({pid: is_there(pid) for pid in (50, 51)})

    sensor = Sensor()
    sensor.lost = {"exit": 1}
    care(loop_of(sensor, FakeFanout(), str(procfs.root)))
    assert asked == {50: True, 51: False}


def test_a_stop_sweeps_nothing(tmp_path: Path) -> None:
    """Who is forgotten does not matter any more, and a full table takes seconds."""
    sensor = FakeSensor()
    sensor.lost = {"exit": 1}
    loop_of(sensor, FakeFanout(), str(FakeProcfs(tmp_path / "proc").root)).stop()
    assert sensor.forgotten == 0


def test_care_measures_the_clocks_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """A suspended machine's gap is told to the dispatcher."""
    loop = loop_of(FakeSensor(), FakeFanout())
    loop._clock.offset = 0
    monkeypatch.setattr(loop.handler, "_measure_gap", lambda: 5 * SECOND)
    loop._housekeep(0.0)
    assert loop.handler.clock_gap == 5 * SECOND
    assert loop._clock.offset > 0


def test_what_time_brings_is_exported(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each round the handler is asked what there is to tell, and the fan-out gets it."""
    fanout = FakeFanout()
    loop = loop_of(FakeSensor(), fanout)
    asked: list[int] = []
    monkeypatch.setattr(loop.handler, "tick", lambda now: asked.append(now) or ["event"])
    loop._housekeep(7.0)
    assert fanout.ticks == [7.0]
    assert fanout.published == [["event"]]
    assert asked[0] > 0


class Endless(FakeSensor):
    """A sensor whose buffer takes long to become empty."""

    def __init__(self, records: int) -> None:
        super().__init__()
        self.left = records

    def drain(self, limit: int, everything: bool = False) -> list[bytes]:
        taken = min(limit, self.left)
        self.left -= taken
        return [RECORD] * taken


@pytest.mark.parametrize(
    ("cost", "began", "whole"), [(0.0, 0.0, True), (0.001, 0.0, False), (0.0001, 997.5, False)]
)
def test_a_stop_has_a_deadline(
    monkeypatch: pytest.MonkeyPatch, cost: float, began: float, whole: bool
) -> None:
    """What is left in the buffer then is counted as lost, and nothing is counted twice. It counts
    from the signal on, which may have come in the middle of a batch.
    """
    clock = [1000.0]
    sensor = Endless(20_000)
    loop = loop_of(sensor, FakeFanout())
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(module.time, "sleep", lambda seconds: None)
    signs: list[float] = []
    loop.heartbeat = clock[0]
    loop.after_round = lambda: signs.append(clock[0])

    def events(records: list[bytes]) -> list[Any]:
        clock[0] += cost * len(records)
        return []

    monkeypatch.setattr(loop.handler, "events", events)
    loop.stop(5.0, began)
    assert clock[0] < (began or 1000.0) + 5.0
    assert loop.received + loop.losses.total == 20_000
    assert (loop.losses.total == 0) is whole
    assert len(signs) >= (0 if whole or began else 2)  # within a batch too
