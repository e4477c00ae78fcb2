# SPDX-License-Identifier: Apache-2.0
"""Kprobes of one hook with one link do what those do that have one each. In guests only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.vm.guests import PYZ
from tests.vm.together import SEEN, SEVENS, SIGNALLED
from tetrapy.policy.functions import numbers
from tetrapy.sensors.policy.together import MIN_FUNCTIONS
from tools.guest import kernels, qemu

USR1, EBADF, ESRCH = 10, 9, 3
INT = [{"index": 0, "type": "int"}]
# Those that nobody makes here but for swapoff(2), of kernels as Debian builds them.
RARE = """swapoff
acct add_key adjtimex delete_module fanotify_init fanotify_mark init_module io_cancel
io_destroy io_getevents io_setup io_submit ioperm iopl ioprio_get ioprio_set keyctl mbind
migrate_pages mq_getsetattr mq_notify mq_open mq_timedreceive mq_timedsend mq_unlink msgctl
msgget msgrcv msgsnd name_to_handle_at open_by_handle_at pivot_root process_vm_readv
process_vm_writev quotactl request_key semctl semget semop semtimedop setdomainname
sethostname settimeofday shmat shmctl shmdt shmget swapon syslog tee ustat vmsplice
""".split()
# Of x86_64: those that are made, some that every kernel has, and others that not all have.
CALLS = [*SEEN, *"dup fchdir fsync flock fstatfs".split(), *RARE]
# Not close: some programs close all numbers that a file might have.
CALLS += sorted({name for name, at in numbers("x64").items() if at < 335} - {*CALLS, "close"})
RARE_FUNCTIONS = [f"__x64_sys_{name}" for name in RARE]
ALIASES = ["__do_sys_munlockall", "__x64_sys_munlockall"]  # it has no arguments: one function
# What the compiler split off is no function for ftrace, and has the link of all others refused.
SPLIT_OFF = [f"__x64_sys_{name}.cold" for name in ("landlock_add_rule", "setitimer")]


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


PRESENT = {"ignore": {"callNotFound": True}}
RETURNED = {"return": True, "returnArg": {"index": 0, "type": "int"}}
ALL = {"args": [], "selectors": []}


def policies(count: int) -> dict[str, bytes]:
    """Of hooks with so many functions each, and some more."""
    rare = RARE_FUNCTIONS[:count]
    return {
        "acting": policy("acting", some(count), SIGNALLED, **signalling()),
        "many": policy("many", [*some(count), "sys_getpgid", "sys_of_nobody"], SEVENS, **PRESENT),
        "returning": policy("returning", some(count), SEVENS, **RETURNED),
        "aliases": policy("aliases", [*rare, *ALIASES], 0, "", **ALL),
        "split": policy("split", [*rare, *SPLIT_OFF], 0, "", **ALL, **PRESENT),
        "missing": policy("missing", [*some(count), "sys_of_nobody"], SEVENS),
        # Of /proc/cpuinfo, and of /proc/crypto.
        "twice": policy("twice", [*rare, "c_start"], SEVENS, ""),
        # It is there, and ftrace cannot trace it; nor does the kernel let a single kprobe be there.
        "untraceable": policy("untraceable", [*rare, "trace_call_bpf"], SEVENS, ""),
    }


ERRORS = {"getpgid": -ESRCH, "getsid": -ESRCH, "fdatasync": -EBADF, "sched_getscheduler": -ESRCH}


# Sorted: policy, function, numbers, and what is returned.
EVENTS = sorted(
    [
        ["acting", "__x64_sys_getpgid", [SIGNALLED], None],
        *(["aliases", name, [], None] for name in (*ALIASES, "__x64_sys_swapoff")),
        ["split", "__x64_sys_swapoff", [], None],
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
# Debian's Linux 6.1 is built without them; before Linux 5.15 perf events have no links, and each of
# them takes programs of its own.
MANY = MIN_FUNCTIONS
_ALONE = len(ALIASES) + MANY + len(SPLIT_OFF)
LINKS = {"6.12": (4, _ALONE + MANY), "6.18": (5, _ALONE)}
FUNCTIONS = {"5.10": 9}


PLAIN, BOTH = ["plain"], ["one_by_one", "plain"]
STAYING = ["staying", "staying_again", "plain"]


@pytest.mark.parametrize(
    ("kernel", "runs"),
    [
        ("6.1", PLAIN),
        *(
            pytest.param(name, runs, marks=pytest.mark.matrix)
            for name, runs in (
                ("5.10", PLAIN),
                *((name, runs) for name in LINKS for runs in (BOTH, STAYING)),
            )
        ),
    ],
    ids=lambda found: found if isinstance(found, str) else "-".join(found),
)
def test_the_same_with_one_link(kernel: str, runs: list[str]) -> None:
    """Events with the functions' names, counters, signals, refusals, and what stays when the agent
    ends; on kernels that have such links, and on others.
    """
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/together.py": Path(__file__).with_name("together.py"),
    }
    made = policies(FUNCTIONS.get(kernel, MANY))
    files.update({f"/policies/{name}.yaml": text for name, text in made.items()})
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
    assert set(why) == {"missing", "twice", "untraceable"}, why
    assert "this kernel has no function __x64_sys_of_nobody" in why["missing"]
    assert "trace_call_bpf" in why["untraceable"]
    assert "c_start: not attached: several functions have this name" in why["twice"]
    assert sorted(life["events"], key=str) == EVENTS
    assert {name: matched(policies[name]) for name in MATCHED} == MATCHED
    assert (life["heard"], life["code"]) == ([USR1], 0)
    # Of the policy that acts one link stays, which the next agent replaces by one of its own.
    stays = run.startswith("staying")
    assert (life["heard_after"], life["pinned"]) == (([USR1], [1, 1]) if stays else ([], [0, 0]))
