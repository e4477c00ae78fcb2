"""Losses told exactly: the agent is stopped under load in a guest where nothing else runs.

    python3 -m bench.reliability.guest [--kernel 6.1] [--seconds 10]

What is told and what is lost must make, together, every exec and every exit that happened. Exit
codes as of `python3 -m bench.reliability`.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from bench import programs
from bench.reliability import stop
from tools.errors import BuildError
from tools.fetch import ROOT
from tools.guest import kernels, qemu

PYZ = ROOT / "dist/tetrapy.pyz"
HERE = Path(__file__).resolve().parent
_INSIDE = ("__init__.py", "inside.py", "loads.py", "reader.py", "stop.py", "watched.py")


def measure(kernel: str, seconds: float, pyz: Path = PYZ) -> dict[str, Any]:
    """The figures of bench/reliability/stop.py, of a guest. Raises BuildError."""
    if not pyz.exists():
        raise BuildError(f"there is no {pyz}: make build")
    with tempfile.TemporaryDirectory(prefix="tetrapy-reliability-") as scratch:
        load, nothing = programs.build(Path(scratch))
        files: dict[str, qemu.Content] = {
            "/test/tetrapy.pyz": pyz,
            "/test/load": load,
            "/test/nothing": nothing,
            "/test/tools/errors.py": ROOT / "tools/errors.py",
            **{f"/test/bench/reliability/{name}": HERE / name for name in _INSIDE},
        }
        script = f"cd /test && exec python3 -m bench.reliability.inside {seconds}"
        result = qemu.run(kernels.get(kernel), script, files, smp=2)
    if "figures.json" not in result.files:
        raise qemu.GuestError(f"nothing was measured: {result.output[-2000:]}", result.console)
    figures: dict[str, Any] = json.loads(result.files["figures.json"])
    return figures


def main() -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(
        prog="python3 -m bench.reliability.guest",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--kernel", default="6.1", help="its name in tests/vm/kernels.toml")
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--pyz", type=Path, default=PYZ)
    arguments = parser.parse_args()
    try:
        figures = measure(arguments.kernel, arguments.seconds, arguments.pyz)
    except BuildError as err:
        print(f"bench.reliability.guest: {err}", file=sys.stderr)
        return 2
    for name, value in figures.items():
        print(f"{name:45} {value:>12}")
    wrong = stop.failures(figures, alone=True)
    for line in wrong:
        print(f"wrong: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
