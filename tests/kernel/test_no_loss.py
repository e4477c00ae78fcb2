# SPDX-License-Identifier: Apache-2.0
"""A burst of processes: every one of them is reported, once."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

import pytest

from bench import programs
from bench.figures import missing_lines
from tests.kernel.conftest import FLAVOURS
from tests.support.agent import TIMEOUT, Agent

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.alone

PROCESSES = 3000
IN_FLIGHT = 1000


@pytest.mark.parametrize("flavour", FLAVOURS)
def test_burst(flavour: str, tmp_path: Path) -> None:
    """Of 3000 processes, 1000 of them at a time, each has one exec and one exit event."""
    load, target = programs.build(tmp_path / "programs")
    command = [load, PROCESSES, IN_FLIGHT, target, "burst"]
    # The buffer of each CPU holds the whole burst, so that the agent's speed decides nothing.
    with Agent(tmp_path, "--rb-size", "4M", *FLAVOURS[flavour]) as agent:
        agent.started()
        subprocess.run([str(word) for word in command], check=True, timeout=TIMEOUT)
        agent.fence()
        assert missing_lines(agent.lines(), "burst", PROCESSES) == []
        assert agent.stop() == 0
        statistics = agent.statistics()
    assert (statistics["lost"], statistics["errors"]) == (0, 0)
