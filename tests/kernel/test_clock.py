# SPDX-License-Identifier: Apache-2.0
"""Clocks are compared well also when the agent does not run between two looks at them."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from tetrapy.kernel import clock

MILLISECOND = 1_000_000
START = 1_700_000_000 * 1_000_000_000  # the wall clock at boot


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Has simulated clocks stand in for the kernel's: the first reading after each call of the
    fixture's value is followed by so many ns in which the agent does not run.
    """
    now = [5_000_000_000]
    pause = [0]

    def read(which: int) -> int:
        now[0] += 100
        seen = now[0]
        now[0] += pause[0]
        pause[0] = 0
        return seen + START if which == time.CLOCK_REALTIME else seen

    monkeypatch.setattr(time, "clock_gettime_ns", read)
    monkeypatch.setattr(time, "time_ns", lambda: read(time.CLOCK_REALTIME))

    def set_pause(length: int) -> None:
        pause[0] = length

    return set_pause


@pytest.mark.parametrize("length", [0, MILLISECOND, 10 * MILLISECOND, 500 * MILLISECOND])
def test_no_false_suspension(pauses: Callable[[int], None], length: int) -> None:
    """A pause of the agent is not taken for time that the machine slept."""
    pauses(length)
    assert clock.monotonic_gap_ns() == 0


@pytest.mark.parametrize("length", [0, MILLISECOND, 10 * MILLISECOND, 500 * MILLISECOND])
def test_wall_clock(pauses: Callable[[int], None], length: int) -> None:
    """A pause of the agent does not set the time of events wrong."""
    pauses(length)
    wall = clock.WallClock()
    assert abs(wall.offset - START) < MILLISECOND
    pauses(length)
    wall.refresh()
    assert abs(wall.offset - START) < MILLISECOND
