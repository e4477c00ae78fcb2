# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest, as /test/words.json says; what it measures ends in /result/figures.json."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

from bench.reliability import attack, attacks, burst, stop, storm
from bench.reliability.loads import Loads

_TEST = Path("/test")
_PYZ = _TEST / "tetrapy.pyz"
_PLACE = Path("/tmp/reliability")  # noqa: S108 - nobody else is in the guest
# Processes in flight change with each turn, and a guest is slow: all have one in a minute. In each
# second there is a turn at most.
_STORM_TURN = 500


def main() -> None:
    """Measure; nothing else runs here."""
    what, *words = json.loads((_TEST / "words.json").read_text())
    figures = _MEASURES[what](*words)
    Path("/result/figures.json").write_text(json.dumps(figures))


def _stop(seconds: str) -> dict[str, Any]:
    loads = Loads(_TEST / "load", _TEST / "nothing")
    return stop.stop(_PYZ, _PLACE, loads, float(seconds), [])


def _burst(bursts: str) -> dict[str, Any]:
    loads = Loads(_TEST / "load", _TEST / "nothing")
    return burst.burst(_PYZ, _PLACE, loads, int(bursts))


def _storm(minutes: str) -> dict[str, Any]:
    loads = Loads(_TEST / "load", _TEST / "nothing")
    return storm.storm(_PYZ, _PLACE, loads, float(minutes), _STORM_TURN, [])


def _attacks(victims: str, short: str, *names: str) -> dict[str, Any]:
    programs = attack.Programs(_TEST / "attack", _TEST / "nothing")
    rows = {}
    for one in attacks.named(list(names), short=bool(int(short))):
        rows[one.name] = attack.attack(_PYZ, _PLACE, programs, one, int(victims), [])
        shutil.rmtree(_PLACE)  # files are in memory here
    return rows


_MEASURES: dict[str, Callable[..., dict[str, Any]]] = {
    "attack": _attacks,
    "burst": _burst,
    "stop": _stop,
    "storm": _storm,
}

if __name__ == "__main__":
    main()
