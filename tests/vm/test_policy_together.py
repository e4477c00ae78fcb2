# SPDX-License-Identifier: Apache-2.0
"""Kprobes of one hook with one link do what those do that have one each. In guests only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.vm.guests import PYZ
from tests.vm.together import RUNS, SEEN, SEVENS, SIGNALLED
from tetrapy.policy.functions import numbers
from tools.guest import kernels, qemu

USR1, EBADF, ESRCH = 10, 9, 3
MANY = 100
INT = [{"index": 0, "type": "int"}]
# Of x86_64: those that are made, some that every kernel has, and others.
CALLS = [*SEEN, *"dup fchdir fsync flock fstatfs".split()]
# Not close: some programs close all numbers that a file might have.
CALLS += sorted({name for name, at in numbers("x64").items() if at < 335} - {*CALLS, "close"})


def some(count: int) -> list[str]:
    return [f"sys_{name}" for name in CALLS[:count]]


def policy(name: str, calls: list[str], number: int, kind: str = "syscalls", **more: Any) -> bytes:
    """One that reports what has the number as its first argument."""
    equal = {"index": 0, "operator": "Equal", "values": [str(number)]}
    hook = {
        "call": "list:these",
        "syscall": kind == "syscalls",
        "args": INT,
        "selectors": [{"matchArgs": [equal]}],
        **more,
    }
    return json.dumps(
        {
            "apiVersion": "cilium.io/v1alpha1",
            "kind": "TracingPolicy",
            "metadata": {"name": name},
            "spec": {
                "lists": [{"name": "these", "type": kind, "values": calls}],
                "kprobes": [hook],
            },
        }
    ).encode()


def signalling() -> dict[str, Any]:
    equal = {"index": 0, "operator": "Equal", "values": [str(SIGNALLED)]}
    action = {"action": "Signal", "argSig": USR1}
    return {"selectors": [{"matchArgs": [equal], "matchActions": [action]}]}


OF_FILES = [f"vfs_{name}" for name in "read write fsync open llseek getattr unlink rmdir".split()]
PRESENT = {"ignore": {"callNotFound": True}}
RETURNED = {"return": True, "returnArg": {"index": 0, "type": "int"}}
POLICIES = {
    "acting": policy("acting", some(9), SIGNALLED, **signalling()),
    "many": policy("many", [*some(MANY), "sys_getpgid"], SEVENS, **PRESENT),
    "returning": policy("returning", some(8), SEVENS, **RETURNED),
    "missing": policy("missing", [*some(8), "sys_of_nobody"], SEVENS),
    # It is there, and ftrace cannot trace it; nor does the kernel let a single kprobe be there.
    "untraceable": policy("untraceable", [*OF_FILES, "trace_call_bpf"], SEVENS, ""),
}
ERRORS = {"getpgid": -ESRCH, "getsid": -ESRCH, "fdatasync": -EBADF, "sched_getscheduler": -ESRCH}


# Sorted: policy, function, numbers, and what is returned.
EVENTS = sorted(
    [
        ["acting", "__x64_sys_getpgid", [SIGNALLED], None],
        *(["many", f"__x64_sys_{name}", [SEVENS], None] for name in SEEN),
        *(["returning", f"__x64_sys_{name}", [SEVENS], ERRORS[name]] for name in SEEN),
    ],
    key=str,
)
MATCHED = {"acting": 1, "many": len(SEEN), "returning": len(SEEN)}


def matched(policy: dict[str, Any]) -> int:
    (hook,) = policy["hook_counters"]
    (selector,) = hook["selectors"]
    assert int(hook["called"]) >= int(selector["matched"])
    return int(selector["matched"])


# Links of many kprobes, and of one: what functions return is seen by the former from Linux 6.14 on.
# Debian's Linux 6.1 is built without them; before Linux 5.15 perf events have no links.
LINKS = {"6.12": (3, 8), "6.18": (4, 0)}


@pytest.mark.parametrize(
    "kernel", ["6.1", *(pytest.param(name, marks=pytest.mark.matrix) for name in ("5.10", *LINKS))]
)
def test_the_same_with_one_link(kernel: str) -> None:
    """Events with the functions' names, counters, signals, refusals, and what stays when the agent
    ends; on kernels that have such links, and on others.
    """
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/together.py": Path(__file__).with_name("together.py"),
    }
    files.update({f"/policies/{name}.yaml": text for name, text in POLICIES.items()})
    runs = list(RUNS) if kernel in LINKS else ["as_it_is"]
    script = f"python3 /test/together.py {' '.join(runs)} >/result/answer 2>/result/errors"
    result = qemu.run(kernels.get(kernel), script, files, smp=2)
    logs = b"".join(data for name, data in result.files.items() if name.startswith("log-"))
    print(logs.decode(errors="replace"))
    assert result.files["errors"] == b"", result.files["errors"].decode()
    got = json.loads(result.files["answer"])
    for run in runs:
        expect(got[run], run)
        links = got[run]["links"]
        many = links.get("kprobe_multi", 0) + links.get("kretprobe_multi", 0)
        found = many, links.get("perf", 0)
        if kernel in LINKS and run != "one_by_one":
            assert found == LINKS[kernel], (run, links)
        elif kernel != "5.10":
            assert (many, found[1] > MANY) == (0, True), (run, links)
    refused = [got[run]["listed"]["policies"] for run in runs]
    assert all(map(errors, refused)), refused
    assert len({str(errors(one)) for one in refused}) == 1, refused


def errors(policies: list[dict[str, Any]]) -> dict[str, str]:
    return {one["name"]: one["error"] for one in policies if one.get("error")}


def expect(life: dict[str, Any], run: str) -> None:
    """What one agent saw and said."""
    policies = {one["name"]: one for one in life["listed"]["policies"]}
    why = errors(life["listed"]["policies"])
    assert set(why) == {"missing", "untraceable"}, why
    assert "this kernel has no function __x64_sys_of_nobody" in why["missing"]
    assert "trace_call_bpf" in why["untraceable"]
    assert sorted(life["events"], key=str) == EVENTS
    assert {name: matched(policies[name]) for name in MATCHED} == MATCHED
    assert (life["heard"], life["code"]) == ([USR1], 0)
    assert life["heard_after"] == ([USR1] if run == "staying" else [])
