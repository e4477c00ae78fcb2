# SPDX-License-Identifier: Apache-2.0
"""SIGHUP and SIGUSR1 to the built file."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.agent import PYZ, Agent

pytestmark = pytest.mark.root


def seen(agent: Agent, actor: Path, tag: str) -> list[str]:
    """What is reported of a command."""
    subprocess.run([actor, tag, "exit", "0"], check=True)
    return [event.kind for event in agent.tagged(tag)]


def test_settings_are_read_again(tmp_path: Path, actor: Path) -> None:
    """A drop-in that is written while the agent runs takes effect with SIGHUP."""
    directory = tmp_path / "conf.d"
    directory.mkdir()
    flags = ("--sensor=ebpf", "--config-dir", str(directory))
    with Agent(tmp_path / "agent", *flags, code=PYZ) as agent:
        agent.started()
        assert seen(agent, actor, "before-x") == ["exec", "exit"]
        denied = f'{{"binary_regex":["^{actor}$"],"event_set":["PROCESS_EXEC"]}}'
        (directory / "export-denylist").write_text(denied)
        agent.send(signal.SIGHUP)
        agent.wait_for_log("Settings are read again")
        assert seen(agent, actor, "after-x") == ["exit"]
        (directory / "export-denylist").write_text("{")
        agent.send(signal.SIGHUP)
        agent.wait_for_log("Settings are not read again")
        assert seen(agent, actor, "still-x") == ["exit"]
        assert agent.stop() == 0
    assert agent.errors == ""


def test_the_log_level_is_changed_at_run_time(tmp_path: Path) -> None:
    """SIGUSR1 has everything logged, and once more as it was; the agent goes on."""
    quiet = {"TETRAPY_DEBUG": "false"}
    with Agent(tmp_path, "--sensor=ebpf", code=PYZ, environment=quiet) as agent:
        agent.started()
        for level in ("debug", "info"):
            agent.send(signal.SIGUSR1)
            agent.wait_for_log(f"Log level is now {level}")
        agent.fence()
        assert agent.stop() == 0
