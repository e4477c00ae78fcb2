# SPDX-License-Identifier: Apache-2.0
"""The main loop: records in, events out, until a signal comes."""

from __future__ import annotations

import math
import os
import select
import time
from typing import TYPE_CHECKING, Any, Callable, List, Optional, Sequence, Tuple

from tetrapy.containers.cgroup import ContainerRef
from tetrapy.errors import KernelError
from tetrapy.events.container import Membership
from tetrapy.events.event import Event
from tetrapy.export.fanout import Fanout
from tetrapy.kernel.clock import WallClock, boot_time_ns
from tetrapy.process.details import Details
from tetrapy.process.procfs import reads_of
from tetrapy.process.seed import Seen, fill, read_all
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.loss import LossCounter
from tetrapy.sensors.owners import describe_owners
from tetrapy.sensors.source import EventSource

if TYPE_CHECKING:
    from tetrapy.daemon.api import Api
    from tetrapy.daemon.policy_directory import PolicyDirectory
    from tetrapy.daemon.policy_throttle import PolicyThrottle
    from tetrapy.process.pending import PendingEvents

_BATCH = 512  # records taken at a time
_SLICE = 128  # records decoded and written at a time; bounds the memory of a burst
_HEARTBEAT_INTERVAL = 1.0  # seconds within a batch after which one is given
_SEED_BYTES = 16 << 20  # of records that came while procfs was read, as much as a large buffer has
_STOP_RESERVE = 2.5  # seconds of a stop that are left for closing, at most half of them
_TICK = 0.05  # seconds between two looks at a buffer that is in use
_PENDING_TICK = 0.005  # likewise, while events wait for what is known of their containers
_QUIET_TICKS = 3  # looks that find nothing before the reader sleeps
_HOUSEKEEPING_INTERVAL = (
    2.0  # seconds between two looks at what time brings: rotation, windows, limits
)
_CLOCK_ROUNDS = 5  # rounds between two looks at clocks and losses
_SWEEPS = 2  # looks for processes whose exit was lost

Log = Callable[..., None]


class Loop:
    """Moves records from the sensor through the process table to the subscriptions."""

    def __init__(
        self,
        sensor: EventSource,
        fanout: Fanout,
        table: ProcessTable,
        details: Optional[Details],
        procfs: str,
        log: Log,
    ) -> None:
        """`procfs` is empty when there is none to be trusted."""
        self._sensor = sensor
        self._fanout = fanout
        self._procfs = procfs
        self._log = log
        self._clock = WallClock()
        self.table = table
        self.handler = sensor.handler(table, self._clock, details)
        fanout.report_to(self.alive)
        self.losses = LossCounter()
        self.received = 0
        self.heartbeat = time.monotonic()  # when the loop was last seen to turn
        self.after_round: Callable[[], None] = lambda: None  # for who watches over the loop
        self.clients: Optional[Api] = None
        self.directory: Optional[PolicyDirectory] = None
        self.throttle: Optional[PolicyThrottle] = None
        self.pending: Optional[PendingEvents] = None  # from the first container on
        self.on_containers: Callable[[], None] = lambda: None  # more is known of some
        self._is_between = False  # two batches
        self._next_breath = 0.0
        self._next_round = 0.0
        self._rounds = 0
        self._sweeps = 0
        self._unanswered = 0  # reads of procfs that were reported

    def seed(self) -> None:
        """Report the processes that were there before, then what happened meanwhile.

        Raises KernelError when procfs cannot be listed.
        """
        seen, listed = self._read_procfs()
        records: List[Any] = []
        time.sleep(self._sensor.settle_seconds)
        size = 0
        while size < _SEED_BYTES:
            batch = self._sensor.drain(_BATCH)
            records.extend(batch)
            size += sum(map(len, batch))
            if not self._sensor.more:
                break
        handler = self.handler
        processes = fill(self.table, seen, handler.touched(records))
        self._publish([handler.seed_event(process) for process in processes])
        self._log("info", f"Read ProcFS {self._procfs} appended {len(seen)}/{listed} entries")
        self._report_unanswered()
        handler.starting = True
        self._handle(records)
        handler.starting = False
        handler.seeded(list(self.table))
        self._sweeps = _SWEEPS  # an exit between two attached programs was not seen

    def _read_procfs(self) -> Tuple[List[Seen], int]:
        if not self._procfs:
            return [], 0
        try:
            return read_all(self._procfs, self.alive)
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
        sensor = self._sensor
        poll, drain = epoll.poll, sensor.drain
        quiet = 0
        timeout = 0.0
        self._is_between = True
        while stopped() is None:
            if self._fanout.reader_is_gone:
                self._log("warn", "Nobody reads the events any more, stopping")
                return
            ready = poll(timeout)
            if ready and self.clients is not None:
                self.clients.turn(ready)
            records = drain(_BATCH)
            if records:
                self._take(records)
                quiet = 0
                timeout = 0.0 if sensor.more else _TICK
            else:
                quiet += 1
                timeout = _TICK
            if self.pending is not None and self.pending.is_busy:
                self._publish(())
                quiet = 0
                timeout = min(timeout, _PENDING_TICK)
            if quiet >= _QUIET_TICKS and sensor.ask_for_wakeup():
                # A record that came before the request wakes nobody, so look once more.
                timeout = 0.0 if quiet == _QUIET_TICKS else self._housekeeping_timeout()
            directory = self.directory
            if directory is not None and (ready or directory.waits):
                timeout = min(timeout, directory.turn(ready))
            if self._fanout.wants_push:
                self._fanout.push()
                timeout = min(timeout, _TICK)
            self.heartbeat = now = time.monotonic()
            if now >= self._next_round:
                self._next_round = now + _HOUSEKEEPING_INTERVAL
                self._housekeep(now)

    def stop(self, seconds: float = 5.0, began: float = 0.0) -> None:
        """Detach, take what is still in the buffer, and say what was seen.

        What cannot be handled in so many seconds since it began (by the monotonic clock; 0: now),
        less some for closing, is counted as lost.
        """
        end = (began or time.monotonic()) + max(seconds - _STOP_RESERVE, seconds / 2)
        self._sensor.detach()
        time.sleep(self._sensor.settle_seconds)
        given_up = 0
        while True:
            records = self._sensor.drain(_BATCH, everything=True)
            # Policies that stay in the kernel go on reporting.
            if not records or time.monotonic() > end + _STOP_RESERVE:
                break
            given_up += len(records) - self._handle(records, end)
        waited = self.handler.ended()
        self._publish(waited)
        if self.pending is not None:
            ready = self.pending.finish(end - time.monotonic())
            if ready:
                self._fanout.publish(ready)
        if given_up:
            self.losses.totals["left at the stop"] = given_up
            self._log(
                "warn",
                "Kernel events lost: there was no time for them before the stop",
                records=given_up,
                hint="raise --stop-timeout",
            )
        self._report_losses()
        lost = self.losses.total
        share = 100 * lost / (self.received + lost) if lost else 0
        self._log(
            "info",
            f"BPF events statistics: {self.received} received, {share:.2g}% events loss",
        )
        self._log(
            "info",
            "Observer events statistics",
            received=self.received,
            lost=lost,
            errors=self.handler.errors,
            filterPass=self._fanout.passed,
            filterDrop=self._fanout.dropped + sum(self._sensor.suppressed().values()),
        )

    def _take(self, records: List[Any]) -> None:
        self._is_between = False
        self._handle(records)
        self._is_between = True

    def breathe(self) -> None:
        """Something else takes long, such as a policy that is loaded: take what waits meanwhile.

        That other thing has half of the time at least, however much waits.
        """
        self.alive()
        began = time.monotonic()
        if not self._is_between or began < self._next_breath:
            return
        self._take(self._sensor.drain(_BATCH))
        if self._fanout.wants_push:
            self._fanout.push()
        ended = time.monotonic()
        self._next_breath = ended + (ended - began)

    def _handle(self, records: List[Any], end: float = math.inf) -> int:
        """Make lines of records, until the monotonic clock says `end`; returns of how many."""
        for at in range(0, len(records), _SLICE):
            if at or end < math.inf:
                self.alive()
                if time.monotonic() >= end:
                    return at
            part = records[at : at + _SLICE]
            self.received += len(part)
            events = self.handler.events(part)
            if events:
                self._publish(events)
        return len(records)

    def _publish(self, events: Sequence[Event]) -> None:
        """Hand on events, and those that have waited for their containers before."""
        pending = self.pending
        if pending is not None and pending.is_busy:
            events = pending.take(events)
        if events:
            self._fanout.publish(events)

    def containers_changed(self, changed: List[Tuple[ContainerRef, Membership]]) -> None:
        """Something else is known of containers now."""
        self._sensor.containers_changed(changed)
        self.on_containers()

    def alive(self) -> None:
        """The loop works, within a batch too; it is reported once a second at most."""
        now = time.monotonic()
        if now - self.heartbeat >= _HEARTBEAT_INTERVAL:
            self.heartbeat = now
            self.after_round()

    def _housekeeping_timeout(self) -> float:
        return max(0.0, self._next_round - time.monotonic())

    def _housekeep(self, now: float) -> None:
        now_ns = boot_time_ns()
        self._publish(self.handler.tick(now_ns))
        if self.throttle is not None:
            self._publish(self.throttle.tick(self.received, self._clock.at(now_ns)))
        self._fanout.tick(now)
        if self.clients is not None:
            self.clients.tick(now)
        self._rounds += 1
        if self._rounds % _CLOCK_ROUNDS == 1:
            self._clock.refresh()
            self.handler.refresh_clock()
            self._report_losses()
            self._report_unanswered()
            self._sweep()
            if self.directory is not None:
                self.directory.tick()
        self.after_round()

    def _report_losses(self) -> None:
        new = self.losses.update(self._sensor.losses())
        if new:
            owners = self._sensor.losses_by_owner()
            whose = {"owners": describe_owners(owners)} if owners else {}
            self._log("warn", "Kernel events lost", **new, **whose, hint="raise --rb-size-total")
            self._sweeps = _SWEEPS

    def _report_unanswered(self) -> None:
        """Processes whose memory somebody keeps from being read."""
        reads = reads_of(self._procfs)
        total = reads.unanswered + reads.refused
        if total > self._unanswered:
            self._log(
                "warn",
                "Processes keep others from reading their memory; arguments are missing",
                reads=total - self._unanswered,
                waiting=reads.waiting,
                owner=reads.owner,
            )
            self._unanswered = total

    def _sweep(self) -> None:
        """Forget threads that are gone.

        After a loss processes, too: their exit may be among what was lost.
        """
        if self._procfs:
            self._sensor.forget_threads(self._is_there)
        if self._sweeps and self._procfs:
            self._sweeps -= 1
            self.table.forget_gone()
            self._sensor.forget_gone(self._is_there)

    def _is_there(self, pid: int) -> bool:
        return os.path.exists(f"{self._procfs}/{pid}")
