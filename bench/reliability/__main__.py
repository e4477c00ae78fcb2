# SPDX-License-Identifier: Apache-2.0
"""Reliability, measured on this machine. As root.

    python3 -m bench.reliability storm [--minutes 30] [--rate PROCESSES_A_SECOND]
    python3 -m bench.reliability kills [--rounds 200] [--seed NUMBER]
    python3 -m bench.reliability stop  [--seconds 10]
    python3 -m bench.reliability attack [--short] [--only NAME] [--victims 500]

storm: processes start and end as fast as they can (or at a rate) while small files are rotated and
compressed; every event of every process has to be in one of the files once. kills: the agent is
killed at a random moment under load and started again with the same files; every line of every
file has to be whole, and nothing of a dead agent may be left in the kernel. stop: the agent is
stopped (SIGSTOP) under load until its buffer overflows; what is missing has to be what it tells.
attack: an ordinary user does what is expensive to an observer; no event of another user may be
missing, and memory and files stay within their bounds.

Only processes of the loads count. Exit codes: 0, 1 when something is wrong, 2 when nothing was
measured.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench.reliability import attack, attacks, checks, kills, stop, storm
from bench.reliability.loads import Loads
from tools.errors import BuildError
from tools.fetch import ROOT

PYZ = ROOT / "dist/tetrapy.pyz"


def main() -> int:
    """Exit code."""
    arguments = _arguments()
    if not arguments.pyz.exists():
        print(f"bench.reliability: there is no {arguments.pyz}: make build", file=sys.stderr)
        return 2
    if os.geteuid() != 0:
        print("bench.reliability: root is needed to load BPF programs", file=sys.stderr)
        return 2
    try:
        with tempfile.TemporaryDirectory(prefix="tetrapy-reliability-") as scratch:
            figures, wrong = _measure(arguments, arguments.directory or Path(scratch))
    except (BuildError, OSError, subprocess.SubprocessError) as err:
        print(f"bench.reliability: {err}", file=sys.stderr)
        return 2
    if arguments.what == "attack" and not arguments.json:
        print(attack.table(figures["attacks"], arguments.victims))
        for name, missed in figures["checks"].items():
            print(f"{name:45} {'; '.join(missed) or 'holds'}")
    else:
        _show(figures, as_json=arguments.json)
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    return 1 if wrong else 0


def _measure(arguments: argparse.Namespace, directory: Path) -> tuple[dict[str, Any], list[str]]:
    pyz, flags = arguments.pyz.resolve(), arguments.flag
    if arguments.what == "attack":
        return _attack(arguments, directory)
    loads = Loads.built(directory / "programs")
    if arguments.what == "storm":
        figures = storm.storm(pyz, directory, loads, arguments.minutes, arguments.rate, flags)
        return figures, storm.failures(figures)
    if arguments.what == "kills":
        seed = arguments.seed or random.SystemRandom().randrange(1, 1 << 32)
        figures = kills.kills(pyz, directory, loads, arguments.rounds, seed, flags)
        return figures, kills.failures(figures)
    figures = stop.stop(pyz, directory, loads, arguments.seconds, flags)
    return figures, stop.failures(figures)


def _attack(arguments: argparse.Namespace, directory: Path) -> tuple[dict[str, Any], list[str]]:
    directory.chmod(0o755)  # the attackers' programs are in it
    programs = attack.Programs.built(directory / "programs")
    rows, wrong = {}, []
    for number, one in enumerate(attacks.named(arguments.only, short=arguments.short)):
        place = directory / str(number)
        row = attack.attack(
            arguments.pyz.resolve(), place, programs, one, arguments.victims, arguments.flag
        )
        rows[one.name] = row
        wrong += [f"{one.name}: {line}" for line in attack.failures(row)]
    found = checks.run_all(
        arguments.pyz.resolve(), directory, programs, arguments.only, short=arguments.short
    )
    wrong += [f"{name}: {line}" for name, missed in found.items() for line in missed]
    return {"attacks": rows, "checks": found}, wrong


def _show(figures: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        print(json.dumps(figures, indent=2))
        return
    for name, value in figures.items():
        if name == "series":
            continue
        shown = f"{value:.2f}" if isinstance(value, float) else str(value)
        print(f"{name:45} {shown:>12}")


def _arguments() -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--pyz", type=Path, default=PYZ)
    common.add_argument("--directory", type=Path, help="where files are kept; default: nowhere")
    common.add_argument("--flag", action="append", default=[], help="one more of the agent")
    common.add_argument("--json", action="store_true")
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.reliability",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    what = parser.add_subparsers(dest="what", required=True)
    command = what.add_parser("storm", parents=[common])
    command.add_argument("--minutes", type=float, default=30)
    command.add_argument("--rate", type=int, default=0, help="processes a second; 0 is no limit")
    command = what.add_parser("kills", parents=[common])
    command.add_argument("--rounds", type=int, default=200)
    command.add_argument("--seed", type=int, default=0)
    command = what.add_parser("stop", parents=[common])
    command.add_argument("--seconds", type=float, default=10)
    command = what.add_parser("attack", parents=[common])
    command.add_argument("--short", action="store_true", help="what CI runs")
    command.add_argument("--only", action="append", default=[], help="names that contain this")
    command.add_argument("--victims", type=int, default=attack.VICTIMS)
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
