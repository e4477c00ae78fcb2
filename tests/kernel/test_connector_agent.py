# SPDX-License-Identifier: Apache-2.0
"""The agent on the process connector in place of eBPF, as an operator starts it."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import Agent
from tests.support.events import check_stream

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

LOAD = (
    "import os, subprocess, sys, threading\n"
    "for number in range(60):\n"
    "    subprocess.run(['/bin/sh', '-c', 'true; exec /bin/sh -c \"exit 3\"', sys.argv[1]])\n"
    "    threading.Thread(target=int).start()\n"
    "    child = os.fork()\n"
    "    if not child: os._exit(5)\n"
    "    os.waitpid(child, 0)\n"
)


@pytest.fixture(scope="module")
def agent(tmp_path_factory) -> Iterator[Agent]:
    with Agent(tmp_path_factory.mktemp("agent"), "--sensor=connector") as running:
        yield running.started()
        assert running.stop() == 0, running.errors
    assert not running.errors


def test_log(agent: Agent) -> None:
    """One line names the sensor, why it is used, and what it cannot see."""
    (line,) = [line for line in agent.log.splitlines() if "process connector, not" in line]
    assert line.startswith("level=warn ")
    assert 'because="the settings ask for it"' in line
    assert "without path and arguments" in line


def test_stream(agent: Agent) -> None:
    """Every event is as those of eBPF in form, order and links; of the processes of a load, which
    all were forked while the agent watched, none is missing.
    """
    with subprocess.Popen([sys.executable, "-c", LOAD, "load"]) as load:
        assert load.wait() == 0
    agent.fence()
    events = agent.events()
    check_stream(events)
    assert all("procFS" in event.flags for event in events if event.id)
    children = [event for event in events if event.parent and event.parent["pid"] == load.pid]
    ended = [event.status for event in children if event.kind == "exit"]
    assert sorted(ended) == [5] * 60
    assert len({event.pid for event in children if event.kind == "exec"}) == 60


def test_nothing_is_lost(tmp_path: Path) -> None:
    """The statistics at the end say that all was received and nothing lost."""
    with Agent(tmp_path, "--sensor=connector") as agent:
        agent.started()
        subprocess.run([sys.executable, "-c", LOAD, "load"], check=True)
        assert agent.stop() == 0
    statistics = agent.statistics()
    assert (statistics["lost"], statistics["errors"]) == (0, 0)
    assert statistics["received"] >= 60 * 3
    assert len(agent.events()) >= 60 * 3
