# SPDX-License-Identifier: Apache-2.0
"""Static probes of a program with notes made by hand, in the built file on this kernel."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.agent import until
from tests.support.compile import installed
from tests.support.policy_agent import count, listed, policy, started
from tetrapy.abi.executable import Executable


def _argument(index: int, kind: str) -> dict[str, Any]:
    return {"index": index, "type": kind}


def _equal(index: int, value: str) -> list[dict[str, Any]]:
    return [{"matchArgs": [{"index": index, "operator": "Equal", "values": [value]}]}]


def test_static_probes(tmp_path: Path) -> None:
    """Arguments wherever they are, filters on them, two places with other operands each."""
    target = installed("probes", tmp_path)
    kinds = ("int64", "string", "int32", "int64")
    probe = {"path": str(target), "provider": "tests"}
    args = [*(_argument(*one) for one in enumerate(kinds)), _argument(5, "uint8")]
    one = {**probe, "name": "hit", "args": args, "selectors": _equal(2, "-42")}
    two = {**one, "args": [_argument(4, "uint32")], "selectors": _equal(4, "41")}
    twice = {**probe, "name": "twice", "args": [_argument(0, "int")], "message": "twice"}
    texts = {
        "hit": policy("hit", {"usdts": [one, two]}),
        "twice": policy("twice", {"usdts": [twice]}),
    }
    with started(tmp_path / "agent", **texts) as agent:
        agent.started()
        assert [(found["state"], found["hooks"]) for found in listed(agent)] == [("enabled", 2)] * 2
        assert listed(agent)[0]["sensors"] == ["generic_usdt"]
        run = subprocess.run([target, "-7", "text"], check=True, stdout=subprocess.PIPE)
        until(lambda: count(agent, "process_usdt", "twice") == 2, "three events")
        assert agent.stop() == 0
    assert run.stdout == b"1\n"  # its semaphore: somebody looks
    events = [json.loads(line)["process_usdt"] for line in agent.lines() if b"process_usdt" in line]
    assert [event["args"] for event in events] == [
        [
            {"long_arg": "-7"},
            {"string_arg": "text"},
            {"int_arg": -42},
            {"long_arg": "-5"},
            {"uint_arg": 249},
        ],
        [{"int_arg": -7}],
        [{"int_arg": 77}],
    ]
    assert events[0]["path"] == str(target)
    assert (events[0]["provider"], events[0]["name"]) == ("tests", "hit")
    assert (events[1]["policy_name"], events[1]["message"]) == ("twice", "twice")
    run = subprocess.run([target, "1", "text"], check=True, stdout=subprocess.PIPE)
    assert run.stdout == b"0\n"


def test_the_counter_of_a_uprobe(tmp_path: Path) -> None:
    """A policy that names it by its place in the file: the kernel counts, the event tells it."""
    target = installed("probes", tmp_path)
    executable = Executable(target.read_bytes())
    probe = next(one for one in executable.static_probes() if one.semaphore)
    counter = executable.offset_of_data(probe.semaphore)
    hook = {
        "path": str(target),
        "offsets": [executable.offset_of_address(probe.address)],
        "refCtrOffsets": [counter],
        "binaryDigests": [f"sha256:{hashlib.sha256(target.read_bytes()).hexdigest()}"],
    }
    other = {**hook, "binaryDigests": ["sha1:" + "0" * 40]}
    texts = {
        "counted": policy("counted", {"uprobes": [hook]}),
        "other": policy(
            "other", {"uprobes": [{**other, "ignore": {"digestVerificationFailure": True}}]}
        ),
    }
    with started(tmp_path / "agent", **texts) as agent:
        agent.started()
        assert [one["state"] for one in listed(agent)] == ["enabled", "partially_enabled"]
        assert "another file than those of binaryDigests" in listed(agent)[1]["left_out"][0]
        run = subprocess.run([target, "1", "x"], check=True, stdout=subprocess.PIPE)
        until(lambda: count(agent, "process_uprobe", "counted"), "the event")
        assert agent.stop() == 0
    assert run.stdout == b"1\n"
    (line,) = [one for one in agent.lines() if b'{"process_uprobe"' in one]
    body = json.loads(line)["process_uprobe"]
    assert body["ref_ctr_offset"] == str(counter)
    assert body["offset"] == str(hook["offsets"][0])
    assert "symbol" not in body


def test_what_is_not_there(tmp_path: Path) -> None:
    """Each mistake is told with what there is."""
    target = installed("probes", tmp_path)
    probe = {"path": str(target), "provider": "tests"}
    refused = {
        "name": ({**probe, "name": "hat"}, "no static probe tests:hat; did you mean tests:hit"),
        "index": ({**probe, "name": "twice", "args": [_argument(1, "int")]}, "has 1 arguments"),
        "operand": ({**probe, "name": "odd", "args": [_argument(1, "int")]}, "neither in a regist"),
        "float": (
            {**probe, "name": "odd", "args": [_argument(0, "int")]},
            "is no number of 1, 2, 4 or 8 bytes",
        ),
        "none": ({**probe, "path": "/bin/cat", "name": "hit"}, "it has none at all"),
        "file": ({**probe, "path": "/etc/passwd", "name": "hit"}, "no little-endian ELF64 file"),
    }
    texts = {name: policy(name, {"usdts": [hook]}) for name, (hook, _) in refused.items()}
    with started(tmp_path / "agent", **texts) as agent:
        agent.started()
        for one in listed(agent):
            assert one["state"] == "load_error"
            assert refused[one["name"]][1] in one["error"], one["error"]
