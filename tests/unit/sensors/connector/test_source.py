# SPDX-License-Identifier: Apache-2.0
"""The connector's sensor counts what is lost, and looks at what can still be seen."""

from __future__ import annotations

import os
import select
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.connector_messages import message
from tests.support.procfs import FakeProcfs
from tetrapy.config.sources import read
from tetrapy.process.details import Wanted
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.connector import source as module
from tetrapy.sensors.connector.dispatch import ConnectorDispatcher
from tetrapy.sensors.connector.messages import Exec, Exit, Fork, Gap
from tetrapy.sensors.connector.source import BLIND, ConnectorSource

if TYPE_CHECKING:
    from pathlib import Path


class FakeConnector:
    """Hands out batches of messages."""

    def __init__(self, buffer_bytes: int) -> None:
        self.buffer_bytes = buffer_bytes
        self.overruns = 0
        self.batches: list[list[bytes]] = []
        self.requests: list[bool] = []
        self.fd, self._end = os.pipe()

    def listen(self) -> list[bytes]:
        self.requests.append(True)
        return self.receive(1000)

    def request(self, *, listen: bool) -> None:
        self.requests.append(listen)

    def receive(self, limit: int) -> list[bytes]:
        if not self.batches:
            return []
        batch = self.batches.pop(0)
        if len(batch) > limit:
            self.batches.insert(0, batch[limit:])
        return batch[:limit]

    def close(self) -> None:
        os.close(self.fd)
        os.close(self._end)


class Stage:
    """A sensor over messages and a procfs of files."""

    def __init__(self, path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(module, "ProcessConnector", FakeConnector)
        self.pokes = 0
        monkeypatch.setattr(module, "provoke_event", self.provoke_event)
        self.procfs = FakeProcfs(path / "proc")
        self.sensor = ConnectorSource(str(self.procfs.root), 4096, priority=0)
        self.connector: FakeConnector = self.sensor._connector

    def provoke_event(self) -> bool:
        self.pokes += 1
        return True

    def drain(self, *batches: list[bytes], limit: int = 512) -> list:
        self.connector.batches.extend(batches)
        return self.sensor.drain(limit)


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    stage = Stage(tmp_path, monkeypatch)
    yield stage
    stage.sensor.close()


def test_lost_messages_are_counted_by_their_numbers(stage: Stage) -> None:
    """A number that is missing on a CPU is a lost message, whichever CPU it is."""
    records = stage.drain(
        [
            message("fork", 1, 1, 2, 2, cpu=0, number=7),
            message("fork", 1, 1, 3, 3, cpu=1, number=99),
            message("none", cpu=0, number=8),
            message("fork", 1, 1, 4, 4, cpu=0, number=12),
        ]
    )
    assert records == [Fork(2, 2, 1, 0), Fork(3, 3, 1, 0), Gap(3), Fork(4, 4, 1, 0)]
    assert stage.sensor.losses() == {"socket": 3, "silence": 0}


def test_numbers_wrap(stage: Stage) -> None:
    """After the largest number comes 0, and nothing is lost."""
    stage.drain([message("none", number=2**32 - 1), message("none", number=0)])
    stage.drain([message("none", number=2)])
    assert stage.sensor.losses()["socket"] == 1


def test_overrun_before_the_next_message(stage: Stage) -> None:
    """An overrun is a loss already when nobody knows yet how much was lost."""
    stage.connector.overruns = 1
    assert stage.sensor.losses()["socket"] == 1


def test_losses_are_learnt(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """After an overrun each CPU is made to send a message, once for each overrun."""
    asked: list[int] = []
    monkeypatch.setattr(module, "provoke_event_on_each_cpu", lambda: asked.append(1))
    stage.sensor.attach()
    stage.sensor.check_flow()
    stage.connector.overruns = 2
    stage.sensor.check_flow()
    stage.sensor.check_flow()
    stage.connector.overruns = 3
    stage.sensor.detach()
    assert len(asked) == 2


def test_message_without_sense(stage: Stage) -> None:
    """It is counted and left out; the others are read."""
    records = stage.drain([b"junk", message("fork", 1, 1, 2, 2, number=5)])
    assert records == [Fork(2, 2, 1, 0)]
    assert stage.sensor.errors == 1


def test_number_that_was_there_before(stage: Stage) -> None:
    """A message with an old number is no loss of four thousand million."""
    stage.drain([message("none", number=5), message("none", number=4)])
    assert (stage.sensor.errors, stage.sensor.losses()["socket"]) == (1, 0)


def test_exec_is_looked_at(stage: Stage) -> None:
    """An exec carries what procfs shows of its process at once."""
    stage.procfs.add(5, exe="/bin/ls", argv=(b"ls", b"-l"))
    (record,) = stage.drain([message("exec", 5, 5, time=7)])
    assert isinstance(record, Exec)
    assert (record.pid, record.time, record.seen.exe) == (5, 7, b"/bin/ls")
    assert stage.sensor.missed == 0


def test_exec_of_a_process_that_is_gone(stage: Stage) -> None:
    """It carries nothing, and counts as missed."""
    (record,) = stage.drain([message("exec", 5, 5)])
    assert record.seen is None
    assert stage.sensor.missed == 1


def test_exec_followed_by_another(stage: Stage) -> None:
    """Of two execs that wait together, procfs shows the second one only."""
    stage.procfs.add(5)
    first, second = stage.drain([message("exec", 5, 5, number=0), message("exec", 5, 5, number=1)])
    assert first.seen is None
    assert second.seen is not None
    assert stage.sensor.missed == 1


@pytest.mark.parametrize("executed", [0, 1 << 62])
def test_exec_during_the_look(stage: Stage, executed: int) -> None:
    """What was seen counts unless the process executed again before it was over."""
    stage.procfs.add(5)
    first, second = stage.drain(
        [message("exec", 5, 5, number=0)], [message("exec", 5, 5, number=1, time=executed)]
    )
    assert (first.seen is not None) == (executed > 0)
    assert second.seen is not None
    assert stage.sensor.missed == (executed == 0)


def test_exec_followed_by_the_end(stage: Stage) -> None:
    """A process that has ended has no image to be looked for, but a name."""
    stage.procfs.add(5, comm=b"ls")
    record, end = stage.drain([message("exec", 5, 5), message("exit", 5, 5, number=1)])
    assert isinstance(end, Exit)
    assert (record.seen.has_image, record.seen.comm) == (False, b"ls")
    assert stage.sensor.missed == 1


def test_exec_followed_by_a_fork_with_its_pid(stage: Stage) -> None:
    """A pid that was given to another process shows nothing of the first."""
    stage.procfs.add(5)
    records = stage.drain(
        [
            message("exec", 5, 5, number=0),
            message("exit", 5, 5, number=1),
            message("fork", 1, 1, 5, 5, number=2),
            message("exec", 5, 5, number=3),
        ]
    )
    assert records[0].seen is None
    assert records[3].seen.has_image


def test_without_a_procfs(stage: Stage) -> None:
    """Where procfs is not to be trusted, nothing is looked at."""
    stage.procfs.add(5)
    stage.sensor._procfs = ""
    (record,) = stage.drain([message("exec", 5, 5)])
    assert record.seen is None


@pytest.mark.parametrize("asked", [False, True])
def test_environment(stage: Stage, asked: bool) -> None:
    """Variables are read with the look, if they are asked for."""
    stage.sensor._environment = asked
    stage.procfs.add(5)
    (stage.procfs.root / "5/environ").write_bytes(b"A=1\0")
    (record,) = stage.drain([message("exec", 5, 5)])
    assert record.seen.environment == (b"A=1\0" if asked else b"")


@pytest.mark.parametrize(
    ("flags", "size"),
    [(["--rb-size-total=1M"], 1 << 20), (["--rb-size=64K"], (os.cpu_count() or 1) << 16)],
)
def test_settings(monkeypatch: pytest.MonkeyPatch, flags: list[str], size: int) -> None:
    """The size of the buffer is the one that the settings give to the kernel's buffer."""
    monkeypatch.setattr(module, "ProcessConnector", FakeConnector)
    sensor = module.open_sensor(read(flags, {}), Wanted(environment=True), "/proc")
    assert abs(sensor.buffer_bytes - size) <= size // 20
    assert sensor._environment
    assert isinstance(sensor.handler(ProcessTable("n", ""), str, None), ConnectorDispatcher)
    assert sensor.suppressed() == {}
    sensor.forget_gone(bool)
    sensor.close()


def test_limit(stage: Stage) -> None:
    """No more records are taken than asked for, and none is left behind."""
    batch = [message("fork", 1, 1, n, n, number=n) for n in range(1, 6)]
    assert [len(stage.drain(*b, limit=2)) for b in ([batch], [], [], [])] == [2, 2, 1, 0]


def test_life(stage: Stage) -> None:
    """Messages that came while the flow was started are not lost; detaching asks for no more."""
    stage.connector.batches = [[message("fork", 1, 1, 2, 2)]]
    stage.sensor.attach()
    with select.epoll() as epoll:
        stage.sensor.register(epoll)
    assert stage.drain() == [Fork(2, 2, 1, 0)]
    assert stage.sensor.ask_for_wakeup()
    stage.sensor.detach()
    assert stage.connector.requests == [True, False]
    assert stage.sensor.buffer_bytes == 4096
    assert stage.sensor.blind == BLIND


def test_silence(stage: Stage) -> None:
    """When nothing comes, a message is provoked; when that does not come, the flow is started
    again, and counted as a loss.
    """
    stage.sensor.check_flow()
    stage.sensor.attach()
    stage.sensor.check_flow()
    assert stage.pokes == 0  # the start has just shown that messages come
    stage.sensor.check_flow()
    assert (stage.pokes, stage.sensor.losses()["silence"]) == (1, 0)
    stage.drain([message("comm", 1, 1)])
    stage.sensor.check_flow()
    stage.sensor.check_flow()
    assert (stage.pokes, stage.sensor.losses()["silence"]) == (2, 0)
    stage.sensor.check_flow()
    assert (stage.pokes, stage.sensor.losses()["silence"]) == (3, 1)
    assert stage.connector.requests == [True, True]


def test_priority(stage: Stage) -> None:
    """While attached, the thread has the sensor's priority; afterwards its own again."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    stage.sensor._priority = before
    stage.sensor.attach()
    stage.sensor.detach()
    assert os.getpriority(os.PRIO_PROCESS, 0) == before


@pytest.mark.slow
@given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60), st.integers(1, 9))
def test_every_lost_message_is_counted(sent: list[tuple[int, bool]], limit: int) -> None:
    """Lost and received messages are all that were sent, up to the last one received of a CPU."""
    numbers = dict.fromkeys(range(4), 2**32 - 3)
    arrived: list[bytes] = []
    pending = dict.fromkeys(range(4), 0)
    expected = 0
    for cpu, lost in sent:
        number = numbers[cpu]
        numbers[cpu] = (number + 1) % 2**32
        first = number == 2**32 - 3
        if lost and not first:
            pending[cpu] += 1
        else:
            expected += pending[cpu]
            pending[cpu] = 0
            arrived.append(message("fork", 1, 1, 9, 9, cpu=cpu, number=number))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "ProcessConnector", FakeConnector)
        sensor = ConnectorSource("", 4096, priority=0)
        sensor._connector.batches = [arrived]
        records = []
        while batch := sensor.drain(limit):
            records.extend(batch)
        sensor.close()
    assert sensor.losses()["socket"] == expected
    assert sum(record.lost for record in records if isinstance(record, Gap)) == expected
    assert len([record for record in records if isinstance(record, Fork)]) == len(arrived)
