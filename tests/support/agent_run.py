# SPDX-License-Identifier: Apache-2.0
"""An agent that runs in the test's own process: its sensor and what needs root are replaced."""

from __future__ import annotations

import json
import os
import signal
from typing import TYPE_CHECKING, Any

from tests.support.procfs import FakeProcfs
from tests.support.records import abi
from tetrapy.btf.source import KIND_KERNEL, BtfSource
from tetrapy.config.sources import read
from tetrapy.daemon import agent as module
from tetrapy.daemon import choose_sensor, info
from tetrapy.daemon.agent import Agent
from tetrapy.process.tracker import ProcessTracker
from tetrapy.sensors.base_handler import BaseHandler
from tetrapy.sensors.source import EventSource

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    import pytest

    from tetrapy.kernel.clock import WallClock
    from tetrapy.process.details import Details
    from tetrapy.process.table import ProcessTable


class FakeSensor(EventSource):
    """Hands out batches of records; when there are none left, a signal stops the agent."""

    name = "ebpf"
    buffer_bytes = 4096
    filter_masks = None
    rates = None
    more = False

    def __init__(self, *batches: list[bytes], stop: int = signal.SIGTERM) -> None:
        self.abi = abi()
        self.batches = list(batches)
        self.after_detach: list[bytes] = []
        self.lost: dict[str, int] = {}
        self.unwanted: dict[str, int] = {}
        self.stop = stop
        self.course: list[str] = []
        self.forgotten = 0  # how often it was told to forget

    def register(self, epoll: Any) -> None:
        self.course.append("register")

    def attach(self) -> None:
        self.course.append("attach")

    def detach(self) -> None:
        self.course.append("detach")

    def drain(self, limit: int, everything: bool = False) -> list[bytes]:
        if "detach" in self.course:
            records, self.after_detach = self.after_detach, []
            return records
        if self.batches:
            return self.batches.pop(0)
        os.kill(os.getpid(), self.stop)
        return []

    def ask_for_wakeup(self) -> bool:
        return True

    def handler(
        self, table: ProcessTable, clock: WallClock, details: Details | None
    ) -> BaseHandler:
        tracker = ProcessTracker(table, clock, self.abi, details)
        return BaseHandler(self.abi, tracker, clock, self.measure_gap, self)

    def measure_gap(self) -> int:
        self.course.append("clock")
        return 0

    def report_forks_eagerly(self, yes: bool) -> None:
        self.course.append("at once" if yes else "lazily")

    def losses(self) -> dict[str, int]:
        return self.lost

    def suppressed(self) -> dict[str, int]:
        return self.unwanted

    def forget_gone(self, is_there: Callable[[int], bool]) -> None:
        self.forgotten += 1

    def close(self) -> None:
        self.course.append("close")


class Recorder:
    """A log that remembers what it was reported."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, str, dict[str, Any]]] = []

    def __call__(self, level: str, message: str, **keys: Any) -> None:
        self.lines.append((level, message, keys))

    def toggle_debug(self) -> str:
        return "debug"

    @property
    def messages(self) -> list[str]:
        return [message for level, message, _ in self.lines if level != "debug"]

    def keys_of(self, message: str) -> dict[str, Any]:
        (keys,) = [keys for _, said, keys in self.lines if said == message]
        return keys


class Run:
    """An agent in a directory of its own."""

    def __init__(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path = tmp_path
        self.procfs = FakeProcfs(tmp_path / "proc")
        (self.procfs.root / "self").mkdir()
        (self.procfs.root / "self/cgroup").write_text("0::/\n")
        self.log = Recorder()
        self.monkeypatch = monkeypatch
        self.frozen = 0
        monkeypatch.setenv("NODE_NAME", "host1")
        monkeypatch.delenv("HUBBLE_NODE_NAME", raising=False)
        monkeypatch.setattr(module.privilege, "lift_memory_lock_limit", lambda: None)
        # Or this process would have it.
        monkeypatch.setattr(module.priority, "ask", lambda _log: None)
        monkeypatch.setattr(module.capabilities, "drop_all_but", lambda kept, reserve: kept)
        monkeypatch.setattr(choose_sensor.privilege, "check_bpf", lambda: None)
        source = BtfSource(KIND_KERNEL, "here")
        monkeypatch.setattr(
            choose_sensor.btf, "loaded", lambda _settings, _log, load: (load(source), source)
        )
        monkeypatch.setattr(choose_sensor, "sensor_options", lambda *_: None)
        monkeypatch.setattr(module.gc, "freeze", self.freeze)
        monkeypatch.setattr(module, "RUN_DIRECTORY", str(tmp_path / "run"))
        monkeypatch.setattr(info, "RUN_DIRECTORY", str(tmp_path / "run"))

    def freeze(self) -> None:
        self.frozen += 1

    def use(self, sensor: FakeSensor) -> None:
        self.monkeypatch.setattr(choose_sensor, "load_sensor", lambda *_: sensor)

    def __call__(self, sensor: FakeSensor, *arguments: str) -> list[Any]:
        """The exported lines of the run."""
        target = self.path / "out.json"
        flags = [f"--procfs={self.procfs.root}/", f"--export-filename={target}"]
        flags += ["--sensor=ebpf", f"--server-address=unix://{self.path}/s", *arguments]
        self.use(sensor)
        Agent(read(flags, {}), self.log).run()
        return [json.loads(line) for line in target.read_bytes().splitlines()]


def reported(lines: list[Any]) -> list[tuple[str, int]]:
    """Kind and pid of each line."""
    return [
        (name, message["process"]["pid"])
        for line in lines
        for name, message in line.items()
        if "process" in message
    ]
