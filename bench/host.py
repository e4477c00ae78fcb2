# SPDX-License-Identifier: Apache-2.0
"""What the agent costs this machine at full speed, and whether it loses events. As root.

    python3 -m bench.host [--count 4000] [--pairs 7] [--json]

Pairs of loads, one without and one with the agent, in turns; the slow-down is the median of the
pairs' ratios. Only events of the load's own processes are counted: each of its processes has an
argument that no other has. Times depend on what else this machine does, so nothing is judged by
them. Exit codes: 0, 1 when events are missing, 2 when nothing was measured.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from bench import programs
from bench.figures import missing_lines
from tools.errors import BuildError
from tools.fetch import ROOT

PYZ = ROOT / "dist/tetrapy.pyz"
TIMEOUT = 60.0  # seconds; only a bound on waiting for what should come
PROBE_PAUSE = 0.002  # seconds between two probes of the start: what its result may be off by


class Agent:
    """A running agent whose export is in `directory`."""

    def __init__(self, directory: Path) -> None:
        self.export = directory / "events.json"
        self.export.unlink(missing_ok=True)
        self._log = (directory / "log").open("w+b")
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, str(PYZ), "--export-filename", str(self.export)],
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, at: TracebackType | None
    ) -> None:
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait()
        self._log.close()

    @property
    def log(self) -> str:
        """All that it has logged."""
        return Path(self._log.name).read_text("utf-8", "replace")

    def listening(self) -> Agent:
        """Wait until it listens. Raises BuildError when it ends instead."""
        while "Listening for events" not in self.log:
            self.check()
            time.sleep(0.01)
        return self

    def check(self) -> None:
        """Raise BuildError when it has ended or has had its time to start."""
        if self.process.poll() is not None:
            last = self.log.strip().splitlines()[-1:]
            raise BuildError(f"the agent ended with {self.process.returncode}: {' '.join(last)}")
        if time.monotonic() - self.started > TIMEOUT:
            raise BuildError(f"the agent does not listen after {TIMEOUT:.0f} s")

    def lines(self) -> list[bytes]:
        """The whole lines of its export."""
        try:
            return self.export.read_bytes().splitlines()
        except FileNotFoundError:
            return []

    def memory(self) -> dict[str, float]:
        """MB: the peak and the present resident set."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        fields = dict(re.findall(r"(VmHWM|VmRSS):\s+(\d+) kB", status))
        return {
            name: 1.024e-3 * int(fields[key]) for name, key in (("peak", "VmHWM"), ("rss", "VmRSS"))
        }

    def cpu_seconds(self) -> float:
        """CPU time so far."""
        schedstat = Path(f"/proc/{self.process.pid}/schedstat").read_text()
        return int(schedstat.split()[0]) / 1e9

    def lost(self) -> int:
        """Stop it; how many events it says were lost in the kernel."""
        self.process.terminate()
        self.process.wait()
        found = re.search(r'Observer events statistics".* lost=(\d+)', self.log)
        if not found:
            raise BuildError(f"the agent's log has no statistics:\n{self.log}")
        return int(found[1])


class Load(NamedTuple):
    """The load's two programs."""

    program: Path
    target: Path

    def run(self, count: int, width: int, tag: str) -> float:
        """Microseconds for each process."""
        command = [str(self.program), str(count), str(width), str(self.target), tag]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
        return int(done.stdout.rpartition("ns=")[2]) / count / 1e3


class Loaded(NamedTuple):
    """One load under the agent."""

    microseconds: float  # each process
    cpu_microseconds: float  # of the agent, each process
    missing: list[str]
    lost: int
    peak: float  # MB
    rss: float


def under_agent(load: Load, directory: Path, count: int, width: int, tag: str) -> Loaded:
    """Start the agent, run a load, wait for its last line, stop the agent."""
    with Agent(directory) as agent:
        before = agent.listening().cpu_seconds()
        each = load.run(count, width, tag)
        # A process that ends after the load has a line that comes after the load's.
        subprocess.run([str(load.target), f"{tag}-last"], check=True)
        last = f'"arguments":"{tag}-last"'.encode()
        deadline = time.monotonic() + TIMEOUT
        while not any(last in line for line in agent.lines()[-100:]):
            if time.monotonic() > deadline:
                break
            time.sleep(0.05)
        time.sleep(0.2)
        cpu = agent.cpu_seconds() - before
        memory = agent.memory()
        lost = agent.lost()
        missing = missing_lines(agent.lines(), tag, count)
    return Loaded(each, cpu / count * 1e6, missing, lost, memory["peak"], memory["rss"])


def start_to_first_event(load: Load, directory: Path) -> float:
    """Seconds from the agent's start until the export has the exec of a probe.

    Probes run all the time from before the start on, so the first that is reported is the first
    process that the agent saw begin.
    """
    with Agent(directory) as agent:
        wanted = b'"arguments":"probe-'
        while True:
            subprocess.run([str(load.target), f"probe-{time.monotonic_ns()}"], check=True)
            if any(wanted in line and b'"execve' in line for line in agent.lines()):
                return time.monotonic() - agent.started
            agent.check()
            time.sleep(PROBE_PAUSE)


def main() -> int:
    """Exit code."""
    arguments = _arguments()
    if not PYZ.exists():
        print("bench.host: there is no dist/tetrapy.pyz: make build", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("bench.host: root is needed to load BPF programs: run it with sudo", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="tetrapy-bench-") as scratch:
            result = _measure(Path(scratch), arguments.count, arguments.pairs)
    except (BuildError, OSError, subprocess.CalledProcessError) as err:
        print(f"bench.host: {err}", file=sys.stderr)
        return 2
    if arguments.json:
        print(json.dumps(result, indent=2))
    else:
        for name, value in result.items():
            shown = f"{value:.2f}" if isinstance(value, float) else str(value)
            print(f"{name.replace('_', ' '):50} {shown:>10}")
    return 1 if result["events_missing"] or result["events_lost"] else 0


def _measure(scratch: Path, count: int, pairs: int) -> dict[str, float | int | str]:
    load = Load(*programs.build(scratch))
    load.run(count // 4, 1, "warm-up")
    alone, loaded = [], []
    for number in range(pairs):
        alone.append(load.run(count, 1, "alone"))
        loaded.append(under_agent(load, scratch, count, 1, f"pair-{number}"))
    burst = under_agent(load, scratch, count, count, "burst")
    starts = [start_to_first_event(load, scratch) for _ in range(pairs)]
    every = [*loaded, burst]
    for line in [line for run in every for line in run.missing][:10]:
        print(f"missing: {line}", file=sys.stderr)
    return {
        "kernel": platform.release(),
        "python": platform.python_version(),
        "processes_of_each_load": count,
        "microseconds_a_process_without_the_agent": statistics.median(alone),
        "microseconds_a_process_with_the_agent": statistics.median(r.microseconds for r in loaded),
        "slow-down_in_percent,_median_of_the_pairs": 100
        * (statistics.median(r.microseconds / a for r, a in zip(loaded, alone, strict=True)) - 1),
        "agent_CPU_microseconds_a_process": statistics.median(r.cpu_microseconds for r in loaded),
        "events_expected": 2 * count * len(every),
        "events_missing": sum(len(run.missing) for run in every),
        "events_lost": sum(run.lost for run in every),
        "start_to_first_event_in_seconds,_median": statistics.median(starts),
        "start_to_first_event_in_seconds,_slowest": max(starts),
        "resident_memory_in_MB,_peak": max(run.peak for run in every),
        "resident_memory_in_MB,_after_the_load": max(run.rss for run in every),
    }


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.host",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--count", type=int, default=4000, help="processes of a load")
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
