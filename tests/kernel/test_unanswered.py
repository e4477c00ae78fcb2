# SPDX-License-Identifier: Apache-2.0
"""A user who keeps all from reading his process's memory, by a FUSE that does not answer.

The agent reports what can be known of that process without it, says what is missing, and goes on.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support.agent import TIMEOUT, Agent, until
from tests.support.compile import installed

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.events import Event

WARNING = "Processes keep others from reading their memory"


class Attacker:
    """The user's processes."""

    def __init__(self, place: Path, tag: str) -> None:
        directory = place / tag
        directory.mkdir()
        program = installed("unanswered", directory)
        self.tag = tag
        self.process = subprocess.Popen(
            [program, directory, tag],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
        )
        pids = dict(self._line().split("=") for _ in range(2))
        self.holder, self.heir = int(pids["holder"]), int(pids["heir"])
        self._holds(self.holder)

    def _line(self) -> str:
        line = self.process.stdout.readline().strip()
        assert line, "the attack ended"
        return line

    def _holds(self, pid: int) -> None:
        """Return when it waits for the page, with the lock held."""

        def waits() -> bool:
            stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
            return stat.rpartition(")")[2].split()[0] == "D"

        until(waits, f"{pid} to hold the lock of its memory")

    def execute(self) -> None:
        """Have the heir execute this program anew."""
        self.process.stdin.close()
        assert self._line() == "again"

    def close(self) -> None:
        with self.process as process:
            process.kill()


@pytest.fixture
def attacker(place: Path, request: pytest.FixtureRequest) -> Iterator[Attacker]:
    if not Path("/dev/fuse").exists():
        pytest.skip("this kernel has no FUSE")
    own = Attacker(place, f"holds-{request.node.name[5:15]}-{os.getpid()}")
    yield own
    own.close()


def event_of(agent: Agent, pid: int, kind: str = "exec") -> Event:
    """The last event of a process."""
    agent.fence()
    return [one for one in agent.events() if one.pid == pid and one.kind == kind][-1]


def stops(agent: Agent) -> None:
    """With helpers that wait still."""
    assert WARNING in agent.log
    assert agent.stop() == 0, agent.errors
    assert not agent.errors


@pytest.mark.parametrize("sensor", ["ebpf", "connector"])
def test_start(attacker: Attacker, tmp_path: Path, sensor: str) -> None:
    """The process was there before: the start goes on, and all others are read."""
    with Agent(tmp_path, f"--sensor={sensor}") as agent:
        agent.started()
        held, other = event_of(agent, attacker.holder), event_of(agent, attacker.process.pid)
        for event, arguments in ((held, None), (other, str(attacker.tag))):
            assert event.process["binary"].endswith("/unanswered")
            assert event.process["uid"] == 65534
            assert ("errorArgs" in event.flags) == (arguments is None)
            assert (arguments or "") in event.process.get("arguments", "")
        assert "arguments" not in held.process
        stops(agent)


def test_connector(attacker: Attacker, tmp_path: Path) -> None:
    """The process executes while the agent watches."""
    with Agent(tmp_path, "--sensor=connector") as agent:
        agent.started()
        # It is to hold the lock before anybody can look.
        agent.send(signal.SIGSTOP)
        attacker.execute()
        attacker._holds(attacker.heir)
        agent.send(signal.SIGCONT)
        event = event_of(agent, attacker.heir)
        assert event.process["binary"].endswith("/unanswered")
        assert "arguments" not in event.process
        assert {"errorArgs", "miss"} <= set(event.flags)
        stops(agent)


def test_lost_parent(attacker: Attacker, tmp_path: Path) -> None:
    """The agent does not know the parent any more, and looks it up."""
    with Agent(tmp_path, "--sensor=ebpf", "--process-cache-size=4") as agent:
        agent.started()
        for _ in range(8):
            subprocess.run(["/bin/true"], check=True, timeout=TIMEOUT)
        agent.fence()
        attacker.execute()
        event = event_of(agent, attacker.heir)
        assert event.process["arguments"].split()[1] == attacker.tag
        assert event.parent["pid"] == attacker.holder
        assert "errorArgs" in event.parent["flags"]
        stops(agent)


def test_killed(attacker: Attacker, tmp_path: Path) -> None:
    """Neither does a helper that waits keep the agent from being killed."""
    with Agent(tmp_path, "--sensor=ebpf") as agent:
        agent.started()
        assert WARNING in agent.log
        assert agent.stop(signal.SIGKILL) == -signal.SIGKILL
    assert attacker.process.poll() is None
