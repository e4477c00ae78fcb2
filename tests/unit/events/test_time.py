# SPDX-License-Identifier: Apache-2.0
"""Kernel times as time stamps, and the exec_id that is made of them."""

from __future__ import annotations

import base64
import re
import time
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import EPOCH, SECOND, wall_clock
from tetrapy.events.process import Process, make_exec_id
from tetrapy.events.text import rfc3339
from tetrapy.kernel import clock as clock_module
from tetrapy.kernel.clock import WallClock, monotonic_gap_ns


@pytest.mark.parametrize(
    ("ktime", "shown"),
    [
        (0, "2026-01-01T00:00:00Z"),
        (1, "2026-01-01T00:00:00.000000001Z"),
        (1_000, "2026-01-01T00:00:00.000001Z"),
        (1_001, "2026-01-01T00:00:00.000001001Z"),
        (1_000_000, "2026-01-01T00:00:00.001Z"),
        (1_001_000, "2026-01-01T00:00:00.001001Z"),
        (120_000_000, "2026-01-01T00:00:00.120Z"),
        (SECOND, "2026-01-01T00:00:01Z"),
        (86_400 * SECOND - 1, "2026-01-01T23:59:59.999999999Z"),
        (59 * 86_400 * SECOND, "2026-03-01T00:00:00Z"),
        (-1, "2025-12-31T23:59:59.999999999Z"),
    ],
)
def test_fractions_have_0_3_6_or_9_digits(ktime: int, shown: str) -> None:
    """As protojson: the shortest of 0, 3, 6 and 9 digits that loses nothing."""
    assert rfc3339(wall_clock().at(ktime)) == shown


@given(st.lists(st.integers(0, 2**62), min_size=1, max_size=5))
def test_any_time_reads_back(ktimes: list[int]) -> None:
    """The text names the nanosecond it was made from, whatever was formatted before."""
    clock = wall_clock()
    for ktime in ktimes:
        text = rfc3339(clock.at(ktime))
        match = re.fullmatch(r"(\d{4,}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{3}|\d{6}|\d{9}))?Z", text)
        assert match
        second = datetime.fromisoformat(match[1]).replace(tzinfo=UTC).timestamp()
        fraction = int((match[2] or "0").ljust(9, "0"))
        assert int(second) * SECOND + fraction == ktime + EPOCH
        if match[2]:
            assert match[2][-3:] != "000"


def test_the_clock_follows_a_stepped_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """After `refresh` times are told by the wall clock as it now is."""
    clock = WallClock()
    before = clock.offset
    real = time.clock_gettime_ns

    def stepped(number: int) -> int:
        return real(number) + (3600 * SECOND if number == time.CLOCK_REALTIME else 0)

    monkeypatch.setattr(clock_module.time, "clock_gettime_ns", stepped)
    clock.refresh()
    assert abs(clock.offset - before - 3600 * SECOND) < 60 * SECOND
    assert clock.at(0) != wall_clock().at(0)


def test_the_boot_clock_counts_from_boot() -> None:
    """A time just taken, formatted, lies between two looks at the wall clock (to a second)."""
    before = int(time.time()) - 1
    text = rfc3339(WallClock().now())
    after = int(time.time()) + 1
    reported = datetime.fromisoformat(text[:19]).replace(tzinfo=UTC).timestamp()
    assert before <= reported <= after


@pytest.mark.parametrize("asleep", [0, 5 * SECOND])
def test_time_spent_suspended_is_the_gap(monkeypatch: pytest.MonkeyPatch, asleep: int) -> None:
    """The gap is what CLOCK_BOOTTIME counts more, and 0 on a machine that never slept."""
    times = {time.CLOCK_MONOTONIC: 100 * SECOND, time.CLOCK_BOOTTIME: 100 * SECOND + asleep}

    def now(which: int) -> int:
        times[which] += 50  # time passes between the calls
        return times[which]

    monkeypatch.setattr(clock_module.time, "clock_gettime_ns", now)
    assert abs(monotonic_gap_ns() - asleep) < 1000
    if not asleep:
        assert monotonic_gap_ns() == 0


@given(st.text(max_size=12), st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))
def test_exec_id_is_base64_of_node_time_and_pid(node: str, ktime: int, pid: int) -> None:
    """Standard base64 with padding of `<node>:<ktime>:<pid>`, on one line however long."""
    data = node.encode("utf-8", "surrogatepass")
    made = make_exec_id(data, ktime, pid)
    assert base64.b64decode(made, validate=True) == data + f":{ktime}:{pid}".encode()
    assert Process(data, pid, 7, ktime).exec_id == made


def test_exec_ids_of_a_real_export() -> None:
    """Ids that Tetragon made are made here too."""
    assert make_exec_id(b"(none)", 1, 0) == "KG5vbmUpOjE6MA=="
    assert make_exec_id(b"(none)", 9_141_662_344, 372) == "KG5vbmUpOjkxNDE2NjIzNDQ6Mzcy"
