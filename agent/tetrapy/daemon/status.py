# SPDX-License-Identifier: Apache-2.0
"""The line that `systemctl status` shows of a running agent."""

from __future__ import annotations

import time
from typing import Callable

from tetrapy.btf.source import BtfSource
from tetrapy.daemon.loop import Loop
from tetrapy.export.subscription import Subscription
from tetrapy.sensors.source import EventSource
from tetrapy.sinks.sink import Sink

_INTERVAL = 10.0  # seconds over which events are counted


class Status:
    """Sensor, events a second, losses and target; computed anew every ten seconds."""

    def __init__(
        self,
        sensor: EventSource,
        source: BtfSource,
        loop: Loop,
        subscription: Subscription,
        sink: Sink,
        target: str,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`target` is the setting export-filename."""
        # The connector needs no types of the kernel.
        self._seen_by = f"ebpf, BTF {source.kind}" if sensor.name == "ebpf" else sensor.name
        self._loop = loop
        self._subscription = subscription
        self._sink = sink
        self._target = f"exporting to {target}" if target else "exporting nowhere"
        self._clock = clock
        self._passed = subscription.passed
        self._since = clock()
        self._line = self._text("listening")

    def line(self) -> str:
        """The line of status that was made last."""
        now = self._clock()
        if now - self._since >= _INTERVAL:
            passed = self._subscription.passed
            rate = (passed - self._passed) / (now - self._since)
            self._passed, self._since = passed, now
            self._line = self._text(f"{rate:.1f} events/s")
        return self._line

    def _text(self, rate: str) -> str:
        sink = self._sink
        lost = self._loop.losses.total + sink.lost
        waiting = f", {sink.waiting} bytes wait" if sink.waiting else ""
        return f"{self._seen_by}; {rate}, {lost} lost; {self._target}{waiting}"
