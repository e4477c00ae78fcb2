# SPDX-License-Identifier: Apache-2.0
"""A policy that keeps the agent busy tells of a part of what it sees, and says so."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.agent import Agent, until
from tests.support.policy_agent import policy

# A system call that does nothing, without end, with a number that nobody else has.
FLOOD = """
import ctypes
call = ctypes.CDLL(None).syscall
while True:
    call(121, 4321)
"""
SELECTOR = {"matchArgs": [{"index": 5, "operator": "Equal", "values": ["4321"]}]}
SPEC: dict[str, Any] = {
    "tracepoints": [
        {
            "subsystem": "syscalls",
            "event": "sys_enter_getpgid",
            "args": [{"index": 5, "type": "int32"}],
            "selectors": [SELECTOR],
        }
    ]
}


def throttles(agent: Agent) -> list[Any]:
    lines = agent.export.read_text().splitlines()
    return [json.loads(one)["process_throttle"] for one in lines if "process_throttle" in one]


def test_a_flood_is_throttled(tmp_path: Path) -> None:
    """It is told in the log and as an event, and over when the budget has come back."""
    path = tmp_path / "flood.yaml"
    path.write_text(policy("flood", SPEC))
    flags = ["--tracing-policy", str(path), "--policy-cpu-share", "2", "--export-allowlist"]
    wanted = '{"event_set":["PROCESS_THROTTLE"]}'
    with Agent(tmp_path / "agent", *flags, wanted) as agent:
        agent.started()
        with subprocess.Popen([sys.executable, "-c", FLOOD]) as process:
            agent.wait_for_log("A policy is throttled:")
            process.kill()
        agent.wait_for_log("A policy is throttled no longer")
        told = until(lambda: throttles(agent)[1:] and throttles(agent), "both events")
    assert told == [
        {"type": "THROTTLE_START", "cgroup": "policy static//flood"},
        {"type": "THROTTLE_STOP", "cgroup": "policy static//flood"},
    ]
