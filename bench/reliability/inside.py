# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest, as /test/words.json says; what it measures ends in /result/figures.json."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from bench.reliability import attack, attacks, stop
from bench.reliability.loads import Loads

_TEST = Path("/test")
_PYZ = _TEST / "tetrapy.pyz"
_PLACE = Path("/tmp/reliability")  # noqa: S108 - nobody else is in the guest


def main() -> None:
    """Measure; nothing else runs here."""
    what, *words = json.loads((_TEST / "words.json").read_text())
    figures = _attacks(*words) if what == "attack" else _stop(float(words[0]))
    Path("/result/figures.json").write_text(json.dumps(figures))


def _stop(seconds: float) -> dict[str, Any]:
    loads = Loads(_TEST / "load", _TEST / "nothing")
    return stop.stop(_PYZ, _PLACE, loads, seconds, [])


def _attacks(victims: str, short: str, *names: str) -> dict[str, Any]:
    programs = attack.Programs(_TEST / "attack", _TEST / "nothing")
    rows = {}
    for one in attacks.named(list(names), short=bool(int(short))):
        rows[one.name] = attack.attack(_PYZ, _PLACE, programs, one, int(victims), [])
        shutil.rmtree(_PLACE)  # files are in memory here
    return rows


if __name__ == "__main__":
    main()
