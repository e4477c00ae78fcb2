# SPDX-License-Identifier: Apache-2.0
"""The rate limit: so many lines a minute, and so many at once after a quiet minute.

A token bucket, kept as the time at which it will be full again. While it is empty, who took less
than a part in SHARES of the limit in the last minute still has that part, of tokens that are yet to
come: so a user who takes all leaves a share to each of seven others. However many they are, no more
than a minute's worth is taken ahead.
"""

from __future__ import annotations

from typing import Hashable, Optional

from tetrapy.export.ledger import Ledger

UNLIMITED = -1
NOTHING = 0
"""Values of `export-rate-limit`: no limit; no export at all, as in Tetragon."""

SHARES = 8

_MINUTE = 60 * 10**9


class RateLimiter:
    """Times are ns of a clock that never goes back."""

    def __init__(self, per_minute: int, now: int) -> None:
        """Let `per_minute` lines, more than 0, pass a minute."""
        self._period = _MINUTE // per_minute
        self._room = self._period * (per_minute - 1)
        self._full_at = now
        self._taken = Ledger()
        self._share = _MINUTE // max(per_minute // SHARES, 1)  # of a minute, for a line
        self.dropped = 0  # events since the last report
        self.report_at = now + _MINUTE

    def allow(self, now: int, whose: Hashable, events: int = 1) -> bool:
        """Whether a line of somebody may pass; if not, the `events` that it stands for are
        counted.
        """
        self._full_at = max(self._full_at, now)
        ahead = self._full_at - now
        taken = self._taken.owed(whose, now) + self._share
        if ahead > self._room and (taken > _MINUTE or ahead > self._room + _MINUTE):
            self.dropped += events
            return False
        self._full_at += self._period
        # Who had more than a share does not lack it for longer than a minute.
        self._taken.owe(whose, now + min(taken, _MINUTE))
        return True

    def report(self, now: int) -> int:
        """How many events were dropped, once a minute; 0 says that there is nothing to tell."""
        if now < self.report_at:
            return 0
        self.report_at += _MINUTE * ((now - self.report_at) // _MINUTE + 1)
        return self.take()

    def take(self) -> int:
        """How many events were dropped and not reported yet: what the last report tells."""
        dropped, self.dropped = self.dropped, 0
        return dropped


def limiter(per_minute: int, now: int) -> Optional[RateLimiter]:
    """The limiter for a value of `export-rate-limit`; None where there is no limit.

    For NOTHING there is no limiter either: nothing may be exported then.
    """
    return RateLimiter(per_minute, now) if per_minute > NOTHING else None
