# SPDX-License-Identifier: Apache-2.0
"""What awaits a thread at a policy's enforcers awaits it whatever others do. In guests only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.compile import program
from tests.vm.crowding import NUMBER, SIGNALLED
from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

ENOSPC = 28


def asked(number: int, **what: int) -> dict[str, Any]:
    """A selector of the system call that armed.c makes."""
    equal = {"index": 0, "operator": "Equal", "values": [str(number)]}
    action = {"action": "NotifyEnforcer", "argError": -ENOSPC, **what}
    return {"matchArgs": [equal], "matchActions": [action, {"action": "NoPost"}]}


POLICY = {
    "apiVersion": "cilium.io/v1alpha1",
    "kind": "TracingPolicy",
    "metadata": {"name": "crowd"},
    "spec": {
        "enforcers": [{"calls": ["security_inode_rmdir"]}],
        "kprobes": [
            {
                "call": "sys_getpgid",
                "syscall": True,
                "args": [{"index": 0, "type": "int"}],
                "selectors": [asked(NUMBER), asked(SIGNALLED, argSig=10)],
            }
        ],
    },
}
SCRIPT = """
python3 /test/tetrapy.pyz --export-filename /result/events --sensor ebpf \
    --tracing-policy /test/policy.yaml >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
python3 /test/crowding.py >/result/answer 2>/result/errors
python3 /test/tetrapy.pyz tracingpolicy list -o json >/result/listed
kill -TERM $agent; wait $agent
rm /result/events
"""


@pytest.mark.parametrize("kernel", ["6.1", pytest.param("5.10", marks=pytest.mark.matrix)])
def test_a_crowd_takes_nobody_elses_room(kernel: str) -> None:
    """Neither threads that are gone nor those that wait push out what awaits another; nor does a
    thread get away by exec, nor is another acted on for one that had its number.
    """
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/armed": program("armed"),
        "/test/crowding.py": Path(__file__).with_name("crowding.py"),
        "/test/policy.yaml": json.dumps(POLICY).encode(),
    }
    result = qemu.run(kernels.get(kernel), SCRIPT, files, smp=2)
    log = result.files["log"].decode(errors="replace")
    assert result.files["errors"] == b"", result.files["errors"].decode() + log
    (policy,) = json.loads(result.files["listed"])["policies"]
    assert json.loads(result.files["answer"]) == {
        "again": 0,
        "executed": ENOSPC,
        "early": ENOSPC,
        "flooder": ENOSPC,
        "few_heard": 0,
        "many_heard": 1,
        "late": ENOSPC,
        "early_in_crowd": ENOSPC,
        "afterwards": ENOSPC,
    }, (policy, log)
    (_, signalled) = policy["stats"]["selector_action_counters"]
    assert int(signalled["action_counters"]["signal"]) > 0, signalled
