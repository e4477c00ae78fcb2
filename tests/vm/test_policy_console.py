# SPDX-License-Identifier: Apache-2.0
"""A policy that matches all system calls leaves a machine that can be used. In guests only."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

POLICY = {
    "apiVersion": "cilium.io/v1alpha1",
    "kind": "TracingPolicy",
    "metadata": {"name": "all"},
    "spec": {
        "tracepoints": [
            {"subsystem": "raw_syscalls", "event": event, "args": [{"index": 4, "type": "int64"}]}
            for event in ("sys_enter", "sys_exit")
        ]
    },
}
SCRIPT = """
python3 /test/tetrapy.pyz --export-filename /result/events --sensor ebpf \\
    --export-file-max-size-mb 1000 --tracing-policy /test/policy.yaml >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
python3 /test/console.py /result/log >/result/answer 2>/result/errors
kill -TERM $agent; wait $agent
grep -a process_throttle /result/events >/result/throttles
rm /result/events
"""


@pytest.mark.matrix
def test_a_console_can_be_used() -> None:
    """A user logs in, has commands run and logs out while two others flood the policy.

    That it is throttled is in the log, in events and in the list.
    """
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/console.py": Path(__file__).with_name("console.py"),
        "/test/policy.yaml": json.dumps(POLICY).encode(),
    }
    result = qemu.run(kernels.get("6.1"), SCRIPT, files, smp=2)
    log = result.files["log"].decode(errors="replace")
    assert result.files["errors"] == b"", result.files["errors"].decode() + log
    got: dict[str, Any] = json.loads(result.files["answer"])
    assert got["throttled"], log
    assert (got["logged_in"], got["ended"]) == (True, True), got["shown"]
    (policy,) = got["listed"]["policies"]
    assert policy["throttled"], policy
    assert b"policy static//all, uid 123" in result.files["throttles"]
