# SPDX-License-Identifier: Apache-2.0
"""A sensor loaded from the sources, in the test's own process: its counters and maps too."""

from __future__ import annotations

import itertools
import os
import subprocess
import time
from typing import TYPE_CHECKING, Any

from tests.support.agent import TIMEOUT
from tetrapy.config.sources import read
from tetrapy.daemon.loop import Loop
from tetrapy.export.stages import Stages
from tetrapy.kernel import kfuncs
from tetrapy.kernel.cgroups import host_controller
from tetrapy.kernel.clock import boot_time_ns
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.base import BaseSource
from tetrapy.sensors.options import BufferSize, Rate, SensorOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Self

_fences = itertools.count(1)
_BATCH = 512


class Watch:
    """Loads, attaches and seeds it; `events` are those that are to be exported, in their order."""

    reader_is_gone = False
    passed = dropped = 0

    def __init__(
        self,
        *flags: str,
        ring: bool = True,
        rate: tuple[int, int] | None = None,
        processes: int = 32768,
        size: int = 8 << 20,
        small: bool = False,
        loops: bool = False,
        gates: int = 0,
        preemptible: bool = True,
    ) -> None:
        """`flags` are the agent's; `rate` is events and nanoseconds; `size` the buffer's bytes."""
        settings = read(["--export-filename=-", *flags], {})
        stages = Stages.of(settings, time.monotonic_ns())
        self.wanted = stages.wanted
        self.events: list[Any] = []
        self.kinds: dict[int, list[str]] = {}  # pid -> its records
        options = SensorOptions(
            use_ring=ring,
            size=BufferSize.of(size, os.cpu_count() or 1),
            processes=processes,
            cgroups=host_controller("/proc") or "",
            rate=Rate(*rate) if rate else None,
            filters=stages.pushdown,
            small=small,
            loops=loops,
            gates=gates,
            kfuncs=None if preemptible else kfuncs.find(kfuncs.PREEMPTION),
        )
        self.sensor = BaseSource(options)
        try:
            self.sensor.attach()
            table = ProcessTable("host1", "/proc/")
            self.loop = Loop(self.sensor, self, table, None, "/proc/", lambda *_, **__: None)
            self.loop.seed()
        except BaseException:
            self.sensor.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.sensor.close()

    def report_to(self, alive: object) -> None:
        """What the loop asks of a fan-out."""

    def publish(self, events: Iterable[Any]) -> None:
        """Likewise."""
        wanted = self.wanted
        self.events += [event for event in events if wanted is None or wanted(event)]

    def take(self, everything: bool = False) -> None:
        """Handle what is there; `everything` includes what may not be in order yet."""
        abi = self.sensor.abi
        while True:
            records = self.sensor.drain(_BATCH, everything)
            for record in records:
                kind = abi.kind_names[record[abi.kind_offset]]
                decoder = abi.decoders[kind]
                reported = decoder.make(decoder.unpack(record))
                self.kinds.setdefault(getattr(reported, "pid", 0), []).append(kind)
            self.loop._handle(records)
            if not self.sensor.more:
                return

    def fence(self) -> None:
        """Return when all that happened before has been handled."""
        name = f"watch-{os.getpid()}-{next(_fences)}"
        end = time.monotonic() + TIMEOUT
        at = len(self.events)
        next_run = 0.0
        while True:
            if time.monotonic() > next_run:
                subprocess.run(["/bin/true", name], check=True)
                next_run = time.monotonic() + 2
            self.take()
            if any(
                event.name == "process_exit" and event.process.arguments == name
                for event in self.events[at:]
            ):
                return
            assert time.monotonic() < end, f"{name} was not told"
            time.sleep(0.01)

    def run(self, *argv: object) -> int:
        """Run a command to its end and have it told; returns its pid."""
        with subprocess.Popen([str(word) for word in argv]) as process:
            assert process.wait(TIMEOUT) == 0, argv
        self.fence()
        return process.pid

    def of(self, tag: str, kind: str = "") -> list[Any]:
        """The events of processes whose first argument is the tag."""
        return [
            event
            for event in self.events
            if event.process
            and event.process.arguments.split(" ")[0] == tag
            and event.name.endswith(kind)
        ]

    def remembered(self) -> list[int]:
        """The pids in the kernel's map of processes."""
        return [int.from_bytes(key, "little") for key in self.sensor._processes]

    def later(self, seconds: float) -> Sequence[Any]:
        """What is told because so much time has passed; nobody waits for it."""
        reported = self.loop.handler.tick(boot_time_ns() + int(seconds * 1e9))
        self.events += reported
        return reported
