# SPDX-License-Identifier: Apache-2.0
"""Running dpkg-deb and rpmbuild so that the same input gives the same bytes."""

from __future__ import annotations

import os
import subprocess

from tools.errors import BuildError
from tools.release.tree import EPOCH


def run(command: list[str]) -> None:
    """Run it; raises BuildError with its own words."""
    environment = {**os.environ, "SOURCE_DATE_EPOCH": str(EPOCH), "LC_ALL": "C", "TZ": "UTC"}
    try:
        done = subprocess.run(
            command,
            check=False,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
        )
    except FileNotFoundError as err:
        raise BuildError(f"{command[0]} is not here: make setup") from err
    if done.returncode:
        words = (done.stderr or done.stdout).strip().splitlines()[-5:]
        raise BuildError(f"{command[0]}: exit code {done.returncode}: {'; '.join(words)}")
