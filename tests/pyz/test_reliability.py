# SPDX-License-Identifier: Apache-2.0
"""The commands that measure reliability, in short: they work, and find nothing wrong."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from tests.pyz.conftest import needs_root
from tests.support.agent import ROOT

pytestmark = [needs_root, pytest.mark.alone]


@pytest.mark.parametrize(
    "arguments",
    [
        ("storm", "--minutes=0.1", "--rate=300"),
        ("kills", "--rounds=4"),
        ("stop", "--seconds=1", "--flag=--rb-size-total=256K"),
    ],
    ids=["storm", "kills", "stop"],
)
def test_nothing_is_wrong(arguments: tuple[str, ...]) -> None:
    """Exit code 0 and figures that are some."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.reliability", *arguments, "--json"],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["exit code"] == 0
