# SPDX-License-Identifier: Apache-2.0
"""Fork and exec for a long time with rotation on: is anything lost, does memory grow?"""

from __future__ import annotations

import statistics
import time
from pathlib import Path
from typing import Any

from bench.reliability.loads import Loads
from bench.reliability.reader import Tally
from bench.reliability.watched import Sample, Watched

_WIDTHS = (1, 8, 64, 256)  # processes in flight, in turns
_EVERY = 5.0  # seconds between two samples
# A growth that is none: what the allocator and the process table breathe.
FLAT = 2048  # kB, between the first and the last quarter of the storm's second half

FLAGS = (
    "--export-file-max-size-mb=1",
    "--export-file-max-backups=0",
    "--export-file-compress",
)


def storm(
    pyz: Path, directory: Path, loads: Loads, minutes: float, rate: int, flags: list[str]
) -> dict[str, Any]:
    """Run the storm; its figures. Raises BuildError when it cannot be measured."""
    tally = Tally()
    series: list[Sample] = []
    with Watched(pyz, directory, *FLAGS, *flags) as agent:
        agent.listening()
        before = agent.sample()
        begin = time.monotonic()
        turn = 0
        while time.monotonic() - begin < 60 * minutes:
            started = time.monotonic()
            tag, count = loads.tag("storm", turn), rate or 2000
            tally.expect(tag, count)
            loads.run(count, _WIDTHS[turn % len(_WIDTHS)], tag)
            # A directory that grows would let the agent grow, which lists it.
            tally.take_compressed(agent.export)
            if not series or time.monotonic() - agent.started - series[-1].seconds > _EVERY:
                series.append(agent.sample())
            if rate:
                time.sleep(max(0.0, started + 1 - time.monotonic()))
            turn += 1
        lasted = time.monotonic() - begin
        agent.wait_for_one(loads)
        after = agent.sample()
        code = agent.stop()
        statistics_ = agent.statistics()
    tally.read(agent.export)
    processes = tally.expected() // 2
    cpu = after.cpu - before.cpu
    return {
        "minutes": lasted / 60,
        "processes": processes,
        "processes a second": processes / lasted,
        "events expected": tally.expected(),
        "events missing": len(tally.missing()),
        "events repeated": len(tally.repeated()),
        "lines of all processes": tally.lines,
        "lines broken": len(tally.broken),
        "files": tally.files,
        "MB written": tally.bytes / 1e6,
        "records received": statistics_["received"],
        "records lost": statistics_["lost"],
        "agent CPU in percent of a core": 100 * cpu / lasted,
        "agent CPU microseconds a record": 1e6 * cpu / max(1, statistics_["received"]),
        "RSS in MB, at first": before.rss / 1024,
        "RSS in MB, at last": after.rss / 1024,
        "RSS in MB, peak of the samples": max(s.rss for s in series) / 1024,
        "RSS growth in kB a minute, second half": slope(series[len(series) // 2 :]),
        "RSS growth in kB, second half": growth(series),
        "exit code": code,
        "examples": (tally.missing() + tally.repeated() + [str(b) for b in tally.broken])[:10],
        "series": [[round(s.seconds), s.rss, round(s.cpu, 1)] for s in series],
    }


def failures(figures: dict[str, Any]) -> list[str]:
    """What is wrong with a storm's figures."""
    zero = ("events missing", "events repeated", "lines broken", "records lost", "exit code")
    found = [f"{name}: {figures[name]}" for name in zero if figures[name]]
    if figures["RSS growth in kB, second half"] > FLAT:
        found.append("resident memory grows")
    return found


def growth(series: list[Sample]) -> float:
    """KB: what the median of the last quarter of the second half is above that of its first."""
    half = [sample.rss for sample in series[len(series) // 2 :]]
    quarter = max(1, len(half) // 4)
    return statistics.median(half[-quarter:]) - statistics.median(half[:quarter])


def slope(series: list[Sample]) -> float:
    """KB a minute, by least squares; 0 for fewer than two samples."""
    if len(series) < 2:
        return 0.0
    line = statistics.linear_regression([s.seconds / 60 for s in series], [s.rss for s in series])
    return line.slope
