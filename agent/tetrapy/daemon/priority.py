# SPDX-License-Identifier: Apache-2.0
"""Running ahead of what is watched, and outliving it when memory is short.

A unit says how (tetrapy.service); where nobody did, the agent asks the kernel itself.
"""

from __future__ import annotations

import os
from typing import Callable, List

NICE = -10  # nice(2): ahead of what users run, behind what the system cannot wait for
OOM_SCORE = -500  # proc(5): that of the unit

_OOM = "/proc/self/oom_score_adj"


def ask(log: Callable[..., None]) -> None:
    """Take the niceness and the score that suit an observer, where they are still the usual.

    Called before there are threads, which inherit both, and before rights are given up. What is
    refused is reported once: the agent works without.
    """
    refused: List[str] = []
    try:
        if os.getpriority(os.PRIO_PROCESS, 0) == 0:
            os.setpriority(os.PRIO_PROCESS, 0, NICE)
    except OSError as err:
        refused.append(f"niceness {NICE}: {err.strerror}")
    try:
        with open(_OOM, "r+", encoding="ascii") as file:
            if int(file.read()) == 0:
                file.seek(0)
                file.write(str(OOM_SCORE))
    except (OSError, ValueError) as err:
        refused.append(f"oom_score_adj {OOM_SCORE}: {getattr(err, 'strerror', '') or err}")
    if refused:
        log("info", "Running without a priority of its own", refused="; ".join(refused))
