# SPDX-License-Identifier: Apache-2.0
"""What an event, a start and an idle minute cost, in instructions of the deterministic guest.

    python3 -m bench.guest              the figures as a table and in build/bench.json
    python3 -m bench.guest --check      fails when a figure is over its budget (bench/budget.json)
    python3 -m bench.guest --update     makes the figures the budget
    python3 -m bench.guest --profile    where the agent's instructions go, by function

Exit codes: 0, 1 when events are missing or a budget is exceeded, 2 when nothing was measured.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from bench import budget, programs
from bench.figures import FIGURES, figures_of, is_json, missing_lines, program_costs
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.guest import kernels, qemu

HERE = Path(__file__).resolve().parent
PYZ = ROOT / "dist/tetrapy.pyz"
OUTPUT = ROOT / "build/bench.json"
KERNEL = "6.1"
MEMORY = 2048  # MiB, as where the figures to compare with were measured
COUNT = 2000  # processes of each of the two measured loads
CHECKED = 1000  # the same for the budget: CI waits for it


class Run(NamedTuple):
    """One boot: its record, its figures, the events that are missing."""

    record: dict[str, Any]
    figures: dict[str, float]
    missing: list[str]
    seconds: float  # of this machine


def boot(script: str, driver: str) -> qemu.GuestResult:
    """Run `script` in the deterministic guest. Raises BuildError when it does not end well."""
    if not PYZ.exists():
        raise BuildError("there is no dist/tetrapy.pyz: make build")
    with tempfile.TemporaryDirectory(prefix="tetrapy-bench-") as scratch:
        load, nothing = programs.build(Path(scratch))
        files: dict[str, qemu.Content] = {
            "/test/tetrapy.pyz": PYZ,
            "/test/load": load,
            "/test/nothing": nothing,
            f"/test/{driver}": HERE / driver,
        }
        kernel = kernels.get(KERNEL)
        result = qemu.run(kernel, script, files, memory=MEMORY, deterministic=True)
    if result.exit_code:
        raise qemu.GuestError(f"the driver ended with {result.exit_code}", result.output)
    return result


def measure(count: int) -> Run:
    """Boot, load, read. Raises BuildError when the guest brings nothing back."""
    result = boot(f"exec python3 /test/driver.py {count}", "driver.py")
    record = json.loads(result.files["record.json"])
    if record["code"]:
        raise qemu.GuestError(f"the agent ended with {record['code']}", record["log"])
    export = result.files["plain.json"].splitlines()
    missing = [] if is_json(export) else ["a line of the export is no JSON object"]
    for tag in ("measured", "more", "burst"):
        missing += missing_lines(export, tag, count)
    return Run(record, figures_of(record), missing, result.wall_seconds)


def table(runs: list[Run]) -> str:
    """The figures of all runs, with floors and Tetragon's."""
    heads = [f"run {number}" for number in range(1, len(runs) + 1)] if len(runs) > 1 else ["now"]
    rows = [["", *heads, "", "floor", "Tetragon"]]
    for name, figure in FIGURES.items():
        values = [f"{run.figures[name] / figure.scale:.2f}" for run in runs]
        floor = "" if figure.floor is None else f"{figure.floor:g}"
        rows.append([figure.title, *values, figure.unit, floor, figure.tetragon])
    for hook in program_costs(runs[0].record):
        values = [f"{program_costs(run.record)[hook] / 1e3:.2f}" for run in runs]
        rows.append([f"BPF at {hook}", *values, "k", "", ""])
    values = [str(len(run.missing)) for run in runs]
    rows.append(["exec and exit lines missing", *values, "", "0", "0"])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        f"{row[0]:{widths[0]}}  "
        + "  ".join(f"{cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    )


def save(run: Run) -> None:
    """Write build/bench.json."""
    OUTPUT.parent.mkdir(exist_ok=True)
    content = {
        "kernel": kernels.get(KERNEL).release,
        "pyz_sha256": hashlib.sha256(PYZ.read_bytes()).hexdigest(),
        "processes": run.record["count"],
        "base_per_process": run.record["base"] / run.record["count"],
        "figures": run.figures,
        "programs": program_costs(run.record),
        "missing": run.missing,
    }
    OUTPUT.write_text(json.dumps(content, indent=2) + "\n")


def main() -> int:
    """Exit code."""
    arguments = _arguments()
    try:
        if arguments.profile:
            print(boot("exec python3 /test/ranking.py", "ranking.py").output)
            return 0
        landed = budget.read() if arguments.check else None
        count = landed.processes if landed else arguments.count
        runs = [measure(count) for _ in range(arguments.repeat)]
    except (BuildError, OSError) as err:
        print(f"bench.guest: {err}", file=sys.stderr)
        return 2
    run = runs[-1]
    print(table(runs))
    base = run.record["base"] / count / 1e3
    print(f"{count} processes a load, base {base:.1f} k each; {run.seconds:.0f} s")
    save(run)
    for line in run.missing[:10]:
        print(f"missing: {line}", file=sys.stderr)
    exceeded = landed.exceeded(run.figures) if landed else []
    for line in exceeded:
        print(f"over budget: {line}", file=sys.stderr)
    if arguments.update and not run.missing:
        budget.write(budget.Budget(count, run.figures))
    return 1 if exceeded or run.missing else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.guest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--check", action="store_true")
    what.add_argument("--update", action="store_true")
    what.add_argument("--profile", action="store_true")
    parser.add_argument("--repeat", type=int, default=1, metavar="BOOTS", help="to see the spread")
    parser.add_argument("--count", type=int, metavar="PROCESSES", help="of a load")
    arguments = parser.parse_args()
    arguments.count = arguments.count or (CHECKED if arguments.update else COUNT)
    return arguments


if __name__ == "__main__":
    sys.exit(main())
