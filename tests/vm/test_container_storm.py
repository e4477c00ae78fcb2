# SPDX-License-Identifier: Apache-2.0
"""Ten thousand containers that live for a moment leave nothing behind in the agent."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

FIRST, LAST = 2_000, 10_000
GROWTH = 2 << 20  # bytes; a container that stayed would cost about 1 kB
SCRIPT = f"""
mkdir -p /state/containers
python3 /test/tetrapy.pyz --export-filename /result/events --sensor ebpf \\
    --export-file-max-size-mb 1000 --container-directories /state >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
python3 /test/container_storm.py $agent /state {FIRST} {LAST} >/result/memory 2>/result/errors
sleep 2
kill -TERM $agent; wait $agent
grep -c '"process_exec".*"storm ' /result/events >/result/execs
grep '"process_exec".*"storm ' /result/events | grep -c '"name":"box' >/result/named
rm /result/events
"""


@pytest.mark.matrix
@pytest.mark.parametrize("kernel", ["6.1", "6.12"])
def test_memory(kernel: str) -> None:
    """Whether the runtime knows them or not, and all of them are reported; with their names those
    that it still knows when it is asked.
    """
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/test/container_storm.py": Path(__file__).with_name("container_storm.py"),
    }
    result = qemu.run(kernels.get(kernel), SCRIPT, files, smp=2, memory=1024)
    log = result.files["log"].decode(errors="replace")
    assert result.files["errors"] == b"", result.files["errors"].decode() + log
    before, after = json.loads(result.files["memory"])
    assert int(result.files["execs"]) == LAST, log
    assert int(result.files["named"]) > 0, log
    print(before, after, result.files["named"])
    assert after - before < GROWTH, (before, after)
