"""Events -> lines -> sink, by way of the stages that the settings ask for."""

from __future__ import annotations

import time
from typing import Callable, Iterable, List, Optional, Sequence, Tuple

from tetrapy.errors import ExportError
from tetrapy.events.json import Event, JsonEncoder
from tetrapy.events.rate_limit import RateLimitInfo
from tetrapy.export.shares import Shares
from tetrapy.export.stages import Stages
from tetrapy.filters.excess import excess
from tetrapy.sinks.sink import Sink

_SLICE = 64  # events between two signs of life
_CHUNK = 512 << 10  # bytes of lines that are written at once, or one line

FormatNow = Callable[[], str]


class Exporter:
    """Takes batches of events and hands lines to the sink, one write a batch.

    Of a batch whose lines take much, each half megabyte is a write, so that no more is in memory.
    """

    def __init__(
        self,
        encoder: JsonEncoder,
        sink: Sink,
        log: Callable[..., None],
        stages: Stages,
        format_now: FormatNow,
        share: int = 0,
    ) -> None:
        """`format_now` tells the time as events have it.

        `share`: percent of a rotating target that one user's lines may fill, 0 for no limit.
        """
        self.sink = sink
        self.passed = 0  # events that the lists let pass
        self.dropped = 0  # ... and not
        self.aggregated = 0  # events that were counted in the line of an equal one
        self.rate_limited = 0
        self.encoder = encoder
        self._log = log
        self._stages = stages
        self._format_now = format_now
        self._failing = False
        self.alive: Callable[[], None] = lambda: None  # called now and then within a batch
        self._lines: List[bytes] = []  # that are about to be written
        self._size = 0
        self.overflowed = 0  # lines of users that had filled their share
        self._share = share
        self._shares: Optional[Shares] = None
        self._aside: List[bytes] = []
        self._measure_shares()
        # Without these a line is the event's own bytes.
        self._is_plain = not (stages.aggregator or stages.limiter or stages.change)

    def export(self, events: Sequence[Event]) -> None:
        """Write the lines of the events that are wanted; a sink that refuses is reported once."""
        stages = self._stages
        for count in stages.counters:
            count(events)
        if not stages.writes:
            return
        for at in range(0, len(events), _SLICE):
            self._export(events[at : at + _SLICE])
            self.alive()
        self._flush()

    def _export(self, events: Sequence[Event]) -> None:
        wanted = self._stages.wanted
        if wanted is not None:
            before = len(events)
            events = [event for event in events if wanted(event)]
            self.dropped += before - len(events)
        self.passed += len(events)
        if not self._is_plain:
            self._export_staged(events)
            return
        encode, put = self.encoder.encode, self._lines.append
        shares, size = self._shares, self._size
        for event in events:
            line = encode(event)
            size += len(line)
            if shares is not None and shares.is_beyond(event, len(line)):
                self._aside.append(line)
            else:
                put(line)
            if size >= _CHUNK:
                self._flush()
                size = 0
        self._size = size

    def replace_stages(self, stages: Stages) -> None:
        """Go on with other stages and the same counters; what waits in the old ones is written."""
        self.finish()
        self._stages = stages._replace(counters=self._stages.counters)
        self._is_plain = not (stages.aggregator or stages.limiter or stages.change)

    def tick(self, now: float, events: Sequence[Event] = ()) -> None:
        """What time brings, about once a second: `events` to export, windows, limits, rotation.

        `now` in seconds of the monotonic clock.
        """
        if events:
            self.export(events)
        self._measure_shares()
        if self._shares is not None:
            self._shares.settle(now)
        stages = self._stages
        due = None if stages.aggregator is None else stages.aggregator.due_at
        if due is not None and time.monotonic_ns() >= due:
            self._put_all(stages.aggregator.flush())
        if stages.limiter is not None:
            self._tell_limit(stages.limiter.report(time.monotonic_ns()))
        self._flush()
        self._guarded(lambda: self.sink.tick(now))
        for setting, pattern in excess.take_new():
            self._log(
                "warn",
                "A pattern would have cost too much for a text; its answer is not known",
                setting=setting,
                pattern=pattern,
                hint="see Patterns in docs/filters.md",
            )

    def finish(self) -> None:
        """Write what waits in windows, and what the rate limit has not told yet."""
        stages = self._stages
        if stages.aggregator is not None:
            self._put_all(stages.aggregator.flush())
        if stages.limiter is not None:
            self._tell_limit(stages.limiter.take())
        self._flush()

    def _export_staged(self, events: Iterable[Event]) -> None:
        aggregator = self._stages.aggregator
        if aggregator is None:
            self._put_all((event, 1) for event in events)
        else:
            self._put_all(aggregator.add(events, time.monotonic_ns()))

    def _put_all(self, lines: Iterable[Tuple[Event, int]]) -> None:
        """Put each event once, with the number that it stands for."""
        limiter, of_type = self._stages.limiter, self._stages.change
        now = time.monotonic_ns()
        for number, (event, count) in enumerate(lines):
            self.aggregated += count - 1
            if limiter is not None and not limiter.allow(now, count):
                self.rate_limited += count
                continue
            change = None if of_type is None else of_type(event.type)
            self._put(self.encoder.encode(event, change, count), event)
            if not number % _SLICE:
                self.alive()

    def _tell_limit(self, dropped: int) -> None:
        """An event that no filter and no limit holds back."""
        if dropped:
            event = RateLimitInfo(dropped, self._format_now())
            self._put(self.encoder.encode(event), event)

    def _put(self, line: bytes, event: Event) -> None:
        shares = self._shares
        if shares is not None and shares.is_beyond(event, len(line)):
            self._aside.append(line)
        else:
            self._lines.append(line)
        self._size += len(line)
        if self._size >= _CHUNK:
            self._flush()

    def _flush(self) -> None:
        lines, aside = self._lines, self._aside
        if lines:
            self._guarded(lambda: self.sink.write(b"".join(lines), len(lines)))
            lines.clear()
        if aside:
            self.overflowed += len(aside)
            self._guarded(lambda: self.sink.write_aside(b"".join(aside), len(aside)))
            aside.clear()
        self._size = 0

    def _measure_shares(self) -> None:
        """The target's rules may have changed."""
        most = self.sink.volume * self._share // 100
        if not most:
            self._shares = None
        elif self._shares is None:
            self._shares = Shares(most, self._tell_overflow)
        else:
            self._shares.most = most

    def _tell_overflow(self, user: int) -> None:
        self._log(
            "warn",
            "A user has filled its share of the export files, its lines go into files beside them",
            user=user,
            files=f"{self.sink.name} -> {self.sink.aside}",
            hint="raise --export-file-max-size-mb or --export-file-user-share if they matter",
        )

    def _guarded(self, act: Callable[[], None]) -> None:
        """Have the sink do something; its refusal is logged once, and when it is over."""
        try:
            act()
        except ExportError as err:
            if not self._failing:
                self._log("error", "Writing events", error=str(err))
            self._failing = True
        else:
            if self._failing:
                self._log(
                    "info",
                    "Writing events works again",
                    file=self.sink.name,
                    lostLines=self.sink.lost,
                )
            self._failing = False

    @property
    def wants_push(self) -> bool:
        """Whether lines wait for a slow reader."""
        return self.sink.wants_push

    def push(self) -> None:
        """Hand over what waits for a slow reader, as far as it is taken at once."""
        self._guarded(self.sink.push)

    @property
    def reader_is_gone(self) -> bool:
        """Whether the sink is a pipe whose reader closed it."""
        return self.sink.closed_by_reader

    def close(self) -> None:
        """Write what waits and close the sink."""
        self.finish()
        self.sink.close(self._log)
