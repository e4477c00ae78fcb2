# SPDX-License-Identifier: Apache-2.0
"""Lines that wait for a target that does not take them."""

from __future__ import annotations

from collections import deque
from typing import Deque

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
