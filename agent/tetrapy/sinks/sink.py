# SPDX-License-Identifier: Apache-2.0
"""What every sink is asked and reports, and the lines that wait for a target."""

from __future__ import annotations

from collections import deque
from typing import Callable, Deque

Log = Callable[..., None]

# What may wait, in bytes; it bounds the memory of a target that stays away.
LIMIT = 8 * 1024 * 1024


class Backlog:
    """Whole lines in order; beyond the limit the newest are given up and counted in `lost`."""

    def __init__(self, limit: int = LIMIT) -> None:
        self.size = 0
        self.lost = 0
        self._limit = limit
        self._parts: Deque[bytes] = deque()

    def add(self, lines: bytes) -> None:
        """Put lines at the end, as many as there is room for."""
        room = self._limit - self.size
        if len(lines) > room:
            end = lines.rfind(b"\n", 0, max(room, 0)) + 1
            self.lost += lines.count(b"\n", end)
            lines = lines[:end]
        if lines:
            self._parts.append(lines)
            self.size += len(lines)

    def take(self) -> bytes:
        """All that waits; nothing waits any more."""
        data = self._parts[0] if len(self._parts) == 1 else b"".join(self._parts)
        self._parts.clear()
        self.size = 0
        return data

    def take_first(self) -> bytes:
        """The lines that were added first, in one piece; empty when nothing waits."""
        data = self._parts.popleft() if self._parts else b""
        self.size -= len(data)
        return data

    def put_back(self, data: bytes, *, torn: bool = False) -> None:
        """Have lines wait that were taken, in front of what was added meanwhile.

        `torn`: the target has a part of the first line, so that one is kept whatever its length.
        """
        if data:
            self._parts.appendleft(data)
            self.size += len(data)
        while self.size > self._limit:
            last = self._parts.pop()
            self.size -= len(last)
            end = last.rfind(b"\n", 0, max(self._limit - self.size, 0)) + 1
            if torn and not self._parts:
                end = max(end, last.find(b"\n") + 1)
            self.lost += last.count(b"\n", end)
            if end:
                self._parts.append(last[:end])
                self.size += end
                return

    def give_up(self) -> None:
        """Count all that waits as lost."""
        self.lost += sum(part.count(b"\n") for part in self._parts)
        self._parts.clear()
        self.size = 0


class Sink:
    """Takes whole lines; its figures are plain attributes, for metrics to read."""

    closed_by_reader = False  # a pipe that nobody reads any more

    def __init__(self, name: str, backlog: Backlog) -> None:
        self.name = name
        self.lines = 0  # that the target has
        self.bytes = 0
        self.last_write = 0.0  # seconds since the epoch
        self.rotations = 0
        self.failures = 0  # times that the target or its rotation refused
        self._backlog = backlog

    @property
    def lost(self) -> int:
        """Lines that were given up."""
        return self._backlog.lost

    @property
    def waiting(self) -> int:
        """Bytes of lines that wait for the target."""
        return self._backlog.size

    @property
    def compressions(self) -> int:
        """Backups that were compressed."""
        return 0

    @property
    def rotation_failures(self) -> int:
        """Rotations, and compressions and removals of backups, that did not work."""
        return 0

    def write(self, lines: bytes, count: int = 0) -> None:
        """Write `lines`, each ended by a line feed; `count` is their number, 0 has them counted.

        Raises ExportError for a target that refuses them; they wait for the next call or tick.
        """
        raise NotImplementedError

    @property
    def wants_push(self) -> bool:
        """Whether `push` is to be called soon, and again until it is not."""
        return False

    def push(self) -> None:
        """Hand over what waits for a slow reader; raises ExportError as `write` does."""

    @property
    def volume(self) -> int:
        """Bytes that the target and its backups keep, of which the oldest go; 0: it keeps all."""
        return 0

    @property
    def aside(self) -> str:
        """The name of the place of `write_aside`."""
        return ""

    def write_aside(self, lines: bytes, count: int) -> None:
        """As `write`, to a place of its own, from where nothing else is pushed out.

        Only for a target that has a `volume`.
        """
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """What is to be done about once a second; `now` is of the monotonic clock.

        Raises ExportError as `write` does.
        """
        raise NotImplementedError

    def rotate(self) -> bool:
        """Begin a new file; False where there is none to begin."""
        return False

    def close(self, log: Log) -> None:
        """Write what waits and close the target; says in `log` what is lost."""
        raise NotImplementedError
