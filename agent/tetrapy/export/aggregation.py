# SPDX-License-Identifier: Apache-2.0
"""Aggregation: events that tell the same are one line that says how many it stands for.

Equal are events of one type that differ only in fields that the schema calls their identity, such
as pid, exec_id and times, and that have parents of the same binary: the same binary, arguments,
working directory, user ids, container, flags, rights and environment; and exits that ended alike.
What differs, such as pid, exec_id and times, is shown of the first event.
Events that are about no process are never merged.

A window begins with the first event that waits. When it ends, when as many different lines wait as
the buffer holds or their texts take more than MOST_BYTES, and when the agent stops, the lines go on
in the order of their first events. A line has `aggregation_info` only if it stands for more than
one event, so that a reader who does not know it, and one who takes its absence for 1 as Tetragon's
readers must, count right.
"""

from __future__ import annotations

from functools import lru_cache
from operator import attrgetter
from typing import Any, Callable, Dict, Hashable, Iterable, List, Optional, Tuple

from tetrapy.events.cut import characters
from tetrapy.events.event import Event
from tetrapy.events.schema import EVENTS, FIELDS, PROCESS

Counted = Tuple[Event, int]

MAX_BYTES = 4 << 20  # characters of texts of all lines that wait


class Aggregator:
    """Times are ns of a clock that never goes back."""

    def __init__(self, window: int, buffer_size: int) -> None:
        """Hold lines for `window` ns, and at most `buffer_size` of them."""
        self._window = window
        self._most = max(buffer_size, 1)
        self._waiting: Dict[Hashable, List[Any]] = {}  # what is equal -> first event, count
        self._size = 0
        self.due_at: Optional[int] = None
        """When `flush` is to be called; None while nothing waits."""

    def add(self, events: Iterable[Event], now: int) -> List[Counted]:
        """Take events; returns the lines that wait no longer, with the number of their events."""
        out: List[Counted] = []
        if self.due_at is not None and now >= self.due_at:
            out += self.flush()
        waiting = self._waiting
        for event in events:
            key = _key(event)
            line = waiting.get(key)
            if line is not None:
                line[1] += 1
                continue
            size = _size(event)
            if len(waiting) >= self._most or self._size + size > MAX_BYTES:
                out += self.flush()
            self._size += size
            if not waiting:
                self.due_at = now + self._window
            waiting[key] = [event, 1]
        return out

    def flush(self) -> List[Counted]:
        """All lines that wait, the earliest first."""
        out = [(event, count) for event, count in self._waiting.values()]
        self._waiting.clear()
        self._size = 0
        self.due_at = None
        return out


def _size(event: Event) -> int:
    process = event.process
    if process is None:
        return 0
    size = sum(event.own_sizes()) + len(process.arguments) + len(process.cwd) + len(process.binary)
    return size + (characters(process.environment) if process.environment else 0)


def _key(event: Event) -> Hashable:
    if event.process is None:
        return event  # equal to itself only
    parent = event.parent
    return (*_compared(event.name)(event), None if parent is None else parent.binary)


@lru_cache(maxsize=None)
def _compared(name: str) -> Callable[[Event], Tuple[Any, ...]]:
    """What of an event and its process is compared; of a parent it is the binary."""
    rows = [row for row in FIELDS[EVENTS[name]].values() if row.element != PROCESS]
    paths = [row.source for row in rows if row.is_filled and not row.identity]
    paths += [
        f"process.{row.source}"
        for row in FIELDS[PROCESS].values()
        if row.is_filled and not row.identity
    ]
    return attrgetter("name", *paths)
