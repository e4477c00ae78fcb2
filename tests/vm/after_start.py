# SPDX-License-Identifier: Apache-2.0
"""Runs in a guest, in a process of its own: what a sensor that is attached can do with few rights.

    after_start.py PYZ NAME,NAME...

Loads and attaches the base sensor out of the .pyz, keeps these capabilities only, and prints as
JSON for each thing that a running agent asks the kernel for whether it was answered.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any

sys.path.insert(0, sys.argv[1])

from tetrapy.config.sources import combine
from tetrapy.daemon import start
from tetrapy.errors import TetrapyError
from tetrapy.kernel import capabilities, privilege
from tetrapy.sensors.base import BaseSource


def drains(sensor: BaseSource) -> bool:
    """Whether an exec of now arrives."""
    subprocess.run(["/bin/true", "after-start"], check=True)
    return any(b"after-start" in data for data in sensor.drain(10_000, everything=True))


def answers(ask: Callable[[], Any]) -> bool:
    try:
        return ask() is not False
    except (OSError, TetrapyError):
        return False


def main() -> None:
    settings = combine({}, {})
    privilege.lift_memory_lock_limit()
    options = start.sensor_options(settings, start.wanted_details(settings), None)
    sensor = BaseSource(options)
    sensor.attach()
    # Signalling it would take another capability; it ends with its input.
    other = subprocess.Popen(["/bin/cat"], user=1000, stdin=subprocess.PIPE)
    subprocess.run(["/bin/true"], check=True)  # by now the other one has become cat
    capabilities.drop_all_but(f"CAP_{name}" for name in filter(None, sys.argv[2].split(",")))
    found = {
        "events": answers(lambda: drains(sensor)),
        "losses": answers(sensor.buffer_losses),
        "skipped runs": answers(lambda: any(sensor.programs())),
        "process map": answers(sensor.process_map),
        "forgetting processes": answers(lambda: sensor.forget_gone(lambda pid: False)),
        "other users' programs": answers(lambda: os.readlink(f"/proc/{other.pid}/exe")),
        "detaching": answers(sensor.detach),
    }
    other.communicate()
    print(json.dumps(found))


if __name__ == "__main__":
    main()
