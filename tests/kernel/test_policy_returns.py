# SPDX-License-Identifier: Apache-2.0
"""Calls that wait for their return: thousands of one user take no other's, nor do those that end in
the function.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import pytest

from tests.support.agent import Agent, until
from tests.support.compile import installed
from tests.support.policy_agent import policy

ROOM = 2048  # RETURNING_CALLS of bpf/hook.h
MANY = 1500
ATTACKER, VICTIM, ANOTHER = 65534, 61234, 61235
WANTED, UNWANTED = 777, 666  # what is returned


class Held:
    """Programs whose threads wait in a function that a policy hooks, and the agent."""

    def __init__(self, agent: Agent, program: Path) -> None:
        self.agent, self._program = agent, program

    @contextmanager
    def threads(self, uid: int, count: int, returned: int) -> Iterator[subprocess.Popen[bytes]]:
        """So many wait; they return at the end, unless they are killed before."""
        command = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups", "--"]
        command += [str(self._program), str(count), str(returned)]
        pipe = subprocess.PIPE
        with subprocess.Popen(command, stdin=pipe, stdout=pipe) as process:
            try:
                out: IO[bytes] = process.stdout  # type: ignore[assignment]
                assert out.readline() == b"ready\n"
                yield process
            finally:
                process.stdin.close()  # type: ignore[union-attr]
                process.wait()

    def calls(self, uid: int) -> tuple[int, int]:
        """How many calls of a user were reported with what they returned, and without."""
        found = [0, 0]
        for line in self.agent.export.read_text().splitlines():
            event: dict[str, Any] = json.loads(line).get("process_uprobe", {})
            if event and event["process"].get("uid") == uid:
                found[len(event["args"]) < 2] += 1  # what is returned is the last argument
        return found[0], found[1]


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    """The agent has a policy that wants calls which return WANTED."""
    for directory in (tmp_path, *tmp_path.parents[:3]):  # others than root must get there
        directory.chmod(0o755)
    target = installed("held", tmp_path)
    hook = {
        "path": str(target),
        "symbols": ["held"],
        "args": [{"index": 0, "type": "int"}],
        "return": True,
        "returnArg": {"index": 0, "type": "int"},
        "selectors": [
            {"matchReturnArgs": [{"index": 0, "operator": "Equal", "values": [str(WANTED)]}]}
        ],
    }
    path = tmp_path / "held.yaml"
    path.write_text(policy("held", {"uprobes": [hook]}))
    with Agent(tmp_path / "agent", "--tracing-policy", str(path)) as agent:
        agent.started()
        yield Held(agent, target)


def test_thousands_that_wait_take_no_others_room(held: Held) -> None:
    """Who came before them and who comes after have their calls reported with what they return."""
    with (
        held.threads(VICTIM, 5, WANTED),
        held.threads(ATTACKER, MANY, UNWANTED),
        held.threads(ANOTHER, 200, WANTED),
        held.threads(ATTACKER, MANY, UNWANTED),
    ):
        pass
    until(lambda: sum(held.calls(VICTIM)) >= 5 and sum(held.calls(ANOTHER)) >= 200, "all calls")
    assert held.calls(VICTIM) == (5, 0)
    assert held.calls(ANOTHER) == (200, 0)
    # Those for which there was no room are reported, since nobody knows what they return.
    reported, without = held.calls(ATTACKER)
    assert reported == 0
    assert without >= 2 * MANY - ROOM


def test_calls_of_threads_that_are_gone_are_taken_out(held: Held) -> None:
    """Killed within the function they never return; then there is room again."""
    for uid in (ATTACKER, ATTACKER + 65536):
        with held.threads(uid, MANY, UNWANTED) as process:
            process.kill()
    tries = 0

    def has_room() -> bool:
        nonlocal tries
        tries += 1
        with held.threads(ATTACKER, 1, WANTED):
            pass
        until(lambda: sum(held.calls(ATTACKER)) > MANY // 4 + tries, "the call")
        return bool(held.calls(ATTACKER)[0])

    until(has_room, "a call of his that is reported with what it returns")
