# SPDX-License-Identifier: Apache-2.0
"""process_throttle: a cgroup makes too many events, or no longer (message `ProcessThrottle`)."""

from __future__ import annotations

from tetrapy.events import encoders
from tetrapy.events.event import Event

START = "THROTTLE_START"
STOP = "THROTTLE_STOP"


class ProcessThrottle(Event):
    """An event about no process."""

    __slots__ = ("action", "cgroup", "time")
    name = "process_throttle"
    type = "PROCESS_THROTTLE"
    encoded = encoders.process_throttle

    def __init__(self, action: str, cgroup: str, time: int) -> None:
        """`action` is START or STOP, `cgroup` its name, `time` in ns since 1970."""
        self.action = action
        self.cgroup = cgroup
        self.time = time
