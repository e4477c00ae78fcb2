"""When the main loop looks, sleeps and takes care: by its timeouts, not by a clock."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.procfs import FakeProcfs
from tests.unit.records import SECOND, Task, abi, exit_of, fork
from tetrapy.config.sources import read
from tetrapy.daemon import loop as module
from tetrapy.daemon.loop import Loop
from tetrapy.daemon.start import buffer_size, node_name
from tetrapy.sensors.base import BufferSize

RECORD = exit_of(Task(5, SECOND))
PAGE = 4096


class Course:
    """A loop whose poll, buffer and clock are lists."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *batches: int, wakes: bool = True) -> None:
        self.now = 1000.0
        self.timeouts: list[float] = []
        self.course: list[str] = []
        self.batches = list(batches)
        self.wakes = wakes
        self.cares = 0
        self.reader_is_gone = False
        self.abi, self.clock_gap = abi(), 0
        self.stopped: int | None = None
        loop = Loop(self, self, "host1", "", lambda *_, **__: None)
        monkeypatch.setattr(loop, "_handle", lambda records: self.course.append("handle"))
        monkeypatch.setattr(loop, "_take_care", self.take_care)
        monkeypatch.setattr(module.time, "monotonic", lambda: self.now)
        loop.run(self, lambda: self.stopped)

    def poll(self, timeout: float) -> list[Any]:
        self.timeouts.append(timeout)
        self.now += timeout
        return []

    def drain(self, limit: int) -> list[bytes]:
        if not self.batches:
            self.stopped = 15
            return []
        self.course.append("drain")
        return [RECORD] * self.batches.pop(0)

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
    """After three looks in vain it asks to be woken, looks once more, and sleeps until care."""
    loop = Course(monkeypatch, 1, 0, 0, 0, 0, 0)
    assert loop.timeouts[:5] == [0.0, 0.05, 0.05, 0.05, 0.0]
    assert loop.timeouts[5] > 5.0
    asked = loop.course.index("ask")
    assert loop.course[asked + 1] == "drain"


def test_a_record_wakes_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a sleep the loop goes back to its ticks."""
    loop = Course(monkeypatch, 0, 0, 0, 0, 1, 1, 0)
    assert loop.timeouts[5:7] == [0.05, 0.05]


def test_a_buffer_that_cannot_wake_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Perf buffers are looked at every tick, quiet or not."""
    loop = Course(monkeypatch, *[0] * 10, wakes=False)
    assert set(loop.timeouts[1:]) == {0.05}


@pytest.mark.parametrize("batches", [[0] * 9, [1] * 500])
def test_care_is_taken_now_and_then(monkeypatch: pytest.MonkeyPatch, batches: list[int]) -> None:
    """Clocks and losses are looked at every ten seconds, asleep or busy."""
    loop = Course(monkeypatch, *batches)
    passed = loop.now - 1000.0
    assert passed > 20
    assert passed / 10 - 1 <= loop.cares <= passed / 10 + 2


@pytest.mark.parametrize(
    ("environment", "name"),
    [
        ({"HUBBLE_NODE_NAME": "a", "NODE_NAME": "b"}, "a"),
        ({"NODE_NAME": "b"}, "b"),
        ({"HUBBLE_NODE_NAME": "", "NODE_NAME": "b"}, "b"),
    ],
)
def test_the_nodes_name(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], name: str
) -> None:
    """HUBBLE_NODE_NAME, else NODE_NAME; an empty one counts as unset."""
    for variable in ("HUBBLE_NODE_NAME", "NODE_NAME"):
        monkeypatch.delenv(variable, raising=False)
    for variable, value in environment.items():
        monkeypatch.setenv(variable, value)
    assert node_name() == name


def test_the_nodes_name_is_the_hosts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a variable it is what uname tells."""
    for variable in ("HUBBLE_NODE_NAME", "NODE_NAME"):
        monkeypatch.delenv(variable, raising=False)
    assert node_name() == os.uname().nodename


def test_a_nodes_name_that_is_no_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bytes that are not UTF-8 become U+FFFD, as everywhere in events."""
    monkeypatch.delenv("HUBBLE_NODE_NAME", raising=False)
    monkeypatch.setenv("NODE_NAME", "a\udcff\udcfeb")
    assert node_name() == "a\ufffdb"


@pytest.mark.parametrize(
    ("total", "cpus", "size"),
    [
        (4 << 20, 1, (4 << 20, 4 << 20)),
        (4 << 20, 4, (4 << 20, 1 << 20)),
        (4 << 20, 3, (4 << 20, 2 << 20)),
        (5 << 20, 2, (8 << 20, 4 << 20)),
        (1, 1, (PAGE, 16 * PAGE)),
        (PAGE + 1, 64, (2 * PAGE, 16 * PAGE)),
        (2 << 30, 2, (2 << 30, 1 << 30)),
    ],
)
def test_buffer_sizes(total: int, cpus: int, size: tuple[int, int]) -> None:
    """Powers of two, pages at least: of the one ring, and of each CPU's perf buffer."""
    assert BufferSize.of(total, cpus) == size


@pytest.mark.parametrize(
    ("arguments", "cpus", "total"),
    [
        ([], 1, 2 << 20),
        ([], 4, 4 << 20),
        ([], 64, 16 << 20),
        (["--rb-size=64K"], 4, 256 << 10),
        (["--rb-size-total=64K"], 4, 64 << 10),
    ],
)
def test_the_buffer_that_the_settings_ask_for(arguments: list[str], cpus: int, total: int) -> None:
    """By the CPU, over all CPUs, or 1 MiB a CPU within 2 to 16 MiB."""
    assert buffer_size(read(arguments, {}), cpus).total == total


class Quiet:
    """A sensor without records, and an exporter that takes everything."""

    def __init__(self) -> None:
        self.abi = abi()
        self.clock_gap = 0
        self.losses = [0, 0, 0, 0, 0]

    def loss_counters(self) -> list[int]:
        return self.losses

    def refresh_clock(self) -> None:
        self.clock_gap = 5 * SECOND

    def export(self, events: object) -> None:
        pass


@pytest.mark.parametrize("procfs", [True, False])
def test_the_table_is_swept_after_a_loss(tmp_path: Path, procfs: bool) -> None:
    """Two looks at procfs follow a loss, and none when procfs is not to be trusted."""
    quiet = Quiet()
    root = str(FakeProcfs(tmp_path / "proc").root) if procfs else ""
    loop = Loop(quiet, quiet, "host1", root, lambda *_, **__: None)
    gone = Task(50, 2 * SECOND)
    loop._handle([fork(gone, Task(1, SECOND))])
    for _ in range(3):
        loop._take_care()
    assert len(loop._table) == 2  # nothing was lost, so nothing is suspected
    quiet.losses = [0, 0, 0, 1, 0]
    loop._take_care()
    loop._take_care()
    assert len(loop._table) == (1 if procfs else 2)


def test_care_measures_the_clocks_again() -> None:
    """A suspended machine's gap is told to the dispatcher."""
    quiet = Quiet()
    loop = Loop(quiet, quiet, "host1", "", lambda *_, **__: None)
    assert loop._dispatcher.clock_gap == 0
    loop._clock.offset = 0
    loop._take_care()
    assert loop._dispatcher.clock_gap == 5 * SECOND
    assert loop._clock.offset > 0
