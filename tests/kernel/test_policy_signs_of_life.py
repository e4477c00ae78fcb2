# SPDX-License-Identifier: Apache-2.0
"""The service manager hears of policies that are being loaded: slow machines take long for one."""

from __future__ import annotations

import os
import socket
import time
from typing import TYPE_CHECKING

from tests.support.agent import Agent, until
from tests.support.policy_agent import listed, opened, policy

if TYPE_CHECKING:
    from pathlib import Path

EXTENSION = "EXTEND_TIMEOUT_USEC="


def heard(manager: socket.socket) -> list[str]:
    """The lines that came since the last call."""
    lines: list[str] = []
    while True:
        try:
            lines += manager.recv(65536).decode().split("\n")
        except BlockingIOError:
            return lines


def test_a_start_and_a_policy_that_comes_later(tmp_path: Path) -> None:
    """Time is asked for during the start, and later behind the answer to the watchdog.

    The watchdog is answered by no start: it would wait from then on, for all that a start takes.
    """
    home = tmp_path / "policies"
    home.mkdir()
    (home / "first.yaml").write_text(policy("first", {"tracepoints": [opened("/no")]}))
    address = f"@tetrapy-signs-{os.getpid()}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as manager:
        manager.bind("\0" + address[1:])
        environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "600000000"}
        flags = ("--tracing-policy-dir", str(home))
        with Agent(tmp_path / "agent", *flags, environment=environment) as agent:
            agent.started()
            start: list[str] = []

            def is_ready() -> bool:
                start.extend(heard(manager))
                return "READY=1" in start

            until(is_ready, "the message that it is ready")
            time.sleep(1.1)  # it asks once a second at most
            (home / "later.yaml").write_text(policy("later", {"tracepoints": [opened("/no")]}))
            during: list[str] = []

            def is_loaded() -> bool:
                # Read meanwhile: few messages wait, and what finds no room is lost.
                during.extend(x for x in heard(manager) if not x.startswith("STATUS="))
                return [one["state"] for one in listed(agent)] == ["enabled"] * 2

            until(is_loaded, "the policy")
            during.extend(x for x in heard(manager) if not x.startswith("STATUS="))
            assert agent.stop() == 0
    before = start[: start.index("READY=1")]
    assert "WATCHDOG=1" not in before
    assert any(line.startswith(EXTENSION) for line in before)
    asked = next(at for at, line in enumerate(during) if line.startswith(EXTENSION))
    assert during[asked - 1] == "WATCHDOG=1"
