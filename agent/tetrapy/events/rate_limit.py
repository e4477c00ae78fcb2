# SPDX-License-Identifier: Apache-2.0
"""rate_limit_info: how many events the export's rate limit suppressed (message `RateLimitInfo`)."""

from __future__ import annotations

from tetrapy.events import encoders
from tetrapy.events.event import Event


class RateLimitInfo(Event):
    """An event about no process."""

    __slots__ = ("dropped", "time")
    name = "rate_limit_info"
    type = "RATE_LIMIT_INFO"
    encoded = encoders.rate_limit_info

    def __init__(self, dropped: int, time: int) -> None:
        """`dropped` events since the last such event; `time` in ns since 1970."""
        self.dropped = dropped
        self.time = time
