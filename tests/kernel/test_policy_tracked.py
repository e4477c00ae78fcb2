# SPDX-License-Identifier: Apache-2.0
"""Whose a socket is, where one user has more of them than are remembered."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.agent import Agent
from tests.support.policy_agent import drained, policy, started

ROOM = 32768  # TRACKED_SETS * TRACKED_WAYS of bpf/hook.h
ATTACKER, VICTIM = 65534, 61234
LISTENING, CLOSED = 10, 7  # include/net/tcp_states.h
PORT = 7070  # of the sockets whose calls are reported
# A user's sockets, and others of many processes; what it is sent has a child close the first ones,
# which are the parent's all the same.
OWNER = """
import os, resource, socket, sys
uid, shown, others, port = map(int, sys.argv[1:])
most = resource.getrlimit(resource.RLIMIT_NOFILE)[0] - 50
os.setgroups([])
os.setresgid(uid, uid, uid)
os.setresuid(uid, uid, uid)
def listening(address, port):
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    made.bind((address, port))
    made.listen(1)
    return made
def address(number):
    return f"127.{uid % 200}.{number >> 8 & 255}.{number & 255}"
mine = [listening(address(number + 1), port) for number in range(shown)]
read, write = os.pipe()
for first in range(0, others, most):
    if not os.fork():
        numbers = range(first, min(first + most, others))
        crowd = [listening(address(one % 8 + 1), 10000 + one // 8) for one in numbers]
        os.write(write, b"1")
        os.read(0, 1)
        os._exit(0)
    os.read(read, 1)
os.write(1, b"ready")
while os.read(0, 1):
    child = os.fork()
    if not child:
        for one in mine:
            one.shutdown(socket.SHUT_RDWR)
        os._exit(0)
    os.waitpid(child, 0)
    os.write(1, b"ready")
    break
os.read(0, 1)
"""


class Owner:
    """Who has so many sockets whose calls are reported, and so many others."""

    def __init__(self, uid: int, shown: int, others: int = 0) -> None:
        command = [sys.executable, "-c", OWNER, *map(str, (uid, shown, others, PORT))]
        pipe = subprocess.PIPE
        self._process = subprocess.Popen(command, stdin=pipe, stdout=pipe)
        self.pid = self._process.pid
        self._wait()

    def _wait(self) -> None:
        assert self._process.stdout is not None
        assert self._process.stdout.read(5) == b"ready"

    def close_by_child(self) -> None:
        """A child closes the first ones."""
        assert self._process.stdin is not None
        self._process.stdin.write(b"\n")
        self._process.stdin.flush()
        self._wait()

    def end(self) -> None:
        """With all sockets."""
        self._process.communicate()


def hook() -> dict[str, Any]:
    """Sockets that begin to listen are whose they are; those of the port are reported when they
    are closed.
    """
    state = {"index": 2, "operator": "Equal"}
    return {
        "subsystem": "sock",
        "event": "inet_sock_set_state",
        "raw": True,
        "args": [
            {"index": 0, "type": "sock"},
            {"index": 1, "type": "int"},
            {"index": 2, "type": "int"},
        ],
        "selectors": [
            {
                "matchArgs": [{**state, "values": [str(LISTENING)]}],
                "matchActions": [{"action": "TrackSock", "argSock": 0}, {"action": "NoPost"}],
            },
            {
                "matchArgs": [
                    {**state, "values": [str(CLOSED)]},
                    {"index": 1, "operator": "Equal", "values": [str(LISTENING)]},
                    {"index": 0, "operator": "SPort", "values": [str(PORT)]},
                ]
            },
        ],
    }


def closed(agent: Agent, pid: int) -> tuple[int, int]:
    """Of sockets that were closed: how many were reported as a process's, and in all."""
    own = every = 0
    for line in agent.export.read_text().splitlines():
        body = json.loads(line).get("process_tracepoint")
        if body:
            every += 1
            own += body["process"]["pid"] == pid
    return own, every


def test_whose_sockets_are_stays_known(tmp_path: Path) -> None:
    """Somebody opens more than there is room for, and keeps them: those of others are still
    theirs, of before and of later.
    """
    text = policy("sockets", {"tracepoints": [hook()]})
    with started(tmp_path / "agent", sockets=text) as agent:
        agent.started()
        early = Owner(VICTIM, 20)
        crowd = Owner(ATTACKER, 0, ROOM + 4000)
        late = Owner(VICTIM + 1, 20)
        early.close_by_child()
        drained(agent, "early")
        assert closed(agent, early.pid) == (20, 20)
        late.close_by_child()
        drained(agent, "late")
        assert closed(agent, late.pid) == (20, 40)
        for one in (crowd, early, late):
            one.end()
