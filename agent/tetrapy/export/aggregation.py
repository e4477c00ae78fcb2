# SPDX-License-Identifier: Apache-2.0
"""Aggregation: events that tell the same are one line that says how many it stands for.

Equal are events of one type whose processes have the same binary, arguments, working directory,
user ids, container, flags, rights and environment, and parents of the same binary; exits must have
ended alike too. What differs, such as pid, exec_id and times, is shown of the first event.
Events that are about no process are never merged.

A window begins with the first event that waits. When it ends, when as many different lines wait as
the buffer holds or their texts take more than MOST_BYTES, and when the agent stops, the lines go on
in the order of their first events. A line has `aggregation_info` only if it stands for more than
one event, so that a reader who does not know it, and one who takes its absence for 1 as Tetragon's
readers must, count right.
"""

from __future__ import annotations

from typing import Any, Dict, Hashable, Iterable, List, Optional, Tuple

from tetrapy.events.cut import characters
from tetrapy.events.exit import ProcessExit
from tetrapy.events.json import Event

Counted = Tuple[Event, int]

MOST_BYTES = 4 << 20  # characters of texts of all lines that wait


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
            if len(waiting) >= self._most or self._size + size > MOST_BYTES:
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
    size = len(process.arguments) + len(process.cwd) + len(process.binary)
    return size + (characters(process.environment) if process.environment else 0)


def _key(event: Event) -> Hashable:
    process, parent = event.process, event.parent
    if process is None:
        return event  # equal to itself only
    return (
        event.type,
        event.code if isinstance(event, ProcessExit) else 0,
        process.binary,
        process.arguments,
        process.cwd,
        process.uid,
        process.auid,
        process.docker,
        process.flags,
        process.capabilities,
        process.credentials,
        process.binary_properties,
        process.executed,
        process.environment,
        None if parent is None else parent.binary,
    )
