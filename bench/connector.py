# SPDX-License-Identifier: Apache-2.0
"""What the process connector costs and misses, beside eBPF. As root.

    python3 -m bench.connector [--count 4000] [--pairs 5] [--json]

Each sensor sees the same loads, one process after the other and a burst with all of them in flight.
The program is one without libc that ends some microseconds after its exec, the worst case for a
sensor that has to look at procfs, or true(1), the shortest program of an ordinary host. Told: the
exec, or the exit, has an event. Named: it has the name of the program at least. Complete: it has
path and arguments. Times depend on what else this machine does. Exit codes: 0, 2 when nothing was
measured.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

from bench import programs
from bench.host import PYZ, TIMEOUT, Agent, Load
from tools.errors import BuildError

SENSORS = ("ebpf", "connector")
TRUE = Path("/bin/true")


class Watching(Agent):
    """An agent that uses one sensor."""

    def __init__(self, directory: Path, sensor: str) -> None:
        self.export = directory / "events.json"
        self.export.unlink(missing_ok=True)
        self._log = (directory / "log").open("w+b")
        self.started = time.monotonic()
        command = [sys.executable, str(PYZ), "--sensor", sensor]
        self.process = subprocess.Popen(
            [*command, "--export-filename", str(self.export)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )


class Run(NamedTuple):
    """One load under one sensor."""

    microseconds: float  # each process
    cpu_microseconds: float  # of the agent, each process
    execs_reported: float  # in percent, as the following
    execs_named: float
    execs_complete: float
    exits_reported: float
    lost: int
    peak: float  # MB


def run(sensor: str, load: Load, directory: Path, count: int, width: int, tag: str) -> Run:
    """Start the agent, run a load, wait until nothing more comes, stop the agent."""
    with Watching(directory, sensor) as agent:
        before = agent.listening().cpu_seconds()
        each = load.run(count, width, tag)
        _wait_for_quiet(agent)
        cpu = agent.cpu_seconds() - before
        peak = agent.memory()["peak"]
        lost = agent.lost()
        counted = _count(agent.lines(), load.target, tag)
    reported, named, complete, ended = (number * 100 / count for number in counted)
    return Run(each, cpu / count * 1e6, reported, named, complete, ended, lost, peak)


def _wait_for_quiet(agent: Agent) -> None:
    deadline = time.monotonic() + TIMEOUT
    size = -1
    while time.monotonic() < deadline:
        time.sleep(0.5)
        now = agent.export.stat().st_size
        if now == size:
            return
        size = now


def _count(lines: list[bytes], target: Path, tag: str) -> tuple[int, int, int, int]:
    """Execs reported, named, complete, and exits reported, of the load's processes."""
    reported = named = complete = ended = 0
    for line in lines:
        (kind, body), *_ = json.loads(line).items()
        if kind not in {"process_exec", "process_exit"}:
            continue
        if not body.get("parent", {}).get("arguments", "").endswith(f" {tag}"):
            continue
        if kind == "process_exit":
            ended += 1
            continue
        reported += 1
        binary = body["process"].get("binary", "")
        named += Path(binary).name == target.name
        whole = binary in {str(target), str(target.resolve())}
        complete += whole and body["process"].get("arguments", "").startswith(f"{tag} ")
    return reported, named, complete, ended


def _measure(scratch: Path, count: int, pairs: int) -> dict[str, dict[str, dict[str, float]]]:
    program, nothing = programs.build(scratch)
    result: dict[str, dict[str, dict[str, float]]] = {}
    for name, target, width in (
        ("ends at once, in turn", nothing, 1),
        ("ends at once, burst", nothing, count),
        ("true, in turn", TRUE, 1),
        ("true, burst", TRUE, count),
    ):
        load = Load(program, target)
        load.run(count // 4, 1, "warm-up")
        alone: list[float] = []
        runs: dict[str, list[Run]] = {sensor: [] for sensor in SENSORS}
        for number in range(pairs):
            alone.append(load.run(count, width, "alone"))
            for sensor in SENSORS:
                tag = f"{sensor}-{width}-{number}"
                runs[sensor].append(run(sensor, load, scratch, count, width, tag))
        result[name] = {"none": {"microseconds": statistics.median(alone)}}
        for sensor, each in runs.items():
            medians = map(statistics.median, zip(*each, strict=True))
            result[name][sensor] = dict(zip(Run._fields, medians, strict=True))
    return result


def _print(result: dict[str, dict[str, dict[str, float]]]) -> None:
    for name, sensors in result.items():
        print(f"{name:24}" + "".join(f"{sensor:>12}" for sensor in sensors))
        for field in Run._fields:
            cells = [sensor.get(field) for sensor in sensors.values()]
            row = "".join(f"{'' if cell is None else f'{cell:.1f}':>12}" for cell in cells)
            print(f"  {field.replace('_', ' '):22}{row}")


def main() -> int:
    """Exit code."""
    arguments = _arguments()
    if os.geteuid() != 0 or not PYZ.exists():
        print("bench.connector: needs root and dist/tetrapy.pyz (make build)", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="tetrapy-bench-") as scratch:
            result: Any = _measure(Path(scratch), arguments.count, arguments.pairs)
    except (BuildError, OSError, subprocess.CalledProcessError) as err:
        print(f"bench.connector: {err}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        _print(result)
    return 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.connector",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=4000, help="processes of a load")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
