# SPDX-License-Identifier: Apache-2.0
"""One reader of events: which of them it wants, how they become lines, and where those go."""

from __future__ import annotations

import time
from typing import Any, Callable, Iterable, List, Optional, Protocol, Sequence, Tuple

from tetrapy.events.event import Event
from tetrapy.events.rate_limit import RateLimitInfo
from tetrapy.export.stages import Stages

_SLICE = 64  # lines between two signs of life
_CHUNK = 512 << 10  # bytes of lines that are handed on at once, or one line


class Encoder(Protocol):
    """Makes bytes of an event. Its figures are plain attributes, for metrics to read."""

    cut_lines: int  # that were too long
    cut_ancestors: int  # that were left out of lines

    def encode(self, event: Event, change: Any = None, count: int = 1) -> bytes:
        """The event, after `change` of its body, as one that stands for `count` of its kind."""


class Target(Protocol):
    """Where encoded events go: a file, the stream of a client."""

    def write(self, lines: List[bytes], events: List[Event]) -> None:
        """Take lines, and the events that they are of; what it refuses is its own concern."""

    def tick(self, now: float) -> None:
        """What time brings, about once a second; `now` in seconds of the monotonic clock."""

    @property
    def wants_push(self) -> bool:
        """Whether lines wait for a slow reader."""

    def push(self) -> None:
        """Hand over what waits for a slow reader, as far as it is taken at once."""

    @property
    def reader_is_gone(self) -> bool:
        """Whether nobody will read any more."""

    def close(self) -> None:
        """Write what waits and give the target back."""


class Subscription:
    """Events in batches -> lines for a target; `flush` after each batch hands them on.

    Of a batch whose lines take much, each half megabyte is handed on, so that no more is in memory.
    """

    def __init__(
        self, stages: Stages, encoder: Encoder, target: Target, wall_now: Callable[[], int]
    ) -> None:
        """`wall_now` tells the time as events have it."""
        self.encoder = encoder
        self.target = target
        self.passed = 0  # events that the lists let pass
        self.dropped = 0  # ... and not
        self.aggregated = 0  # events that were counted in the line of an equal one
        self.rate_limited = 0
        self.alive: Callable[[], None] = lambda: None  # called now and then within many lines
        self._wall_now = wall_now
        self._lines: List[bytes] = []  # that are about to be written
        self._events: List[Event] = []  # ... and what they are of, in the same order
        self._size = 0
        self._use(stages)

    def _use(self, stages: Stages) -> None:
        self._stages = stages
        # Without these a line is the event's own bytes.
        self._is_plain = not (stages.aggregator or stages.limiter or stages.change)

    def take(self, events: Sequence[Event]) -> None:
        """Make lines of the events that are wanted."""
        stages = self._stages
        if not stages.writes:
            return
        wanted = stages.wanted
        if wanted is not None:
            before = len(events)
            events = [event for event in events if wanted(event)]
            self.dropped += before - len(events)
        self.passed += len(events)
        if not self._is_plain:
            aggregator = stages.aggregator
            if aggregator is None:
                self._put_all((event, 1) for event in events)
            else:
                self._put_all(aggregator.add(events, time.monotonic_ns()))
            return
        self._events += events
        encode, put, size = self.encoder.encode, self._lines.append, self._size
        for event in events:
            line = encode(event)
            put(line)
            size += len(line)
            if size >= _CHUNK:
                self.flush()
                size = 0
        self._size = size

    def flush(self) -> None:
        """Hand the lines to the target."""
        lines = self._lines
        if lines:
            count = len(lines)
            self.target.write(lines, self._events[:count])
            lines.clear()
            del self._events[:count]
            self._size = 0

    def replace_stages(self, stages: Stages) -> None:
        """Go on with other stages and the same figures; what waits in the old ones is written."""
        self.finish()
        self._use(stages)

    def tick(self, now: float) -> None:
        """What time brings, about once a second: windows, limits, rotation.

        `now` in seconds of the monotonic clock.
        """
        stages = self._stages
        due = None if stages.aggregator is None else stages.aggregator.due_at
        if due is not None and time.monotonic_ns() >= due:
            self._put_all(stages.aggregator.flush())
        if stages.limiter is not None:
            self._report_rate_limit(stages.limiter.report(time.monotonic_ns()))
        self.flush()
        self.target.tick(now)

    def finish(self) -> None:
        """Write what waits in windows, and what the rate limit has not reported yet."""
        stages = self._stages
        if stages.aggregator is not None:
            self._put_all(stages.aggregator.flush())
        if stages.limiter is not None:
            self._report_rate_limit(stages.limiter.take())
        self.flush()

    def close(self) -> None:
        """Write what waits and close the target."""
        self.finish()
        self.target.close()

    def _put_all(self, counted: Iterable[Tuple[Event, int]]) -> None:
        """Put each event once, with the number that it stands for."""
        limiter, of_type = self._stages.limiter, self._stages.change
        now = time.monotonic_ns()
        for number, (event, count) in enumerate(counted):
            self.aggregated += count - 1
            if limiter is not None:
                process = event.process
                whose = None if process is None else process.account.together
                if not limiter.allow(now, whose, count):
                    self.rate_limited += count
                    continue
            self._put(event, None if of_type is None else of_type(event.type), count)
            if not number % _SLICE:
                self.alive()

    def _report_rate_limit(self, dropped: int) -> None:
        """An event that no filter and no limit holds back."""
        if dropped:
            self._put(RateLimitInfo(dropped, self._wall_now()))

    def _put(self, event: Event, change: Optional[Any] = None, count: int = 1) -> None:
        line = self.encoder.encode(event, change, count)
        self._lines.append(line)
        self._events.append(event)
        self._size += len(line)
        if self._size >= _CHUNK:
            self.flush()
