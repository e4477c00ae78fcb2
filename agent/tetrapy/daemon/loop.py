"""The main loop: records in, events out, until a signal comes."""

from __future__ import annotations

import select
import time
from typing import Callable, List, Optional, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel.clock import WallClock
from tetrapy.pipeline.exporter import Exporter
from tetrapy.process.seed import Seen, fill, read_all
from tetrapy.process.table import ProcessTable
from tetrapy.process.tracker import ProcessTracker
from tetrapy.sensors.base import BaseSensor
from tetrapy.sensors.dispatch import Dispatcher
from tetrapy.sensors.loss import LossCounter

_BATCH = 512  # records decoded and written at a time; bounds the memory of a burst
_TICK = 0.05  # seconds between two looks at a buffer that is in use
_QUIET_TICKS = 3  # looks that find nothing before the reader sleeps
_CARE_INTERVAL = 10.0  # seconds between two looks at clocks and losses
_SWEEPS = 2  # looks for processes whose exit was lost

Log = Callable[..., None]


class Loop:
    """Moves records from the sensor through the process table to the exporter."""

    def __init__(
        self, sensor: BaseSensor, exporter: Exporter, node: str, procfs: str, log: Log
    ) -> None:
        """`procfs` is empty when there is none to be trusted."""
        self._sensor = sensor
        self._exporter = exporter
        self._procfs = procfs
        self._log = log
        self._clock = WallClock()
        self._table = ProcessTable(node, procfs)
        self._tracker = ProcessTracker(self._table, self._clock.format, sensor.abi.exec_flags)
        self._dispatcher = Dispatcher(sensor.abi, self._tracker, sensor.clock_gap)
        self._losses = LossCounter(sensor.abi.kind_names)
        self._received = 0
        self._next_care = 0.0
        self._sweeps = 0

    def seed(self) -> None:
        """Tell of the processes that were there before, then of what happened meanwhile.

        Raises KernelError when procfs cannot be listed.
        """
        seen, listed = self._read_procfs()
        records: List[bytes] = []
        time.sleep(self._sensor.settle_seconds)
        while True:
            batch = self._sensor.drain(_BATCH)
            records.extend(batch)
            if len(batch) < _BATCH:
                break
        processes = fill(self._table, seen, self._dispatcher.touched(records))
        self._exporter.export([self._tracker.on_seed(process) for process in processes])
        self._log("info", f"Read ProcFS {self._procfs} appended {len(seen)}/{listed} entries")
        self._tracker.starting = True
        self._handle(records)
        self._tracker.starting = False
        self._sweeps = _SWEEPS  # an exit between two attached programs was not seen

    def _read_procfs(self) -> Tuple[List[Seen], int]:
        if not self._procfs:
            return [], 0
        try:
            return read_all(self._procfs)
        except OSError as err:
            raise KernelError(
                f"procfs {self._procfs}: {err.strerror}; name the host's with --procfs"
            ) from err

    def run(self, epoll: select.epoll, stopped: Callable[[], Optional[int]]) -> None:
        """Take records in batches until `stopped` says so, or nobody reads the events.

        In use, the buffer is looked at every tick, so that one wake-up serves many records; the
        kernel wakes the reader earlier when much waits. When ticks find nothing the reader sleeps
        and the next record wakes it.
        """
        poll, drain = epoll.poll, self._sensor.drain
        quiet = 0
        timeout = 0.0
        while stopped() is None:
            if self._exporter.reader_is_gone:
                self._log("warn", "Nobody reads the events any more, stopping")
                return
            poll(timeout)
            records = drain(_BATCH)
            if records:
                self._handle(records)
                quiet = 0
                timeout = 0.0 if len(records) == _BATCH else _TICK
            else:
                quiet += 1
                timeout = _TICK
            if quiet >= _QUIET_TICKS and self._sensor.ask_for_wakeup():
                # A record that came before the request wakes nobody, so look once more.
                timeout = 0.0 if quiet == _QUIET_TICKS else self._care_timeout()
            now = time.monotonic()
            if now >= self._next_care:
                self._next_care = now + _CARE_INTERVAL
                self._take_care()

    def stop(self) -> None:
        """Detach, take what is still in the buffer, and say what was seen."""
        self._sensor.detach()
        time.sleep(self._sensor.settle_seconds)
        while True:
            records = self._sensor.drain(_BATCH, everything=True)
            if not records:
                break
            self._handle(records)
        self._report_losses()
        lost = self._losses.total
        share = 100 * lost / (self._received + lost) if lost else 0
        self._log(
            "info",
            f"BPF events statistics: {self._received} received, {share:.2g}% events loss",
        )
        self._log(
            "info",
            "Observer events statistics",
            received=self._received,
            lost=lost,
            errors=self._dispatcher.errors,
            filterPass=0,
            filterDrop=0,
        )

    def _handle(self, records: List[bytes]) -> None:
        self._received += len(records)
        events = self._dispatcher.events(records)
        if events:
            self._exporter.export(events)

    def _care_timeout(self) -> float:
        return max(0.0, self._next_care - time.monotonic())

    def _take_care(self) -> None:
        self._clock.refresh()
        self._sensor.refresh_clock()
        self._dispatcher.clock_gap = self._sensor.clock_gap
        self._report_losses()

    def _report_losses(self) -> None:
        new = self._losses.update(self._sensor.loss_counters())
        if new:
            self._log("warn", "Kernel events lost", **new, hint="raise --rb-size-total")
            self._sweeps = _SWEEPS
        if self._sweeps and self._procfs:
            self._sweeps -= 1
            self._table.forget_gone()
