# SPDX-License-Identifier: Apache-2.0
"""Losses reported exactly, and attacks: measured in a guest with two CPUs where nothing else runs.

    python3 -m bench.reliability.guest [stop] [--kernel 6.1] [--seconds 10]
    python3 -m bench.reliability.guest burst [--kernel 7] [--bursts 10]
    python3 -m bench.reliability.guest storm [--kernel 7] [--minutes 1]
    python3 -m bench.reliability.guest attack [--kernel 6.1] [--short] [--only NAME] [--victims 500]

stop: what is reported and what is lost must make, together, every exec and every exit that
happened. burst: processes, a thousand in flight; none may be lost or reported twice.
storm, attack: as of `python3 -m bench.reliability`, whose exit codes these are, too.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import programs
from bench.reliability import attack, burst, stop, storm
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.guest import kernels, qemu

PYZ = ROOT / "dist/tetrapy.pyz"
HERE = Path(__file__).resolve().parent
_INSIDE = """__init__ attack attacks burst cgroups checks deceptions follower inside life loads
reader setting stalls stop storm watched""".split()
_MEMORY = 2048  # MiB: files are in it


def measure(kernel: str, seconds: float, pyz: Path = PYZ) -> dict[str, Any]:
    """The figures of bench/reliability/stop.py, of a guest. Raises BuildError."""
    return _boot(kernel, pyz, ["stop", str(seconds)])


def burst_of(kernel: str, bursts: int, pyz: Path = PYZ) -> dict[str, Any]:
    """The figures of bench/reliability/burst.py, of a guest. Raises BuildError."""
    return _boot(kernel, pyz, ["burst", str(bursts)])


def storm_of(kernel: str, minutes: float, pyz: Path = PYZ) -> dict[str, Any]:
    """The figures of bench/reliability/storm.py, of a guest. Raises BuildError."""
    return _boot(kernel, pyz, ["storm", str(minutes)])


def attacked(
    kernel: str, victims: int, names: list[str], *, short: bool, pyz: Path = PYZ
) -> dict[str, dict[str, Any]]:
    """The figures of bench/reliability/attack.py by attack, of a guest. Raises BuildError."""
    return _boot(kernel, pyz, ["attack", str(victims), str(int(short)), *names])


def _boot(kernel: str, pyz: Path, words: list[str]) -> dict[str, Any]:
    if not pyz.exists():
        raise BuildError(f"there is no {pyz}: make build")
    with tempfile.TemporaryDirectory(prefix="tetrapy-reliability-") as scratch:
        load, nothing = programs.build(Path(scratch))
        files: dict[str, qemu.Content] = {
            "/test/tetrapy.pyz": pyz,
            "/test/load": load,
            "/test/nothing": nothing,
            "/test/attack": programs.build_attack(Path(scratch)),
            "/test/words.json": json.dumps(words),
            "/test/tools/errors.py": ROOT / "tools/errors.py",
            **{f"/test/bench/reliability/{name}.py": HERE / f"{name}.py" for name in _INSIDE},
        }
        script = "cd /test && exec python3 -m bench.reliability.inside"
        result = qemu.run(kernels.get(kernel), script, files, smp=2, memory=_MEMORY)
    if "figures.json" not in result.files:
        raise qemu.GuestError(f"nothing was measured: {result.output[-2000:]}", result.console)
    figures: dict[str, Any] = json.loads(result.files["figures.json"])
    return figures


def main() -> int:
    """Exit code."""
    arguments = _arguments()
    try:
        if arguments.what == "attack":
            return _attacked(arguments)
        if arguments.what == "burst":
            figures = burst_of(arguments.kernel, arguments.bursts, arguments.pyz)
        elif arguments.what == "storm":
            figures = storm_of(arguments.kernel, arguments.minutes, arguments.pyz)
        else:
            figures = measure(arguments.kernel, arguments.seconds, arguments.pyz)
    except BuildError as err:
        print(f"bench.reliability.guest: {err}", file=sys.stderr)
        return 2
    for name, value in figures.items():
        if not isinstance(value, list):
            print(f"{name:45} {value:>12}")
    if arguments.what == "burst":
        return _judged(burst.failures(figures))
    if arguments.what == "storm":
        return _judged(storm.failures(figures))
    return _judged(stop.failures(figures, alone=True))


def _attacked(arguments: argparse.Namespace) -> int:
    rows = attacked(
        arguments.kernel,
        arguments.victims,
        arguments.only,
        short=arguments.short,
        pyz=arguments.pyz,
    )
    print(attack.table(rows, arguments.victims))
    return _judged([f"{name}: {x}" for name, row in rows.items() for x in attack.failures(row)])


def _judged(wrong: list[str]) -> int:
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.reliability.guest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    measured = ("stop", "burst", "storm", "attack")
    parser.add_argument("what", nargs="?", choices=measured, default=measured[0])
    parser.add_argument("--kernel", default="6.1", help="its name in tests/vm/kernels.toml")
    parser.add_argument("--seconds", type=float, default=10, help="of `stop`")
    parser.add_argument("--bursts", type=int, default=10)
    parser.add_argument("--minutes", type=float, default=1, help="of `storm`")
    parser.add_argument("--short", action="store_true", help="the attacks that CI runs")
    parser.add_argument("--only", action="append", default=[], help="names that contain this")
    parser.add_argument("--victims", type=int, default=attack.VICTIMS)
    parser.add_argument("--pyz", type=Path, default=PYZ)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
