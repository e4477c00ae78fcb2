# SPDX-License-Identifier: Apache-2.0
"""rate_limit_info: how many events the export's rate limit kept back (message `RateLimitInfo`)."""

from __future__ import annotations

from typing import Tuple

from tetrapy.events.kinds import RATE_LIMIT_INFO
from tetrapy.events.process import Process


class RateLimitInfo:
    """It is about no process."""

    __slots__ = ("dropped", "time")
    name = "rate_limit_info"
    type = RATE_LIMIT_INFO
    process = None
    parent = None
    ancestors: Tuple[Process, ...] = ()

    def __init__(self, dropped: int, time: str) -> None:
        """`dropped` events since the last such event; `time` formatted."""
        self.dropped = dropped
        self.time = time
