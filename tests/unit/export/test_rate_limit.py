# SPDX-License-Identifier: Apache-2.0
"""The rate limit of the export."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.export.ledger import KNOWN
from tetrapy.export.rate_limit import NOTHING, UNLIMITED, RateLimiter, limiter

SECOND = 10**9
MINUTE = 60 * SECOND
ONE = 1000  # a user


def test_a_minutes_worth_may_come_at_once() -> None:
    """Then one more each time its part of a minute has passed."""
    limit = RateLimiter(6, 1000)
    assert [limit.allow(1000, ONE) for _ in range(8)] == [True] * 6 + [False] * 2
    assert not limit.allow(1000 + 10 * SECOND - 1, ONE)
    assert limit.allow(1000 + 10 * SECOND, ONE)
    assert not limit.allow(1000 + 10 * SECOND, ONE)
    assert [limit.allow(1000 + 30 * SECOND, ONE) for _ in range(3)] == [True, True, False]
    assert limit.dropped == 5


def test_a_quiet_time_fills_it_no_further_than_a_minutes_worth() -> None:
    """However long it was."""
    limit = RateLimiter(3, 0)
    assert [limit.allow(100 * MINUTE, ONE) for _ in range(4)] == [True] * 3 + [False]


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
        assert limit.allow(now, ONE) == expected
        filled -= period * expected


def flooded(limit: RateLimiter, now: int, users: range = range(ONE, ONE + 1)) -> int:
    """How many lines pass of users who have endless many."""
    return sum(limit.allow(now, user) for _ in range(200) for user in users)


def test_who_took_little_goes_first() -> None:
    """While one user takes all, each other one still has an eighth, and it is not given twice."""
    limit = RateLimiter(80, 0)
    assert flooded(limit, 0) == 80
    assert [flooded(limit, 0, range(user, user + 1)) for user in (1, 2)] == [10, 10]
    # What was taken ahead is 15 seconds' worth; who took all has a share himself.
    assert flooded(limit, 10 * SECOND) == 1
    assert flooded(limit, 30 * SECOND) == 80 + 40 - 80 - 20 - 1
    assert flooded(limit, 30 * SECOND, range(1, 2)) == 5


def test_a_steady_victim_of_a_steady_flood() -> None:
    """Who makes less than an eighth loses no line; all together keep to the limit."""
    limit = RateLimiter(480, 0)
    passed = victim = 0
    for second in range(600):
        now = second * SECOND
        passed += flooded(limit, now)
        if not second % 2:
            victim += limit.allow(now, 1)
    assert victim == 300
    assert passed + victim <= 480 + 10 * 480


@pytest.mark.slow
def test_many_users_keep_to_the_limit() -> None:
    """A minute's worth may be taken ahead, not more; nor is the limit exceeded later."""
    limit = RateLimiter(80, 0)
    assert flooded(limit, 0, range(5_000)) == 160
    assert flooded(limit, MINUTE // 2, range(5_000)) <= 40
    assert len(limit._taken) <= KNOWN


@given(st.integers(1, 50), st.lists(st.tuples(st.integers(0, 9 * SECOND), st.integers(1, 12))))
def test_the_limit_holds_whoever_comes(per_minute: int, asked: list[tuple[int, int]]) -> None:
    """Of whatever users: what may come at once, as much ahead, and so many a minute."""
    limit = RateLimiter(per_minute, 0)
    now = passed = 0
    for pause, user in asked:
        now += pause
        passed += limit.allow(now, user)
        assert passed <= 2 * per_minute + now // (MINUTE // per_minute)


def test_what_was_dropped_is_reported_once_a_minute() -> None:
    """Events, not lines; nothing is told where nothing was dropped; the rest is reported at the
    end.
    """
    limit = RateLimiter(1, 0)
    assert limit.allow(0, ONE)
    assert not limit.allow(1, ONE, events=4)
    assert not limit.allow(2, ONE)
    assert limit.report(MINUTE - 1) == 0
    assert limit.report(MINUTE) == 5
    assert limit.report(MINUTE) == 0
    assert limit.report_at == 2 * MINUTE
    assert limit.report(5 * MINUTE + 7) == 0
    assert limit.report_at == 6 * MINUTE
    assert limit.allow(5 * MINUTE + 7, ONE)
    assert not limit.allow(5 * MINUTE + 8, ONE)
    assert limit.take() == 1
    assert limit.take() == 0


def test_no_limit_is_no_limiter() -> None:
    """-1 lets all pass; 0 exports nothing, which is not the limiter's matter."""
    assert limiter(UNLIMITED, 0) is None
    assert limiter(NOTHING, 0) is None
    assert limiter(5, 0) is not None
