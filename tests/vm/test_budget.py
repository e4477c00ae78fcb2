# SPDX-License-Identifier: Apache-2.0
"""What an event costs. Instructions of a deterministic guest: what else runs does not matter."""

from __future__ import annotations

import subprocess
import sys

from tests.support.agent import ROOT


def test_nothing_costs_more_than_when_the_last_change_landed() -> None:
    """Each figure is within bench/budget.json, and no event of the loads is missing."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.guest", "--check"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
