# SPDX-License-Identifier: Apache-2.0
"""Selectors that ask who a process descends from, where one user has thousands of processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.kernel.test_policy_lineage import BASE, hook, reported
from tests.support.agent import until
from tests.support.policy_agent import drained, policy, started

ROOM = 32768  # LINEAGE_PROCESSES of bpf/hook.h
# A user's processes, and calls of theirs; those of a crowd have ended, and are remembered until
# their parent takes note of it.
CROWD = """
import ctypes, os, sys
uid, crowd, *numbers = map(int, sys.argv[1:])
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
for _ in range(crowd):
    if not os.fork():
        os._exit(0)
for number in numbers:
    if not os.fork():
        ctypes.CDLL(None).syscall(121, number)
        os._exit(0)
os.write(1, b"ready")
os.read(0, 1)
"""


@pytest.mark.alone
def test_a_crowd_takes_no_others_room(tmp_path: Path) -> None:
    """Of half as many processes as there is room for, those of others are still known: nobody else
    counts as what filters want, who is acted on then.
    """
    binary = {"operator": "In", "values": ["/nobody/runs/this"], "followChildren": True}
    text = policy("crowd", {"tracepoints": [hook({"matchBinaries": [binary]})]})

    def made(uid: int, crowd: int, number: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-c", CROWD, str(uid), str(crowd), str(BASE + number)]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert process.stdout is not None
        assert process.stdout.read(5) == b"ready"
        return process

    with started(tmp_path / "agent", crowd=text) as agent:
        agent.started()
        crowd = made(65534, ROOM // 2 + 200, 1)
        made(61234, 0, 2).communicate()
        drained(agent, "done")
        assert reported(agent, "crowd") == [1]
        crowd.communicate()
        last = 2

        def is_known_again() -> bool:
            nonlocal last
            last += 1
            made(65534, 0, last).communicate()
            drained(agent, f"after {last}")
            return last not in reported(agent, "crowd")

        until(is_known_again, "a process of his that is known, when the others are gone")
