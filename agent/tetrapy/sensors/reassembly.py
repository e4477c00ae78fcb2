# SPDX-License-Identifier: Apache-2.0
"""Long arguments and environments, which come in chunks ahead of their exec."""

from __future__ import annotations

from typing import Dict, Tuple

from tetrapy.sensors.histogram import Histogram

CAPACITY = 64  # unless the settings say otherwise; more means that execs were lost

# Bytes of whole arguments: bounds of Tetragon's histogram of data events.
SIZE_BOUNDS = tuple(range(1000, 40_000, 2000))

MAX_BYTES = 8 << 20  # of all that wait: 32 times the longest

_Key = Tuple[int, int, int]  # pid, ktime of the exec, enum args_area


class Reassembly:
    """What waits for its exec, at most `capacity` of them and MOST_BYTES.

    Of more, the one that waits longest goes.

    The figures are plain attributes, for metrics to read.
    """

    def __init__(self, capacity: int = CAPACITY) -> None:
        self.capacity = max(capacity, 1)
        self.evictions = 0
        self.bytes = 0
        # Names are those of Tetragon's data events.
        self.events: Dict[str, int] = dict.fromkeys(
            ("Added", "Appended", "Bad", "Matched", "NotMatched", "Received"), 0
        )
        self.sizes: Dict[str, Histogram] = {
            "ok": Histogram(SIZE_BOUNDS),
            "bad": Histogram(SIZE_BOUNDS),
        }
        self._waiting: Dict[_Key, bytes] = {}

    @property
    def size(self) -> int:
        """How many wait."""
        return len(self._waiting)

    @property
    def misses(self) -> Dict[str, int]:
        """Looks in vain, by operation."""
        return {"get": self.events["Bad"], "remove": self.events["NotMatched"]}

    def add(self, key: _Key, offset: int, chunk: bytes) -> None:
        """Take the bytes at `offset`; behind a lost chunk none, so that what stays is a start."""
        waiting, events = self._waiting, self.events
        events["Received"] += 1
        if not offset:
            events["Added"] += 1
            self.bytes += len(chunk) - len(waiting.get(key, b""))
            waiting[key] = chunk
        elif len(waiting.get(key, b"")) == offset:
            events["Appended"] += 1
            self.bytes += len(chunk)
            waiting[key] += chunk
        else:
            events["Bad"] += 1
        while len(waiting) > self.capacity or self.bytes > MAX_BYTES:
            self.bytes -= len(waiting.pop(next(iter(waiting))))
            self.evictions += 1

    def claim(self, key: _Key, size: int) -> bytes:
        """Hand over what came; it is shorter than `size` if a chunk was lost."""
        found = self._waiting.pop(key, b"")
        self.bytes -= len(found)
        self.events["Matched" if found else "NotMatched"] += 1
        self.sizes["ok" if len(found) == size else "bad"].add(len(found))
        return found
