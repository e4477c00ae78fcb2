# SPDX-License-Identifier: Apache-2.0
"""System calls that policies keep from running, on a kernel that is built for that. In guests only.

No kernel of Debian lets system calls be overridden: see tools/guest/built_kernel.py.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.vm.acting_policies import actions_of
from tests.vm.guests import PYZ
from tools.guest import qemu
from tools.guest.built_kernel import overriding

EROFS, ENOSPC, ESRCH = 30, 28, 3
BY_KPROBE = [{"name": "override-method", "value": "override-return"}]


def getpgid(number: int, *actions: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A kprobe at a system call; this one fails with ESRCH for such a number, where it runs."""
    equal = {"index": 0, "operator": "Equal", "values": [str(number)]}
    return {
        "call": "sys_getpgid",
        "syscall": True,
        "args": [{"index": 0, "type": "int"}],
        "selectors": [{"matchArgs": [equal], "matchActions": list(actions)}],
        **more,
    }


def override(error: int) -> dict[str, Any]:
    return {"action": "Override", "argError": error}


def notify(**what: int) -> dict[str, Any]:
    return {"action": "NotifyEnforcer", **what}


RETURNS = {"return": True, "returnArg": {"index": 0, "type": "int"}}
MONITOR = [{"name": "policy-mode", "value": "monitor"}]
POLICIES: dict[str, dict[str, Any]] = {
    "chosen": {"kprobes": [getpgid(4201, override(-EROFS), call="sys_sysfs")]},
    "by-kprobe": {"options": BY_KPROBE, "kprobes": [getpgid(4202, override(-EROFS))]},
    # It does not run, and succeeds.
    "nothing": {"options": BY_KPROBE, "kprobes": [getpgid(4203, override(0))]},
    "monitored": {"options": BY_KPROBE + MONITOR, "kprobes": [getpgid(4204, override(-EROFS))]},
    "returning": {"options": BY_KPROBE, "kprobes": [getpgid(4205, override(-EROFS), **RETURNS)]},
    # Another policy goes by what the function returns, which the kprobe makes up.
    "watching": {
        "kprobes": [
            {
                **getpgid(4202),
                **RETURNS,
                "selectors": [
                    {
                        "matchReturnArgs": [
                            {"index": 0, "operator": "Equal", "values": [str(-EROFS)]}
                        ],
                        "matchArgs": [{"index": 0, "operator": "Equal", "values": ["4202"]}],
                        "matchReturnActions": [{"action": "Signal", "argSig": 12}],
                    }
                ],
            }
        ]
    },
    "enforcer": {
        "options": BY_KPROBE,
        "enforcers": [{"calls": ["sys_getsid"]}],
        "kprobes": [
            getpgid(4210, notify(argError=-ENOSPC)),
            getpgid(4211, notify(argError=0, argSig=10)),
        ],
    },
}
FATES = {
    "sysfs 4201": (EROFS, []),
    "getpgid 4202": (EROFS, [12]),
    "getpgid 4203": (0, []),
    "getpgid 4204": (ESRCH, []),
    "getpgid 4205": (EROFS, []),
    "getpgid 4206": (ESRCH, []),
    "armed": (ENOSPC, []),
    "signalled": (0, [10]),
    "unarmed": (0, []),
}

# With the kernel's BTF, then as on a kernel without.
SCRIPT = """
types=
for run in with without; do
    python3 /test/tetrapy.pyz --export-filename /result/events-$run --sensor ebpf $types \\
        --rb-size-total 128K --tracing-policy-dir /policies >/result/log-$run 2>&1 &
    agent=$!
    until grep -q 'Listening for events' /result/log-$run; do
        sleep 0.1; kill -0 $agent || break
    done
    python3 /test/acting.py overridden >/result/answer-$run 2>/result/errors-$run
    sleep 1
    kill -TERM $agent; wait $agent
    cp /sys/kernel/btf/vmlinux /tmp/types; types='--btf /tmp/types'
    mount -t tmpfs none /sys/kernel/btf
done
"""


def expect(result: qemu.GuestResult, run: str) -> None:
    """What became of calls, and what is told of them."""
    log = result.files[f"log-{run}"].decode(errors="replace")
    assert result.files[f"errors-{run}"] == b"", result.files[f"errors-{run}"].decode() + log
    answer = json.loads(result.files[f"answer-{run}"])
    fates = {name: (one["status"], one["heard"]) for name, one in answer["fates"].items()}
    policies = {one["name"]: one for one in answer["listed"]["policies"]}
    assert fates == FATES, (policies, log)
    counted = {name: actions_of(one) for name, one in policies.items()}
    assert counted == {
        **{name: {"override": "1"} for name in POLICIES},
        "monitored": {"monitor_override": "1"},
        "enforcer": {"notify_enforcer": "2"},
        "watching": {"signal": "1"},
    }
    told: dict[str, list[dict[str, Any]]] = {}
    for line in result.files[f"events-{run}"].splitlines():
        for body in json.loads(line).values():
            if isinstance(body, dict) and "policy_name" in body:
                told.setdefault(body["policy_name"], []).append(body)
    assert {name: len(events) for name, events in told.items()} == {
        **dict.fromkeys(POLICIES, 1),
        "enforcer": 2,
    }
    assert told["watching"][0]["return"]["int_arg"] == -EROFS
    assert told["by-kprobe"][0]["action"] == "KPROBE_ACTION_OVERRIDE"
    assert told["returning"][0]["return"]["int_arg"] == -EROFS


@pytest.mark.matrix
def test_system_calls() -> None:
    """By trampolines and by bpf_override_return, which is taken where the former are not."""
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/acting.py": Path(__file__).with_name("acting.py"),
    }
    for name, spec in POLICIES.items():
        head = {"apiVersion": "cilium.io/v1alpha1", "kind": "TracingPolicy"}
        document = {**head, "metadata": {"name": name}, "spec": spec}
        files[f"/policies/{name}.yaml"] = json.dumps(document).encode()
    result = qemu.run(overriding(), SCRIPT, files)
    expect(result, "with")
    expect(result, "without")
