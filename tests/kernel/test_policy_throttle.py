# SPDX-License-Identifier: Apache-2.0
"""A policy that keeps the agent busy does not tell of who does that, but of others; it says so."""

from __future__ import annotations

import contextlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.support.agent import Agent, until
from tests.support.policy_agent import drained, listed, policy

# System calls that do nothing, with numbers of processes that there cannot be: without end, and
# each number of a range once.
START = """
import ctypes, os, sys, time
uid = int(sys.argv[1])
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
call = ctypes.CDLL(None).syscall
"""
FLOOD = (
    START
    + """
while True:
    call(121, 5000000)
"""
)
CALLS = (
    START
    + """
for number in range(int(sys.argv[2]), int(sys.argv[3])):
    call(121, number)
    time.sleep(0.01)
"""
)
FIRST = 6_000_000  # number of the victim's
FLOODER, VICTIM = 65534, 61234
BLOCK = 3 << 16  # subordinate uids
SPEC: dict[str, Any] = {
    "tracepoints": [
        {
            "subsystem": "syscalls",
            "event": "sys_enter_getpgid",
            "args": [{"index": 5, "type": "int32"}],
            "selectors": [
                {"matchArgs": [{"index": 5, "operator": "GT", "values": ["4999999"]}]},
            ],
        }
    ]
}
SILENT = "A policy is throttled for one owner, whose calls keep the agent busy"
OVER = "A policy is throttled for one owner no longer"


def started(tmp_path: Path, *flags: str) -> Agent:
    """An agent with a small budget for the policy, whose throttles and calls are exported."""
    path = tmp_path / "flood.yaml"
    path.write_text(policy("flood", SPEC))
    flags = ("--tracing-policy", str(path), "--policy-cpu-share", "4", *flags)
    agent = Agent(tmp_path / "agent", *flags)
    agent.started()
    return agent


def program(text: str, *arguments: object, uid: int) -> subprocess.Popen[bytes]:
    """A program in Python, as a user without rights."""
    command = [sys.executable, "-c", text, str(uid), *map(str, arguments)]
    return subprocess.Popen(command)


@contextlib.contextmanager
def flooding(*uids: int) -> Iterator[None]:
    """Somebody calls without end as each of these users."""
    with contextlib.ExitStack() as processes:
        for uid in uids:
            process = processes.enter_context(program(FLOOD, uid=uid))
            processes.callback(process.kill)
        yield


def throttles(agent: Agent) -> list[Any]:
    lines = agent.export.read_text().splitlines()
    return [json.loads(one)["process_throttle"] for one in lines if "process_throttle" in one]


def told_calls(agent: Agent) -> set[int]:
    """Numbers of the victim's calls that were told."""
    found = {int(one) for one in re.findall(r'"int_arg":(\d+)', agent.export.read_text())}
    return {one for one in found if one >= FIRST}


def test_who_floods_is_silent_and_others_are_told(tmp_path: Path) -> None:
    """All calls of another user, before, while and after the flood is throttled; what is not told
    is counted. It is over when the budget has come back.
    """
    with started(tmp_path) as agent:
        with flooding(FLOODER):
            assert program(CALLS, FIRST, FIRST + 50, uid=VICTIM).wait() == 0
            agent.wait_for_log(SILENT)
            assert program(CALLS, FIRST + 50, FIRST + 400, uid=VICTIM).wait() == 0
            (silent,) = until(lambda: listed(agent)[0]["silent"], "what is listed")
        drained(agent, "over")
        assert told_calls(agent) == set(range(FIRST, FIRST + 400))
        agent.wait_for_log(OVER)
        assert "A policy is throttled:" not in agent.log
        told = until(lambda: throttles(agent)[1:] and throttles(agent), "both events")
        assert not listed(agent)[0]["silent"]
    assert (silent["uid"], silent["cgroup"]) == (str(FLOODER), "")
    assert silent["since"].endswith("Z")
    assert int(silent["unreported"]) > 1000
    assert told == [
        {"type": "THROTTLE_START", "cgroup": f"policy static//flood, uid {FLOODER}"},
        {"type": "THROTTLE_STOP", "cgroup": f"policy static//flood, uid {FLOODER}"},
    ]


def test_uids_of_one_block_are_one_owner(tmp_path: Path) -> None:
    """Whoever has subordinate uids floods as many of them."""
    with started(tmp_path) as agent, flooding(*range(BLOCK + 1, BLOCK + 5)):
        agent.wait_for_log(f'uid={BLOCK}-{BLOCK + 65535} cgroup=""')
        assert program(CALLS, FIRST, FIRST + 200, uid=VICTIM).wait() == 0
        drained(agent, "over")
        assert told_calls(agent) == set(range(FIRST, FIRST + 200))


def test_uids_of_a_cgroup_are_one_owner(tmp_path: Path) -> None:
    """Nobody of them stands out; root in the same cgroup is not meant."""
    with started(tmp_path) as agent, flooding(*range(50_001, 50_013)):
        agent.wait_for_log('uid="" cgroup=')
        assert program(CALLS, FIRST, FIRST + 200, uid=0).wait() == 0
        drained(agent, "over")
        assert told_calls(agent) == set(range(FIRST, FIRST + 200))
