# SPDX-License-Identifier: Apache-2.0
"""Who floods a policy that acts is not told of, and acted on all the same. In guests only."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

USR1, SIGKILL = {"action": "Signal", "argSig": 10}, {"action": "Sigkill"}


def selector(action: dict[str, Any], *numbers: int) -> dict[str, Any]:
    values = [str(number) for number in numbers]
    equal = {"index": 0, "operator": "Equal", "values": values}
    return {"matchArgs": [equal], "matchActions": [action]}


POLICY = {
    "apiVersion": "cilium.io/v1alpha1",
    "kind": "TracingPolicy",
    "metadata": {"name": "flooded"},
    "spec": {
        "kprobes": [
            {
                "call": "sys_getpgid",
                "syscall": True,
                "args": [{"index": 0, "type": "int"}],
                "selectors": [selector(USR1, 4101), selector(SIGKILL, 4102, 4103)],
            }
        ]
    },
}
SCRIPT = """
python3 /test/tetrapy.pyz --export-filename /result/events --sensor ebpf --policy-cpu-share 5 \
    --export-file-max-size-mb 1000 --tracing-policy /test/policy.yaml >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
python3 /test/throttled.py >/result/answer 2>/result/errors
sleep 1
kill -TERM $agent; wait $agent
grep -a '"int_arg":410[23]' /result/events >/result/told
rm /result/events
"""


@pytest.mark.parametrize("kernel", ["6.1", pytest.param("5.10", marks=pytest.mark.matrix)])
def test_who_is_silent_is_acted_on(kernel: str) -> None:
    """Each of his calls; what he is killed for is not told, what another one is killed for is."""
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/throttled.py": Path(__file__).with_name("throttled.py"),
        "/test/policy.yaml": json.dumps(POLICY).encode(),
    }
    result = qemu.run(kernels.get(kernel), SCRIPT, files, smp=2)
    log = result.files["log"].decode(errors="replace")
    assert result.files["errors"] == b"", result.files["errors"].decode() + log
    got = json.loads(result.files["answer"])
    assert got["said"], log
    assert got["fates"] == {"silent": -9, "other": -9, "flooder": 0}
    (policy,) = got["listed"]["policies"]
    (hook,) = policy["stats"]["hook_counters"]
    names = ("matched", "acted")
    counts = [tuple(int(one[name]) for name in names) for one in hook["selectors"]]
    assert counts == [(got["calls"],) * 2, (2, 2)]
    assert re.findall(rb'"int_arg":(\d+)', result.files["told"]) == [b"4103"]
    assert "A policy is throttled:" not in log
