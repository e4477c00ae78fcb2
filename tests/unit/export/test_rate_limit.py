# SPDX-License-Identifier: Apache-2.0
"""The rate limit of the export."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tetrapy.export.rate_limit import NOTHING, UNLIMITED, RateLimiter, limiter

SECOND = 10**9
MINUTE = 60 * SECOND


def test_a_minutes_worth_may_come_at_once() -> None:
    """Then one more each time its part of a minute has passed."""
    limit = RateLimiter(6, 1000)
    assert [limit.allow(1000) for _ in range(8)] == [True] * 6 + [False] * 2
    assert not limit.allow(1000 + 10 * SECOND - 1)
    assert limit.allow(1000 + 10 * SECOND)
    assert not limit.allow(1000 + 10 * SECOND)
    assert [limit.allow(1000 + 30 * SECOND) for _ in range(3)] == [True, True, False]
    assert limit.dropped == 5


def test_a_quiet_time_fills_it_no_further_than_a_minutes_worth() -> None:
    """However long it was."""
    limit = RateLimiter(3, 0)
    assert [limit.allow(100 * MINUTE) for _ in range(4)] == [True] * 3 + [False]


@given(st.integers(1, 50), st.lists(st.integers(0, 20 * SECOND), max_size=200))
def test_it_is_a_token_bucket(per_minute: int, pauses: list[int]) -> None:
    """The same decisions as a bucket of tokens that fills by one each `period`."""
    period = MINUTE // per_minute
    limit = RateLimiter(per_minute, 0)
    now, filled = 0, per_minute * period  # tokens times period
    for pause in pauses:
        now += pause
        filled = min(filled + pause, per_minute * period)
        expected = filled >= period
        assert limit.allow(now) == expected
        filled -= period * expected


def test_what_was_dropped_is_reported_once_a_minute() -> None:
    """Events, not lines; nothing is told where nothing was dropped; the rest is reported at the
    end.
    """
    limit = RateLimiter(1, 0)
    assert limit.allow(0)
    assert not limit.allow(1, events=4)
    assert not limit.allow(2)
    assert limit.report(MINUTE - 1) == 0
    assert limit.report(MINUTE) == 5
    assert limit.report(MINUTE) == 0
    assert limit.report_at == 2 * MINUTE
    assert limit.report(5 * MINUTE + 7) == 0
    assert limit.report_at == 6 * MINUTE
    assert limit.allow(5 * MINUTE + 7)
    assert not limit.allow(5 * MINUTE + 8)
    assert limit.take() == 1
    assert limit.take() == 0


def test_no_limit_is_no_limiter() -> None:
    """-1 lets all pass; 0 exports nothing, which is not the limiter's matter."""
    assert limiter(UNLIMITED, 0) is None
    assert limiter(NOTHING, 0) is None
    assert limiter(5, 0) is not None
