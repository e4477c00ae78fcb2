# SPDX-License-Identifier: Apache-2.0
"""An agent that is killed at random moments: is a line torn, is anything left behind?"""

from __future__ import annotations

import random
import signal
import time
from pathlib import Path
from typing import Any

from bench.reliability import in_kernel
from bench.reliability.loads import Loads
from bench.reliability.reader import Tally, files
from bench.reliability.watched import Watched
from tools.errors import BuildError

FLAGS = ("--export-file-max-size-mb=1", "--export-file-max-backups=0", "--export-file-compress")

_PROCESSES, _WIDTH = 600, 8
_LATEST = 2.5  # seconds from the start to the kill; about half of them begin to listen before


def kills(
    pyz: Path, directory: Path, loads: Loads, rounds: int, seed: int, flags: list[str]
) -> dict[str, Any]:
    """Kill and start again, so many times; the figures. Raises BuildError."""
    chance = random.Random(seed)  # noqa: S311 - so that a run can be repeated
    left: dict[str, int] = {}
    listened = torn = most = 0
    for turn in range(rounds):
        with Watched(pyz, directory, *FLAGS, *flags) as agent:
            load = loads.start(_PROCESSES, _WIDTH, loads.tag("kill", turn))
            time.sleep(chance.uniform(0, _LATEST))
            listened += agent.says("Listening for events")
            if agent.process.poll() is not None:
                raise BuildError(f"round {turn} (seed {seed}): the agent ended:\n{agent.log}")
            held = agent.held()
            agent.process.send_signal(signal.SIGKILL)
            agent.process.wait()
            most = max(most, sum(map(len, held.values())))
            for kind, number in in_kernel.left(held).items():
                left[kind] = left.get(kind, 0) + number
            torn += _is_torn(agent.export)
            load.wait()
    with Watched(pyz, directory, *FLAGS, *flags) as agent:
        agent.listening()
        pid_file = (agent.run / "tetrapy/tetrapy.pid").read_text()
        took_over = pid_file == str(agent.pid)
        code = agent.stop()
    tally = Tally()
    tally.read(agent.export)
    return {
        "rounds": rounds,
        "seed": seed,
        "killed while it listened": listened,
        "killed within a line (mended by the next)": torn,
        "BPF programs, maps, links held at most": most,
        "BPF programs left": left.get("programs", 0),
        "BPF maps left": left.get("maps", 0),
        "BPF links left": left.get("links", 0),
        "pid file taken over": took_over,
        "files": len(files(agent.export)),
        "lines": tally.lines,
        "lines broken": len(tally.broken),
        "left in the run directory": _names(agent.run),
        "left beside the export": [p.name for p in directory.glob("*.tmp")],
        "exit code": code,
        "examples": [str(line) for line in tally.broken[:10]],
    }


def failures(figures: dict[str, Any]) -> list[str]:
    """What is wrong with the figures."""
    empty = ("BPF programs left", "BPF maps left", "BPF links left", "lines broken", "exit code")
    also = ("left in the run directory", "left beside the export")
    found = [f"{name}: {figures[name]}" for name in (*empty, *also) if figures[name]]
    if not figures["pid file taken over"]:
        found.append("the pid file is not the last agent's")
    return found


def _is_torn(export: Path) -> bool:
    """Whether the file that was written to ends within a line."""
    if not export.exists() or not export.stat().st_size:
        return False
    with export.open("rb") as file:
        file.seek(-1, 2)
        return file.read(1) != b"\n"


def _names(run: Path) -> list[str]:
    return sorted(str(path.relative_to(run)) for path in run.rglob("*") if not path.is_dir())
