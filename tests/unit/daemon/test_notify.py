# SPDX-License-Identifier: Apache-2.0
"""What the service manager is reported, and how."""

from __future__ import annotations

import os
import socket
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.agent_run import FakeSensor, Run
from tests.support.records import SECOND, Task, execute, exit_of, fork
from tetrapy.btf.source import KIND_ARCHIVE, BtfSource
from tetrapy.daemon.notify import Notifier
from tetrapy.daemon.status import Status

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Manager:
    """The other end of $NOTIFY_SOCKET."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self.socket.bind("\0" + address[1:] if address.startswith("@") else address)
        self.environment = {"NOTIFY_SOCKET": address}

    def heard(self) -> list[list[str]]:
        """The lines of each message that came since the last call."""
        messages = []
        while True:
            try:
                messages.append(self.socket.recv(65536).decode().split("\n"))
            except BlockingIOError:
                return messages


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Manager]:
    address = str(tmp_path / "notify") if request.param == "path" else f"@tetrapy-{os.getpid()}"
    manager = Manager(address)
    yield manager
    manager.socket.close()


class Clock:
    """Seconds that pass when the test says so."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_life(manager: Manager) -> None:
    """Ready, status, stopping: each told at once, to a path and to an abstract address."""
    notifier = Notifier(manager.environment)
    notifier.ready("listening")
    notifier.heartbeat("1.0 events/s")
    notifier.stopping()
    notifier.close()
    assert manager.heard() == [
        ["READY=1", "STATUS=listening"],
        ["STATUS=1.0 events/s"],
        ["STOPPING=1", "STATUS=writing what is left"],
    ]


def test_a_start_is_given_time_and_not_watched(manager: Manager) -> None:
    """Who answers the watchdog during a start is waited for from then on."""
    clock = Clock()
    notifier = Notifier({**manager.environment, "WATCHDOG_USEC": "30000000"}, clock)
    for _ in range(3):
        notifier.busy()
        notifier.busy()  # at most once a second
        clock.now += 5
    assert manager.heard() == [["EXTEND_TIMEOUT_USEC=120000000"]] * 3
    notifier.close()


def test_a_long_work_is_given_time(manager: Manager) -> None:
    """The answer to the watchdog goes before: it takes back what the manager was asked for."""
    clock = Clock()
    notifier = Notifier({**manager.environment, "WATCHDOG_USEC": "30000000"}, clock)
    notifier.ready()
    notifier.heartbeat()
    clock.now += 1
    notifier.busy()
    clock.now += 14
    notifier.heartbeat()  # too early
    clock.now += 1
    notifier.heartbeat()
    notifier.close()
    assert manager.heard() == [
        ["READY=1"],
        ["WATCHDOG=1"],
        ["WATCHDOG=1"],
        ["EXTEND_TIMEOUT_USEC=120000000"],
        ["WATCHDOG=1"],
    ]


def test_a_status_is_reported_when_it_changes(manager: Manager) -> None:
    """An equal status is not sent again."""
    notifier = Notifier(manager.environment)
    for status in ("a", "a", "", "b", "b"):
        notifier.heartbeat(status)
    notifier.close()
    assert manager.heard() == [["STATUS=a"], ["STATUS=b"]]


def test_a_status_cannot_bring_another_variable(manager: Manager) -> None:
    """A file name with a line feed stays in its line."""
    notifier = Notifier(manager.environment)
    notifier.heartbeat("exporting to /tmp/a\nMAINPID=1")
    notifier.close()
    assert manager.heard() == [["STATUS=exporting to /tmp/a MAINPID=1"]]


@pytest.mark.parametrize("pid", [None, os.getpid()], ids=["any", "ours"])
def test_the_watchdog_is_answered_twice_an_interval(manager: Manager, pid: int | None) -> None:
    """With rounds every two seconds and an interval of 20 s: at 0, 10, 20, not in between."""
    clock = Clock()
    environment = {**manager.environment, "WATCHDOG_USEC": "20000000"}
    if pid:
        environment["WATCHDOG_PID"] = str(pid)
    notifier = Notifier(environment, clock)
    beats = []
    for _ in range(11):
        notifier.heartbeat()
        beats.append(len(manager.heard()))
        clock.now += 2
    notifier.close()
    assert beats == [1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"WATCHDOG_USEC": "0"},
        {"WATCHDOG_USEC": "-5"},
        {"WATCHDOG_USEC": "soon"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "1"},
        {"WATCHDOG_USEC": "1000000", "WATCHDOG_PID": "x"},
    ],
)
def test_a_watchdog_that_is_not_ours(manager: Manager, variables: dict[str, str]) -> None:
    """No interval, one that makes no sense, and one for another process are not answered."""
    notifier = Notifier({**manager.environment, **variables})
    notifier.heartbeat()
    notifier.close()
    assert manager.heard() == []


def test_a_sign_of_life_that_was_not_taken_is_repeated(manager: Manager) -> None:
    """A manager whose queue is full hears it at the next round."""
    environment = {**manager.environment, "WATCHDOG_USEC": "20000000"}
    notifier = Notifier(environment)
    while notifier._send(["X=1"]):
        pass
    notifier.heartbeat()
    assert ["WATCHDOG=1"] not in manager.heard()
    notifier.heartbeat()
    notifier.close()
    assert manager.heard() == [["WATCHDOG=1"]]


def test_a_reload(manager: Manager) -> None:
    """Reloading with its time, and ready afterwards, also when the new settings make no sense."""
    notifier = Notifier(manager.environment)
    with notifier.reloading():
        ((first, second),) = manager.heard()
    assert first == "RELOADING=1"
    assert int(second.removeprefix("MONOTONIC_USEC=")) > 0
    with pytest.raises(ValueError, match="slip"), notifier.reloading():
        raise ValueError("slip")
    notifier.close()
    assert [message[0] for message in manager.heard()] == ["READY=1", "RELOADING=1", "READY=1"]


@given(
    st.sampled_from(["", "relative", "@", "/nowhere/notify", "vsock:2:1234", "/dev/null"])
    | st.text(st.characters(exclude_characters="/@", codec="utf-8"))
)
def test_nobody_to_tell(address: str) -> None:
    """Without a manager that listens, nothing happens and nothing is raised."""
    notifier = Notifier({"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "1000"})
    notifier.ready("listening")
    notifier.heartbeat("x")
    with notifier.reloading():
        pass
    notifier.stopping()
    notifier.close()


@pytest.mark.slow
def test_a_run_under_a_service_manager(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manager: Manager
) -> None:
    """Ready when it listens, the status of the first round, and stopping before it detaches."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.environment["NOTIFY_SOCKET"])
    run = Run(tmp_path, monkeypatch)
    run.procfs.add(1, parent=0)
    run(FakeSensor([]))
    heard = manager.heard()
    assert heard[0] == ["READY=1"]
    assert heard[-1][0] == "STOPPING=1"
    target = tmp_path / "out.json"
    status = f"STATUS=ebpf, BTF kernel; listening, 0 lost; exporting to {target}"
    assert heard[1:-1] == [[status]]


def test_a_run_without_a_service_manager_imports_no_socket(tmp_path: Path) -> None:
    """What is for the service manager costs nobody else a start."""
    notifier = Notifier({})
    assert not notifier
    assert notifier._socket is None


class Sink:
    lost = 0
    waiting = 0


class Subscription:
    passed = 5


class Losses:
    total = 0


class Turning:
    losses = Losses()


class Sensor:
    def __init__(self, name: str) -> None:
        self.name = name


def status_of(sensor: str, target: str, clock: Clock) -> tuple[Status, Subscription, Sink]:
    subscription, sink = Subscription(), Sink()
    source = BtfSource(KIND_ARCHIVE, "the embedded archive")
    status = Status(Sensor(sensor), source, Turning(), subscription, sink, target, clock)  # type: ignore[arg-type]
    return status, subscription, sink


def test_the_rate_is_of_the_last_ten_seconds() -> None:
    """It stays for ten seconds, then is that of what passed since."""
    clock = Clock()
    status, subscription, _ = status_of("ebpf", "/var/log/tetrapy/tetrapy.log", clock)
    end = "exporting to /var/log/tetrapy/tetrapy.log"
    assert status.line() == f"ebpf, BTF archive; listening, 0 lost; {end}"
    subscription.passed += 123
    clock.now += 9
    assert "listening" in status.line()
    clock.now += 1
    assert status.line() == f"ebpf, BTF archive; 12.3 events/s, 0 lost; {end}"
    clock.now += 20
    assert "; 0.0 events/s," in status.line()


def test_what_is_lost_and_what_waits() -> None:
    """Losses of the kernel's buffer and of the file are one number; a full disk is seen."""
    clock = Clock()
    status, _, sink = status_of("connector", "", clock)
    sink.lost, sink.waiting = 2, 300
    clock.now += 10
    text = "connector; 0.0 events/s, 2 lost; exporting nowhere, 300 bytes wait"
    assert status.line() == text


@pytest.mark.slow
def test_the_status_of_a_real_run_counts_what_was_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, manager: Manager
) -> None:
    """With a clock that runs fast, the last status before the stop has a rate."""
    monkeypatch.setenv("NOTIFY_SOCKET", manager.environment["NOTIFY_SOCKET"])
    monkeypatch.setattr("tetrapy.daemon.loop._HOUSEKEEPING_INTERVAL", 0.0)
    monkeypatch.setattr("tetrapy.daemon.status._INTERVAL", 1e-9)
    run = Run(tmp_path, monkeypatch)
    run.procfs.add(1, parent=0, ticks=100)
    init, child = Task(1, SECOND), Task(50, 2 * SECOND)
    run(FakeSensor([], [fork(child, init), execute(child, init, path=b"/x"), exit_of(child)]))
    statuses = [line for message in manager.heard() for line in message if "events/s" in line]
    assert any("; 0.0 events/s" not in line for line in statuses)
