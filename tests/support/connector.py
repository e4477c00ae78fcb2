# SPDX-License-Identifier: Apache-2.0
"""The process connector's classes at work in a thread: what the agent's loop does with them."""

from __future__ import annotations

import os
import select
import threading
import time
from typing import TYPE_CHECKING, Any, Self

from tetrapy.events.exec import ProcessExec
from tetrapy.events.json import body_of
from tetrapy.kernel.clock import WallClock
from tetrapy.process.seed import fill, read_all
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.connector.source import PRIORITY, ConnectorSource

if TYPE_CHECKING:
    from tetrapy.events.event import Event

BATCH = 512
TIMEOUT = 60.0  # seconds; only a bound on waiting for what should come


class Watch:
    """Sees every process of the machine from `with` on; `paused` leaves messages to the kernel."""

    def __init__(self, buffer_bytes: int = 8 << 20, node: str = "here") -> None:
        self.sensor = ConnectorSource("/proc", buffer_bytes, priority=0)
        self.table = ProcessTable(node, "/proc")
        self.handler = self.sensor.handler(self.table, WallClock(), None)
        self.events: list[Event] = []
        self.bodies: list[dict[str, Any]] = []  # as they were when the event came
        self.received = 0
        self.cpu_ns = 0  # of the thread
        self.paused = threading.Event()
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self.sensor.attach()
        seen, _ = read_all("/proc")
        records = self.sensor.drain(BATCH)
        for process in fill(self.table, seen, self.handler.touched(records)):
            self._keep([self.handler.seed_event(process)])
        self.handler.starting = True
        self._handle(records)
        self.handler.starting = False
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self.sensor.detach()
        while records := self.sensor.drain(BATCH, everything=True):
            self._handle(records)
        self.sensor.close()

    def _run(self) -> None:
        os.setpriority(os.PRIO_PROCESS, 0, PRIORITY)  # of this thread only
        with select.epoll() as epoll:
            self.sensor.register(epoll)
            while not self._stop.is_set():
                if self.paused.is_set():
                    time.sleep(0.001)
                    continue
                epoll.poll(0.05)
                self._handle(self.sensor.drain(BATCH))
                self.cpu_ns = time.clock_gettime_ns(time.CLOCK_THREAD_CPUTIME_ID)

    def _handle(self, records: list[Any]) -> None:
        self.received += len(records)
        self._keep(self.handler.events(records))

    def _keep(self, events: list[Event]) -> None:
        self.bodies.extend(body_of(event) for event in events)
        self.events.extend(events)

    def of(self, *pids: int) -> list[tuple[str, dict[str, Any]]]:
        """Kind and message of each event of these processes."""
        both = list(zip(self.events, self.bodies, strict=False))
        return [
            ("exec" if isinstance(event, ProcessExec) else "exit", body)
            for event, body in both
            if body["process"]["pid"] in pids
        ]

    def until_exit(self, *pids: int) -> list[tuple[str, dict[str, Any]]]:
        """Their events, once the exit of each is there."""
        deadline = time.monotonic() + TIMEOUT
        while time.monotonic() < deadline:
            found = self.of(*pids)
            ended = {body["process"]["pid"] for kind, body in found if kind == "exit"}
            if ended >= set(pids):
                return found
            time.sleep(0.005)
        raise AssertionError(f"no exit of {set(pids)}: {self.of(*pids)}")
