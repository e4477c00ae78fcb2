# SPDX-License-Identifier: Apache-2.0
"""A policy that refuses acts on all calls, however many processes share a processor.

Linux 7 preempts a task wherever it is. What a program at an LSM hook puts together is in one of a
few places of its processor: those who were preempted there took all of them, and 4 calls of 10 of
two dozen processes were not looked at.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

PROCESSES, OPENS = 24, 3000
FILE = "/tmp/refused/" + "directory/" * 40 + "file"
POLICY = {
    "apiVersion": "cilium.io/v1alpha1",
    "kind": "TracingPolicy",
    "metadata": {"name": "refused"},
    "spec": {
        "lsmhooks": [
            {
                "hook": "file_open",
                "args": [{"index": 0, "type": "file"}],
                "selectors": [
                    {
                        "matchArgs": [{"index": 0, "operator": "Equal", "values": [FILE]}],
                        "matchActions": [{"action": "Override", "argError": -13}],
                    }
                ],
            }
        ]
    },
}
SCRIPT = f"""
mkdir -p {FILE.rpartition("/")[0]}; chmod -R 755 /tmp/refused; touch {FILE}
python3 /test/tetrapy.pyz --sensor ebpf --tracing-policy /test/policy.yaml >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
python3 /test/crowded.py {PROCESSES} {OPENS} {FILE} >/result/opened 2>&1
kill -TERM $agent; wait $agent
"""


@pytest.mark.matrix
def test_a_crowd_is_refused_too() -> None:
    """Not one call in a thousand succeeds: who loses the place of his call begins it again."""
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/crowded.py": Path(__file__).with_name("crowded.py"),
        "/test/policy.yaml": json.dumps(POLICY),
    }
    result = qemu.run(kernels.get("7"), SCRIPT, files, smp=2, append="lsm=bpf")
    log = result.files["log"].decode(errors="replace")
    assert int(result.files["opened"]) < PROCESSES * OPENS / 1000, log
