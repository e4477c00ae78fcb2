# SPDX-License-Identifier: Apache-2.0
"""process_throttle: a cgroup makes too many events, or no longer (message `ProcessThrottle`)."""

from __future__ import annotations

from typing import Tuple

from tetrapy.events.kinds import PROCESS_THROTTLE
from tetrapy.events.process import Process

START = "THROTTLE_START"
STOP = "THROTTLE_STOP"


class ProcessThrottle:
    """It is about no process."""

    __slots__ = ("action", "cgroup", "time")
    name = "process_throttle"
    type = PROCESS_THROTTLE
    process = None
    parent = None
    ancestors: Tuple[Process, ...] = ()

    def __init__(self, action: str, cgroup: str, time: str) -> None:
        """`action` is START or STOP, `cgroup` its name, `time` formatted."""
        self.action = action
        self.cgroup = cgroup
        self.time = time
