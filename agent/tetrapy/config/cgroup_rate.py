# SPDX-License-Identifier: Apache-2.0
"""How many events a cgroup may have, written as events,interval: 1000,1s."""

from __future__ import annotations

from typing import Optional

from tetrapy.config import duration
from tetrapy.named import NamedTuple


class CgroupRate(NamedTuple):
    """At most so many events in an interval."""

    events: int
    interval_ns: int

    @classmethod
    def parse(cls, text: str) -> Optional[CgroupRate]:
        """What `1000,1s` says; None, no limit, for an empty text.

        Raises ValueError for any other text.
        """
        if not text:
            return None
        events, _comma, interval = text.replace(" ", "").partition(",")
        if not (events.isascii() and events.isdigit()) or len(events) > _DIGITS:
            raise ValueError("no number of events")
        if interval.isdigit():
            raise ValueError("1 is hardly a nanosecond")
        rate = cls(int(events), duration.parse(interval))
        if rate.events < 1 or rate.interval_ns < 1:
            raise ValueError("both are at least 1")
        return rate

    def __str__(self) -> str:
        """The text that a setting has for this value."""
        return f"{self.events},{duration.show(self.interval_ns)}"


_DIGITS = 9
