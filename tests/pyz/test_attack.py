# SPDX-License-Identifier: Apache-2.0
"""An ordinary user's attacks, in short: what can be counted holds on this kernel."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.pyz.conftest import needs_root
from tests.support.agent import ROOT

pytestmark = [needs_root, pytest.mark.alone]

# Storms are short here: a hundred processes of the victim take one second.
STORMS = (
    "KB that ended",
    "a parent's 256 KB",
    "16 KB of",
    "exits, 5",
    "500 uids",
    "to be redacted",
)
CHECKS = (
    "forged",
    "are no containers",
    "out of the files",
    "root of a container",
    "clients of metrics",
    "for metrics",
    "a rate limit used up",
    "flood of calls",
    "40 MB of memory",
)
FILES = ("running file", "packages of the host")


@pytest.mark.parametrize("names", [STORMS, CHECKS, FILES], ids=["storms", "checks", "files"])
def test_no_attack_comes_through(names: tuple[str, ...]) -> None:
    """Every event of the victim, memory and files within their bounds, nobody taken in."""
    command = [sys.executable, "-m", "bench.reliability", "attack", "--victims=100", "--json"]
    done = subprocess.run(
        [*command, *(f"--only={name}" for name in names)],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    figures = json.loads(done.stdout)
    assert len(figures["attacks"]) + len(figures["checks"]) == len(names)
