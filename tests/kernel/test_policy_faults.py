# SPDX-License-Identifier: Apache-2.0
"""Policies beside processes that make it hard: deep paths, bad pointers, no end of calls."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent import Agent, until
from tests.support.builders import BtfBuilder
from tests.support.compile import installed
from tests.support.policy_agent import count, drained, listed, opened, policy, started
from tetrapy.abi import kinds as k

DEEP = """
import os, shutil, sys
os.chdir(sys.argv[1])
name = "d" * int(sys.argv[2])
for _ in range(int(sys.argv[3])):
    os.mkdir(name)
    os.chdir(name)
shutil.copy("/bin/true", "deep")
os.spawnl(os.P_WAIT, "./deep", "deep")
"""


@pytest.mark.parametrize(("length", "levels"), [(250, 20), (1, 3000)])
def test_a_path_that_is_too_deep_evades_no_filter(tmp_path: Path, length: int, levels: int) -> None:
    """Its front cannot be read; it is reported, and flagged. Many short names take as many programs
    one behind the other as the kernel lets.
    """
    hook = {
        "subsystem": "sched",
        "event": "sched_process_exec",
        "raw": True,
        "args": [{"index": 2, "type": "linux_binprm"}],
        "selectors": [{"matchArgs": [{"index": 2, "operator": "Prefix", "values": ["/nowhere"]}]}],
    }
    with started(tmp_path / "a", a=policy("deep", {"tracepoints": [hook]})) as agent:
        agent.started()
        try:
            command = [sys.executable, "-Ic", DEEP, str(tmp_path), str(length), str(levels)]
            subprocess.run(command, check=True)
            until(lambda: count(agent, "process_tracepoint", "deep"), "the event")
        finally:
            subprocess.run(["rm", "-rf", str(tmp_path / ("d" * length))], check=True)
        (line,) = [one for one in agent.lines() if one.startswith(b'{"process_tracepoint"')]
    told = json.loads(line)["process_tracepoint"]["args"][0]["linux_binprm_arg"]
    assert told["path"].endswith("/deep")
    assert told["flags"] == "unresolvedPathComponents"


def test_a_stop_while_a_policy_has_much_to_report(tmp_path: Path) -> None:
    """Its programs are detached first, so that there is an end to what they report."""
    text = policy("opens", {"tracepoints": [opened(str(tmp_path))]})
    script = f"while :; do read line < {tmp_path}/none; done"
    with started(tmp_path / "a", a=text) as agent:
        agent.started()
        with subprocess.Popen(["sh", "-c", script], stderr=subprocess.DEVNULL) as noisy:
            until(lambda: count(agent, "process_tracepoint", "opens") > 100, "events")
            assert agent.stop() == 0
            noisy.kill()


TAKEN = {
    "symbols": ["taken"],
    "args": [
        {"index": 0, "type": "char_iovec", "sizeArgIndex": 4},
        {"index": 1, "type": "char_buf", "sizeArgIndex": 4},
        {"index": 2, "type": "string"},
        {"index": 4, "type": "uint64"},
    ],
}


def _bytes(data: bytes, size: int = 0) -> dict[str, Any]:
    text = base64.b64encode(data).decode()
    if size:
        return {"truncated_bytes_arg": {"bytes_arg": text, "orig_size": str(size)}}
    return {"bytes_arg": text}


UNREADABLE = _bytes(b"CharBufErrorPageFault")
ERROR = {"error_arg": {"Message": "Bad address for basic type"}}
PLAIN = [_bytes(b"onetwo"), _bytes(b"by"), {"string_arg": "text"}]
# What differs of each call: position of the argument, what is told of it.
HOSTILE: dict[int, tuple[int, dict[str, Any]]] = {
    0: (0, PLAIN[0]),
    2: (0, UNREADABLE),
    3: (0, _bytes(b"one", 8)),
    4: (0, UNREADABLE),
    6: (0, UNREADABLE),
    7: (2, ERROR),
    8: (2, ERROR),
    9: (1, UNREADABLE),
    10: (1, UNREADABLE),
}


def test_what_cannot_be_read(tmp_path: Path) -> None:
    """Pages that are not there, counts without end, addresses of the kernel: each call is told, and
    what could not be read is marked. Nothing of the kernel's memory is shown to who asks for it.
    """
    program = installed("hostile", tmp_path)
    text = policy("taken", {"uprobes": [{"path": str(program), **TAKEN}]})
    with started(tmp_path / "a", a=text) as agent:
        agent.started()
        subprocess.run([program], check=True)
        drained(agent, "taken")
        assert agent.stop() == 0
        assert agent.statistics()["errors"] == 0
    told = {
        int(one["args"][3]["size_arg"]): one["args"][:3]
        for one in _events(agent, "process_uprobe", "taken")
    }
    assert set(told) == set(range(13))
    for number, (place, value) in HOSTILE.items():
        plain = [*PLAIN] if number != 6 else [PLAIN[0], _bytes(b"b"), PLAIN[2]]
        plain[place] = value
        assert told[number] == plain, number
    # Counts and sizes that there is no memory for: what is read ends where memory does.
    assert told[1][0] == _bytes(b"onetwo", 7)
    assert "truncated_bytes_arg" in told[11][0]
    assert told[11][1] == UNREADABLE
    for number, place in ((1, 1), (5, 0)):
        (member,) = told[number][place]
        assert told[number][place] == UNREADABLE or member == "truncated_bytes_arg", number
    assert told[12] == [_bytes(b""), _bytes(b""), PLAIN[2]]


def test_members_of_what_a_program_hands_over(tmp_path: Path) -> None:
    """By the BTF of the program: a number and a text, or an error; never the kernel's memory."""
    program = installed("hostile", tmp_path)
    made = BtfBuilder()
    number = made.integer("unsigned long", 8)
    base = made.add(k.KIND_PTR)
    made.composite("iovec", 16, [("iov_base", base, 0), ("iov_len", number, 64)])
    (tmp_path / "btf").write_bytes(made.build())
    args = [
        {"index": 0, "type": "uint64", "btfType": "iovec", "resolve": "iov_len"},
        {"index": 0, "type": "string", "btfType": "iovec", "resolve": "iov_base"},
        {"index": 4, "type": "uint64"},
    ]
    hook = {"path": str(program), "symbols": ["taken"], "args": args}
    texts = {
        "members": policy("members", {"uprobes": [{**hook, "btfPath": f"{tmp_path}/btf"}]}),
        "no_types": policy("no", {"uprobes": [hook]}),
        "no_btf": policy("none", {"uprobes": [{**hook, "btfPath": str(program)}]}),
    }
    with started(tmp_path / "a", **texts) as agent:
        agent.started()
        errors = [one["error"] for one in listed(agent)]
        subprocess.run([program], check=True)
        drained(agent, "members")
        told = {
            int(one["args"][-1]["size_arg"]): one["args"][:-1]
            for one in _events(agent, "process_uprobe", "members")
        }
    assert errors[0] == ""
    assert "needs btfPath" in errors[1]
    assert ".BTF" in errors[2]
    assert told[0] == [{"size_arg": "3"}, {"string_arg": "one"}]
    assert told[2] == [ERROR, ERROR]
    assert told[6] == [{"size_arg": "8"}, ERROR]


def test_what_changes_while_it_is_read(tmp_path: Path) -> None:
    """What is told is what was compared, however often another thread changes it meanwhile."""
    program = installed("hostile", tmp_path)
    filters = [{"args": [2], "operator": "Prefix", "values": ["/tmp/"]}]
    filters.append({"args": [2], "operator": "SubString", "values": ["one"]})
    hook = {"path": str(program), **TAKEN, "selectors": [{"matchArgs": filters}]}
    text = policy("changing", {"uprobes": [hook]})
    with started(tmp_path / "a", "--rb-size-total", "16M", a=text) as agent:
        agent.started()
        subprocess.run([program, "change"], check=True)
        drained(agent, "changing")
        assert agent.stop() == 0
        assert agent.statistics()["errors"] == 0
    shown = {one["args"][2]["string_arg"] for one in _events(agent, "process_uprobe", "changing")}
    assert shown
    assert all(one.startswith("/tmp/") and "one" in one for one in shown)


def _events(agent: Agent, kind: str, name: str) -> list[Any]:
    found = [json.loads(line)[kind] for line in agent.lines() if f'"{kind}"'.encode() in line]
    return [one for one in found if one["policy_name"] == name]
