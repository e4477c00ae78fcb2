# SPDX-License-Identifier: Apache-2.0
"""Bursts of processes, a thousand in flight: nothing may be lost, least of all to preemption.

Since Linux 7.0 the kernel skips a program for whoever runs while another task is preempted in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from bench.reliability.loads import Loads
from bench.reliability.reader import KINDS, Tally
from bench.reliability.watched import Watched

# The buffer holds a burst, so that the agent's speed decides nothing.
FLAGS = ("--rb-size-total=16M", "--export-file-max-size-mb=1000")

_PROCESSES, _IN_FLIGHT = 3000, 1000


def burst(pyz: Path, directory: Path, loads: Loads, bursts: int) -> dict[str, Any]:
    """So many bursts, one after the other; the figures. Raises BuildError."""
    tally = Tally()
    with Watched(pyz, directory, *FLAGS) as agent:
        agent.listening()
        for turn in range(bursts):
            tag = loads.tag("burst", turn)
            loads.run(_PROCESSES, _IN_FLIGHT, tag)
            tally.expect(tag, _PROCESSES)
            agent.wait_for_one(loads)
        code = agent.stop()
        last = agent.statistics()
    tally.read(agent.export)
    return {
        "processes": bursts * _PROCESSES,
        **{f"missing {kind}": len(tally.missing(kind)) for kind in KINDS},
        **{f"repeated {kind}": len(tally.repeated(kind)) for kind in KINDS},
        "lost, say the last words": last["lost"],
        "exit code": code,
    }


def failures(figures: dict[str, Any]) -> list[str]:
    """What is wrong: all but the number of processes has to be 0."""
    return [f"{name}: {n}" for name, n in figures.items() if n and name != "processes"]
