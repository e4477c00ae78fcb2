"""When the main loop looks, sleeps and takes care: by its timeouts, not by a clock."""

from __future__ import annotations

from typing import Any

import pytest

from tests.unit.records import SECOND, Task, exit_of
from tetrapy import daemon
from tetrapy.config.sources import read
from tetrapy.daemon import Agent, node_name
from tetrapy.sensors.base import BufferSize

RECORD = exit_of(Task(5, SECOND))
PAGE = 4096


class Loop:
    """An agent whose poll, buffer and clock are lists."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *batches: int, wakes: bool = True) -> None:
        self.now = 1000.0
        self.timeouts: list[float] = []
        self.course: list[str] = []
        self.batches = list(batches)
        self.wakes = wakes
        self.cares = 0
        self.agent = agent = Agent(read([], {}), lambda *_, **__: None)
        agent._epoll = agent._sensor = agent._exporter = self  # type: ignore[assignment]
        self.reader_is_gone = False
        monkeypatch.setattr(agent, "_handle", lambda records: self.course.append("handle"))
        monkeypatch.setattr(agent, "_take_care", self.take_care)
        monkeypatch.setattr(daemon.time, "monotonic", lambda: self.now)
        agent._loop()

    def poll(self, timeout: float) -> list[Any]:
        self.timeouts.append(timeout)
        self.now += timeout
        return []

    def drain(self, limit: int) -> list[bytes]:
        if not self.batches:
            self.agent._on_signal(15)
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
    loop = Loop(monkeypatch, 3, 3, 3)
    assert loop.timeouts == [0.0, 0.05, 0.05, 0.05]
    assert "ask" not in loop.course


def test_a_full_batch_is_followed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """When more waits than is taken at a time, the loop does not pause."""
    loop = Loop(monkeypatch, 512, 512, 7)
    assert loop.timeouts == [0.0, 0.0, 0.0, 0.05]


def test_a_quiet_buffer_lets_the_reader_sleep(monkeypatch: pytest.MonkeyPatch) -> None:
    """After three looks in vain it asks to be woken, looks once more, and sleeps until care."""
    loop = Loop(monkeypatch, 1, 0, 0, 0, 0, 0)
    assert loop.timeouts[:5] == [0.0, 0.05, 0.05, 0.05, 0.0]
    assert loop.timeouts[5] > 5.0
    asked = loop.course.index("ask")
    assert loop.course[asked + 1] == "drain"


def test_a_record_wakes_the_reader(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a sleep the loop goes back to its ticks."""
    loop = Loop(monkeypatch, 0, 0, 0, 0, 1, 1, 0)
    assert loop.timeouts[5:7] == [0.05, 0.05]


def test_a_buffer_that_cannot_wake_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    """Perf buffers are looked at every tick, quiet or not."""
    loop = Loop(monkeypatch, *[0] * 10, wakes=False)
    assert set(loop.timeouts[1:]) == {0.05}


@pytest.mark.parametrize("batches", [[0] * 9, [1] * 500])
def test_care_is_taken_now_and_then(monkeypatch: pytest.MonkeyPatch, batches: list[int]) -> None:
    """Clocks and losses are looked at every ten seconds, asleep or busy."""
    loop = Loop(monkeypatch, *batches)
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
    assert node_name() == daemon.os.uname().nodename


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
