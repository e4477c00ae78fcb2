"""Runs in a guest: inside.py SECONDS; what it measures ends in /result/figures.json."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from bench.reliability import stop
from bench.reliability.loads import Loads


def main() -> None:
    """Measure; nothing else runs here."""
    place = Path("/tmp/reliability")  # noqa: S108 - nobody else is in the guest
    loads = Loads(Path("/test/load"), Path("/test/nothing"))
    figures = stop.stop(Path("/test/tetrapy.pyz"), place, loads, float(sys.argv[1]), [])
    Path("/result/figures.json").write_text(json.dumps(figures))


if __name__ == "__main__":
    main()
