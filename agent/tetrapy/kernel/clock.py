# SPDX-License-Identifier: Apache-2.0
"""Kernel time to wall-clock time.

Event times count nanoseconds since boot with suspended time included (CLOCK_BOOTTIME). The wall
clock may be stepped while the machine runs, so the distance is measured again now and then.
"""

from __future__ import annotations

import time

_MEASUREMENTS = 5
_MIN_GAP = 1_000_000  # ns; a shorter sleep does not exist


class WallClock:
    """Kernel times in ns since 1970."""

    def __init__(self) -> None:
        self.offset = 0
        self.refresh()

    def refresh(self) -> None:
        """Measure the distance between the clocks again."""
        self.offset = _distance(time.CLOCK_BOOTTIME, time.CLOCK_REALTIME)

    def at(self, ktime: int) -> int:
        """The time of `ktime` (ns since boot)."""
        return ktime + self.offset

    def now(self) -> int:
        """The time."""
        return boot_time_ns() + self.offset


def boot_time_ns() -> int:
    """Nanoseconds since boot, suspended time included."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME)


def monotonic_gap_ns() -> int:
    """How much more CLOCK_BOOTTIME counts than CLOCK_MONOTONIC: the time spent suspended."""
    gap = _distance(time.CLOCK_MONOTONIC, time.CLOCK_BOOTTIME)
    # A machine that never slept has no gap; what is measured then is the time between two calls.
    return gap if gap > _MIN_GAP else 0


def _distance(clock: int, other: int) -> int:
    """What is to be added to a time of `clock` to get that of `other`, in ns.

    The tightest of some measurements: in between, this process may have had to wait.
    """
    best, distance = -1, 0
    for _ in range(_MEASUREMENTS):
        before = time.clock_gettime_ns(clock)
        between = time.clock_gettime_ns(other)
        after = time.clock_gettime_ns(clock)
        if best < 0 or after - before < best:
            best, distance = after - before, between - (before + after) // 2
    return distance
