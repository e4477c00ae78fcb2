# SPDX-License-Identifier: Apache-2.0
"""A rate limit for each thread or process is not used up by one that had its number before."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.policy_agent import count, drained, policy, started

NUMBER = 6_000_000  # no such process is there
# Two processes, one after the other, with a number that was free just now: clone3(2), `set_tid`.
TWINS = """
import ctypes, os, struct, sys
call = ctypes.CDLL(None, use_errno=True).syscall
free = os.fork()
if not free:
    os._exit(0)
os.waitpid(free, 0)
pids = (ctypes.c_int32 * 1)(free)
for _ in range(2):
    words = (ctypes.c_uint64 * 11)(0, 0, 0, 0, 17, 0, 0, 0, ctypes.addressof(pids), 1, 0)
    pid = call(435, ctypes.byref(words), ctypes.sizeof(words))
    if not pid:
        call(121, int(sys.argv[1]))
        call(121, int(sys.argv[1]))
        os._exit(0)
    assert pid == free, os.strerror(ctypes.get_errno())
    os.waitpid(pid, 0)
"""


@pytest.mark.parametrize("scope", ["thread", "process"])
def test_a_number_that_is_given_again(tmp_path: Path, scope: str) -> None:
    """Two processes with the same number are reported once each, of two calls that they make."""
    limit = {"action": "Post", "rateLimit": "1h", "rateLimitScope": scope}
    number = {"index": 5, "operator": "Equal", "values": [str(NUMBER)]}
    hook = {
        "subsystem": "syscalls",
        "event": "sys_enter_getpgid",
        "args": [{"index": 5, "type": "int32"}],
        "selectors": [{"matchArgs": [number], "matchActions": [limit]}],
    }
    with started(tmp_path / "agent", limited=policy("limited", {"tracepoints": [hook]})) as agent:
        agent.started()
        subprocess.run([sys.executable, "-c", TWINS, str(NUMBER)], check=True)
        drained(agent, "done")
        assert count(agent, "process_tracepoint", "limited") == 2
