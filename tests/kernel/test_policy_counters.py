# SPDX-License-Identifier: Apache-2.0
"""How often hooks of policies were called, and what their selectors decided on: exact numbers."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from pathlib import Path
from typing import Any

from tests.support.agent import Agent, until
from tests.support.compile import installed
from tests.support.policy_agent import by_api, count, list_of, listed, policy, started
from tetrapy.kernel.trials import has_multi_uprobes

ARGUMENTS = [{"index": 0, "type": "int"}, {"index": 3, "type": "string"}]
NUMBER = {"label": "seven", "matchArgs": [{"index": 0, "operator": "Equal", "values": ["7"]}]}
TEXT = {"label": "a", "matchArgs": [{"index": 3, "operator": "Prefix", "values": ["a"]}]}
# Seven, and a text that the second selector wants, too; that text alone; neither.
LINES = b"7 1 2 3 61\n" * 5 + b"8 1 2 3 6162\n" * 7 + b"9 1 2 3 62\n" * 11


def uprobe(target: Path, *symbols: str, **more: Any) -> dict[str, Any]:
    return {"path": str(target), "symbols": list(symbols), **more}


def hostname_set() -> dict[str, Any]:
    """A tracepoint that nobody else hits."""
    argument = {"index": 5, "type": "uint64"}
    return {"subsystem": "syscalls", "event": "sys_enter_sethostname", "args": [argument]}


def make_calls(target: Path, lines: bytes, cpus: int) -> None:
    """On that many processors at once, all the lines on each."""
    processes = []
    for cpu in sorted(os.sched_getaffinity(0))[:cpus]:
        command = ["taskset", "-c", str(cpu), str(target)]
        processes.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
    for process in processes:
        process.communicate(lines)
        assert process.returncode == 0


def counters(agent: Agent) -> dict[str, list[tuple[Any, ...]]]:
    """By policy its hooks: name, number, called, missed, and label and matched by selector."""
    return {
        one["name"]: [
            (
                hook["hook"],
                hook.get("hook_index"),
                int(hook.get("called", 0)),
                int(hook.get("missed", 0)),
                [
                    (x.get("selector_label", ""), int(x.get("matched", 0)))
                    for x in hook["selectors"]
                ],
            )
            for hook in one["hook_counters"]
        ]
        for one in listed(agent, "--counters")
    }


def kinds_of_links(agent: Agent) -> list[str]:
    """Of all BPF links that the agent has open, as the kernel calls them."""
    texts = [one.read_text() for one in Path(f"/proc/{agent.pid}/fdinfo").iterdir()]
    lines = [line.split() for text in texts for line in text.splitlines()]
    return [words[1] for words in lines if words[0] == "link_type:"]


def scraped(agent: Agent) -> list[str]:
    """The lines of the metrics."""
    line = next(one for one in agent.log.splitlines() if "Starting metrics server" in one)
    address = line.split("addr=")[1].split()[0]
    with urllib.request.urlopen(f"http://{address}/metrics") as answer:
        text: str = answer.read().decode()
    return text.splitlines()


def test_exact_numbers(tmp_path: Path) -> None:
    """Each call once: by hook and by the first selector that matches, of all functions of a hook,
    of policies that share programs, on all processors, and where the return decides.
    """
    target = installed("called", tmp_path)
    name = f"uprobe:{target}/called"
    returned = [{"index": 0, "operator": "Equal", "values": ["0"]}]
    one = policy(
        "one",
        {
            "uprobes": [
                uprobe(target, "called", args=ARGUMENTS, selectors=[NUMBER, TEXT]),
                uprobe(target, "called", "named"),
            ]
        },
    )
    two = policy(
        "two",
        {
            "uprobes": [
                uprobe(
                    target,
                    "called",
                    args=ARGUMENTS[:1],
                    **{"return": True, "returnArg": {"index": 0, "type": "int64"}},
                    selectors=[{**NUMBER, "matchReturnArgs": returned}],
                )
            ]
        },
    )
    three = policy("three", {"tracepoints": [hostname_set(), hostname_set()]})
    texts = {"one": one, "two": two, "three": three}
    with started(tmp_path / "agent", "--metrics-server", "127.0.0.1:0", **texts) as agent:
        agent.started()
        make_calls(target, LINES, 2)
        make_calls(target, b"7 1 2 4 61\n", 1)  # returns 1
        hostname = "import ctypes; [ctypes.CDLL(None).sethostname(None, -1) for _ in range(3)]"
        subprocess.run([sys.executable, "-c", hostname], check=True)
        cpus = min(2, len(os.sched_getaffinity(0)))
        until(lambda: count(agent, "process_tracepoint", "three") == 6, "the last events")
        calls = 23 * cpus + 1
        wanted = {
            "one": [
                (name, 0, calls, 0, [("seven", 5 * cpus + 1), ("a", 7 * cpus)]),
                (name, 1, 2 * calls, 0, [("", 2 * calls)]),
            ],
            "two": [(name, 0, calls, 0, [("seven", 5 * cpus)])],
            "three": [
                ("tracepoint:syscalls/sys_enter_sethostname", at, 3, 0, [("", 3)]) for at in (0, 1)
            ],
        }
        assert counters(agent) == wanted
        of_first = f'hook="{name}",hook_index="0",policy="one",policy_namespace=""'
        lines = scraped(agent)
        assert f"tetrapy_policy_hook_calls_total{{{of_first}}} {calls}" in lines
        assert f"tetrapy_policy_hook_missed_total{{{of_first}}} 0" in lines
        of_text = f'{of_first},selector_index="1",selector_label="a"'
        assert f"tetrapy_policy_selector_matches_total{{{of_text}}} {7 * cpus}" in lines
        words = [line.split() for line in list_of(agent, "--counters").splitlines()]
        assert [
            name,
            "0",
            f"{calls}",
            "0",
            "1",
            f"{7 * cpus}",
            f"{7 * cpus}",
            "0",
            "0",
            "a",
        ] in words
        assert "hook_counters" not in listed(agent)[0]  # nobody asked
        assert agent.stop() == 0


def test_events_that_were_posted(tmp_path: Path) -> None:
    """NPOST of the list counts events, with what is returned or without, by selector; what an
    action NoPost keeps back has a count of its own, and what a rate limit does has none.
    """
    target = installed("called", tmp_path)
    quiet = {**TEXT, "matchActions": [{"action": "NoPost"}]}
    rare = {**NUMBER, "matchActions": [{"action": "Post", "rateLimit": "1h"}]}
    texts = {
        "plain": {"args": ARGUMENTS, "selectors": [NUMBER, quiet]},
        "returns": {
            "args": ARGUMENTS,
            "return": True,
            "returnArg": {"index": 0, "type": "int64"},
            "selectors": [NUMBER, quiet],
        },
        "limited": {"args": ARGUMENTS, "selectors": [rare]},
    }
    policies = {
        name: policy(name, {"uprobes": [uprobe(target, "called", **spec)]})
        for name, spec in texts.items()
    }
    with started(tmp_path / "agent", "--metrics-server", "127.0.0.1:0", **policies) as agent:
        agent.started()
        make_calls(target, LINES, 1)
        until(lambda: count(agent, "process_uprobe", "returns") == 5, "the events")
        listing = json.loads(by_api(agent, "-o", "json"))["policies"]
        found = {one["name"]: one["stats"] for one in listing}
        both = [{"post": "5"}, {"nopost": "7"}]
        for name in ("plain", "returns"):
            assert found[name]["action_counters"] == {"post": "5", "nopost": "7"}
            by_selector = found[name]["selector_action_counters"]
            assert [one["action_counters"] for one in by_selector] == both
        assert found["limited"]["action_counters"] == {"post": "1"}
        heading, *rows = [line.split() for line in by_api(agent).splitlines()]
        assert heading[-3] == "NPOST"
        assert {row[1]: row[-3] for row in rows} == {
            "plain": "5",
            "returns": "5",
            "limited": "1",
        }
        selector = 'policy="plain",policy_namespace="",selector_index="0",selector_label="seven"'
        name = f'hook="uprobe:{target}/called",hook_index="0"'
        series = "tetragon_tracingpolicy_selector_actions_total"
        assert f'{series}{{action="post",{name},{selector}}} 5' in scraped(agent)
        assert agent.stop() == 0


def test_calls_that_are_not_told(tmp_path: Path) -> None:
    """They are counted though their owner is throttled; what was counted before stays."""
    target = installed("called", tmp_path)
    name = f"uprobe:{target}/called"
    text = policy(
        "busy", {"uprobes": [uprobe(target, "called", args=ARGUMENTS, selectors=[NUMBER])]}
    )
    with started(tmp_path / "agent", "--policy-cpu-share", "2", busy=text) as agent:
        agent.started()
        calls = 0
        with subprocess.Popen(
            [str(target)], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL
        ) as process:
            assert process.stdin is not None
            while "A policy is throttled for one owner," not in agent.log:
                process.stdin.write(LINES[:11] * 1000)
                calls += 1000
            process.stdin.write(LINES[:11] * 1000)
            process.stdin.close()
        silent = counters(agent)["busy"]
        agent.wait_for_log("A policy is throttled for one owner no longer")
        ((_, _, called, _, ((_, matched),)),) = silent
        assert called == matched == calls + 1000
        assert count(agent, "process_uprobe", "busy") < matched
        make_calls(target, LINES, 1)
        assert counters(agent)["busy"] == [(name, 0, called + 23, 0, [("seven", matched + 5)])]


def test_128_policies(tmp_path: Path) -> None:
    """At one function; each counts what its own selector decides on, and has a link that ends
    while others do, where the kernel has such.
    """
    target = installed("called", tmp_path)
    name = f"uprobe:{target}/called"
    texts = {}
    for number in range(128):
        filters = [{"index": 0, "operator": "Equal", "values": [str(number)]}]
        hook = uprobe(target, "called", args=ARGUMENTS[:1], selectors=[{"matchArgs": filters}])
        texts[f"p{number:03}"] = policy(f"p{number:03}", {"uprobes": [hook]})
    with started(tmp_path / "agent", "--metrics-server", "127.0.0.1:0", **texts) as agent:
        agent.started()
        make_calls(target, b"".join(b"%d 1 2 3 61\n" % (at * at % 128) for at in range(500)), 1)
        squares = [at * at % 128 for at in range(500)]
        assert counters(agent) == {
            f"p{number:03}": [(name, 0, 500, 0, [("", squares.count(number))])]
            for number in range(128)
        }
        found = listed(agent)
        assert {one["state"] for one in found} == {"enabled"}
        assert all(8_000 < one["kernel_memory_bytes"] < 20_000 for one in found)
        calls = [one for one in scraped(agent) if one.startswith("tetrapy_policy_hook_calls_total")]
        assert len(calls) == 128
        kind = "uprobe_multi" if has_multi_uprobes() else "perf"
        assert kinds_of_links(agent).count(kind) == 128
        assert all(one.endswith(" 500") for one in calls)
        assert agent.stop() == 0
