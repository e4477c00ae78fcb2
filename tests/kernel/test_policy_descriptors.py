# SPDX-License-Identifier: Apache-2.0
"""Files of all kinds behind descriptors, as a policy tells them: what procfs shows of them."""

from __future__ import annotations

import json
import os
import select
import socket
import subprocess
from pathlib import Path
from typing import Any

from tests.support.agent import Agent
from tests.support.compile import installed
from tests.support.policy_agent import drained, policy, started

# Mounts of its own, then the descriptors 5 to 7, then the calls.
MOUNTED = """
set -e
mkdir real bound lower upper work merged
echo 1 >real/file
echo 2 >lower/file
mount --bind real bound
mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=work none merged
exec 5<bound/file 6<merged/file 7<merged
for fd in 5 6 7; do readlink /proc/self/fd/$fd; done
"$0" <calls
"""


def _policy(program: Path) -> str:
    args = [{"index": 0, "type": "fd"}, {"index": 4, "type": "uint64"}]
    hook = {"path": str(program), "symbols": ["called"], "args": args}
    return policy("descriptors", {"uprobes": [hook]})


def _calls(descriptors: list[int]) -> str:
    """Lines for `called`: the number of the call is that of the descriptor."""
    return "".join(f"{fd} 0 0 {fd} 61\n" for fd in descriptors)


def _reported(agent: Agent) -> dict[int, dict[str, Any]]:
    events = [json.loads(line) for line in agent.lines() if b'"process_uprobe"' in line]
    bodies = [event["process_uprobe"] for event in events]
    return {int(one["args"][1]["size_arg"]): one["args"][0] for one in bodies}


def test_kinds_of_descriptors(tmp_path: Path) -> None:
    """What /proc/self/fd shows: paths, also of what is gone, and what stands for those without."""
    program = installed("called", tmp_path)
    left, right = os.pipe()
    sockets = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_INET)
    nameless = [left, right, *(one.fileno() for one in sockets), os.memfd_create("mine")]
    epoll = select.epoll()
    nameless += [epoll.fileno(), os.pidfd_open(os.getpid())]
    (tmp_path / "gone").touch()
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deep").touch()
    named = [os.open(tmp_path / name, os.O_RDONLY) for name in ("gone", "sub/deep", "called", ".")]
    named += [os.open(tmp_path, os.O_TMPFILE | os.O_RDWR), os.open("/dev/null", os.O_RDONLY)]
    (tmp_path / "gone").unlink()
    (tmp_path / "sub" / "deep").unlink()
    (tmp_path / "sub").rmdir()
    shown = {fd: os.readlink(f"/proc/self/fd/{fd}") for fd in nameless + named}
    with started(tmp_path / "a", a=_policy(program)) as agent:
        agent.started()
        fds = nameless + named
        lines = _calls([*fds, 999])
        subprocess.run([program], input=lines, text=True, check=True, pass_fds=fds)
        drained(agent, "descriptors")
    told = _reported(agent)
    for fd, path in shown.items():
        assert told[fd]["file_arg"]["path"] == path
        assert "flags" not in told[fd]["file_arg"]
    letters = [told[fd]["file_arg"]["permission"][0] for fd in nameless]
    assert letters[:5] == ["p", "p", "s", "s", "-"]
    assert told[999] == {"error_arg": {"Message": "Bad address for basic type"}}
    for one in (*sockets, epoll):
        one.close()
    for fd in (left, right, nameless[4], nameless[-1], *named):
        os.close(fd)


def test_mounts_of_a_process(tmp_path: Path) -> None:
    """Bind mounts and overlays of another mount namespace: the paths that the process sees."""
    program = installed("called", tmp_path)
    (tmp_path / "calls").write_text(_calls([5, 6, 7]))
    with started(tmp_path / "a", a=_policy(program)) as agent:
        agent.started()
        command = ["unshare", "--mount", "sh", "-c", MOUNTED, str(program)]
        run = subprocess.run(command, cwd=tmp_path, check=True, stdout=subprocess.PIPE, text=True)
        drained(agent, "mounts")
    paths = [one["file_arg"]["path"] for one in _reported(agent).values()]
    assert paths == run.stdout.splitlines()
    assert paths[0] == f"{tmp_path}/bound/file"


def test_addresses_of_sockets(tmp_path: Path) -> None:
    """IPv4, IPv6, and IPv4 in the form of IPv6, which filters take for IPv4."""
    hook = {
        "subsystem": "sock",
        "event": "inet_sock_set_state",
        "raw": True,
        "args": [{"index": 0, "type": "sock"}, {"index": 2, "type": "int"}],
    }
    is_listening = {"index": 2, "operator": "Equal", "values": ["10"]}
    is_local = {"index": 0, "operator": "SAddr", "values": ["127.0.0.0/8"]}
    others = {"index": 0, "operator": "NotSAddr", "values": ["127.0.0.0/8"]}
    texts = {
        name: policy(name, {"tracepoints": [{**hook, "selectors": [{"matchArgs": filters}]}]})
        for name, filters in (
            ("local", [is_listening, is_local]),
            ("others", [is_listening, others]),
        )
    }
    places = [
        (socket.AF_INET, "127.0.0.9"),
        (socket.AF_INET6, "::1"),
        (socket.AF_INET6, "::ffff:127.0.0.8"),
    ]
    ports = {}
    with started(tmp_path / "a", **texts) as agent:
        agent.started()
        for family, address in places:
            with socket.socket(family) as made:
                made.bind((address, 0))
                made.listen()
                ports[made.getsockname()[1]] = address
        drained(agent, "sockets")
        lines = [json.loads(line) for line in agent.lines() if b'"process_tracepoint"' in line]
    told: dict[str, set[Any]] = {"local": set(), "others": set()}
    for line in lines:
        body = line["process_tracepoint"]
        found = body["args"][0]["sock_arg"]
        if found.get("sport") in ports:
            told[body["policy_name"]].add((found["family"], found["saddr"]))
    assert told["local"] == {("AF_INET", "127.0.0.9"), ("AF_INET6", "::ffff:127.0.0.8")}
    assert told["others"] == {("AF_INET6", "::1")}
