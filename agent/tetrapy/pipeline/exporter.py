"""Events -> lines -> sink, by way of the stages that the settings ask for."""

from __future__ import annotations

import time
from typing import Callable, Iterable, List, Sequence, Tuple

from tetrapy.errors import ExportError
from tetrapy.events.json import Event, JsonEncoder, body_of
from tetrapy.events.rate_limit import RateLimitInfo
from tetrapy.pipeline.stages import Stages
from tetrapy.sinks.sink import Sink

FormatNow = Callable[[], str]


class Exporter:
    """Takes batches of events and hands lines to the sink, one write a batch."""

    def __init__(
        self,
        encoder: JsonEncoder,
        sink: Sink,
        log: Callable[..., None],
        stages: Stages,
        format_now: FormatNow,
    ) -> None:
        """`format_now` tells the time as events have it."""
        self.sink = sink
        self.passed = 0  # events that the lists let pass
        self.dropped = 0  # ... and not
        self.aggregated = 0  # events that were counted in the line of an equal one
        self.rate_limited = 0
        self._encoder = encoder
        self._log = log
        self._stages = stages
        self._format_now = format_now
        self._failing = False
        # Without these a line is the event's own bytes.
        self._is_plain = not (stages.aggregator or stages.limiter or stages.change)

    def export(self, events: Sequence[Event]) -> None:
        """Write the lines of the events that are wanted; a sink that refuses is reported once."""
        stages = self._stages
        for count in stages.counters:
            count(events)
        if not stages.writes:
            return
        wanted = stages.wanted
        if wanted is not None:
            before = len(events)
            events = [event for event in events if wanted(event)]
            self.dropped += before - len(events)
        self.passed += len(events)
        if not self._is_plain:
            self._export_staged(events)
        elif events:
            encode = self._encoder.encode
            self._write([encode(event) for event in events])

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
        stages = self._stages
        due = None if stages.aggregator is None else stages.aggregator.due_at
        if due is not None and time.monotonic_ns() >= due:
            self._write_lines(stages.aggregator.flush())
        if stages.limiter is not None:
            self._tell_limit(stages.limiter.report(time.monotonic_ns()))
        self._guarded(lambda: self.sink.tick(now))

    def finish(self) -> None:
        """Write what waits in windows, and what the rate limit has not told yet."""
        stages = self._stages
        if stages.aggregator is not None:
            self._write_lines(stages.aggregator.flush())
        if stages.limiter is not None:
            self._tell_limit(stages.limiter.take())

    def _export_staged(self, events: Iterable[Event]) -> None:
        aggregator = self._stages.aggregator
        if aggregator is None:
            self._write_lines([(event, 1) for event in events])
        else:
            self._write_lines(aggregator.add(events, time.monotonic_ns()))

    def _write_lines(self, lines: Iterable[Tuple[Event, int]]) -> None:
        """Write each event once, with the number that it stands for."""
        limiter = self._stages.limiter
        encoded: List[bytes] = []
        now = time.monotonic_ns()
        for event, count in lines:
            self.aggregated += count - 1
            if limiter is not None and not limiter.allow(now, count):
                self.rate_limited += count
                continue
            encoded.append(self._encode(event, count))
        if encoded:
            self._write(encoded)

    def _encode(self, event: Event, count: int) -> bytes:
        of_type = self._stages.change
        change = None if of_type is None else of_type(event.type)
        if change is None and count == 1:
            return self._encoder.encode(event)
        body = body_of(event)
        if change is not None:
            body = change(body)
        return self._encoder.line(event, body, count if count > 1 else 0)

    def _tell_limit(self, dropped: int) -> None:
        """An event that no filter and no limit holds back."""
        if dropped:
            self._write([self._encoder.encode(RateLimitInfo(dropped, self._format_now()))])

    def _write(self, lines: List[bytes]) -> None:
        self._guarded(lambda: self.sink.write(b"".join(lines), len(lines)))

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
    def reader_is_gone(self) -> bool:
        """Whether the sink is a pipe whose reader closed it."""
        return self.sink.closed_by_reader

    def close(self) -> None:
        """Write what waits and close the sink."""
        self.finish()
        self.sink.close(self._log)
