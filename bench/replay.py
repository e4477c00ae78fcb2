# SPDX-License-Identifier: Apache-2.0
"""How many recorded raw events a core decodes, filters and writes in a second. As root.

    python3 -m bench.replay [--count 20000] [--rounds 5] [--profile]

The records of a load are taken from this kernel once, as the agent takes them, and handed again and
again to the same code as in the agent: process table, filters, encoder, a file in memory. A fork
that is not reported is no event, so a process of the load has two: its exec and its exit. CPU time
is counted, not time, so what else the machine does matters little. Exit codes: 0; 2 when nothing
was measured.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from bench import programs
from tools.errors import BuildError
from tools.fetch import ROOT

sys.path.insert(0, str(ROOT / "agent"))

from tetrapy.config.settings import Settings, defaults
from tetrapy.daemon.start import (
    make_stages,
    make_table,
    open_target,
    sensor_options,
    subscribe,
    wanted_details,
)
from tetrapy.errors import TetrapyError
from tetrapy.export.fanout import Fanout
from tetrapy.kernel.clock import WallClock
from tetrapy.sensors.base import BaseSource

BATCH = 512  # records, as in the agent's loop
DENY = '{"binary_regex":["^/usr/bin/nothing-of-the-load$"]}\n{"arguments_regex":["^never$"]}'


def record(sensor: BaseSource, count: int, scratch: Path) -> list[bytes]:
    """The records that a load makes on this kernel, those of other processes among them."""
    load, target = programs.build(scratch)
    records: list[bytes] = []
    sensor.attach()
    sensor.report_forks_eagerly(yes=False)
    running = subprocess.Popen([load, str(count), "1", target, "replay"], stdout=subprocess.DEVNULL)
    while running.poll() is None:
        records += sensor.drain(BATCH)
        time.sleep(0.005)
    sensor.detach()
    while batch := sensor.drain(BATCH, everything=True):
        records += batch
    return records


def replay(sensor: BaseSource, records: list[bytes], settings: Settings) -> float:
    """Seconds of CPU for one pass of all records."""

    def log(level: str, message: str, **keys: object) -> None:
        if level in {"warn", "error"}:
            print(f"bench.replay: {message} {keys}", file=sys.stderr)

    table, details = make_table(settings, wanted_details(settings), sensor, "")
    handler = sensor.handler(table, WallClock(), details)
    stages = make_stages(settings)
    subscription = subscribe(settings, stages, open_target(settings, stages.writes, log))
    fanout = Fanout([subscription], log)
    before = time.process_time()
    for start in range(0, len(records), BATCH):
        fanout.publish(handler.events(records[start : start + BATCH]))
    spent = time.process_time() - before
    subscription.close()
    return spent


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(prog="python3 -m bench.replay", description=__doc__)
    parser.add_argument("--count", type=int, default=20000, help="processes of the load")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--profile", action="store_true", help="by function, with cProfile")
    arguments = parser.parse_args()
    if os.geteuid():
        print("bench.replay: root is needed to load BPF programs", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="tetrapy-bench-", dir="/dev/shm") as scratch:
            return _measure(Path(scratch), arguments)
    except (BuildError, TetrapyError) as err:
        print(f"bench.replay: {err}", file=sys.stderr)
        return 2


def _measure(scratch: Path, arguments: argparse.Namespace) -> int:
    values = defaults()
    values["export-filename"] = str(scratch / "export.json")
    values["export-file-max-size-mb"] = 1 << 20
    values["rb-size-total"] = 64 << 20
    plain = Settings(values)
    filtered = Settings({**values, "export-denylist": DENY})
    options = sensor_options(plain, wanted_details(plain), None)
    sensor = BaseSource(options)
    try:
        records = record(sensor, arguments.count, scratch)
        if arguments.profile:
            import cProfile

            cProfile.runctx("replay(sensor, records, plain)", globals(), locals(), sort="tottime")
        for name, settings in (("no filter", plain), ("two deny filters", filtered)):
            best = min(replay(sensor, records, settings) for _ in range(arguments.rounds))
            rate = len(records) / best
            print(f"{name:20} {rate:10,.0f} records a second and core ({len(records):,} records)")
            (scratch / "export.json").unlink(missing_ok=True)
    finally:
        sensor.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
