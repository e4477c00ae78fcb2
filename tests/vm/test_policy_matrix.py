# SPDX-License-Identifier: Apache-2.0
"""Which kinds of hooks, types and operators a kernel takes: what docs/policies.md says of it."""

from __future__ import annotations

import json

import pytest

from tests.support.compile import program
from tests.vm import policy_matrix as matrix
from tests.vm.guests import PYZ
from tests.vm.matrix_actions import PROBES, PROGRAM, SETTABLE
from tools.guest import qemu

_SCRIPT = """
python3 /test/tetrapy.pyz --sensor ebpf --tracing-policy-dir /policies --allow-policy-requests \
    --export-filename /dev/null >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
python3 /test/tetrapy.pyz policy list --json >/result/list.json
kill -TERM $agent; wait $agent
"""

_MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}


@pytest.mark.matrix
@pytest.mark.parametrize("kernel", matrix.KERNELS, ids="on-{}".format)
def test_the_table_is_true(kernel: str) -> None:
    """All policies in one guest; each is enabled, or refused for the reason that the table gives.

    Where that changed on purpose, `python3 -m tests.vm.policy_matrix` takes it over.
    """
    guest = matrix.kernel(kernel)
    files: dict[str, qemu.Content] = {"/test/tetrapy.pyz": PYZ}
    for path in (PROGRAM, PROBES, SETTABLE):
        files[path] = program(path.rpartition("/")[2], _MACHINES[guest.arch])
    for name, text in matrix.documents(guest.arch).items():
        files[f"/policies/{name}.json"] = text.encode()
    result = qemu.run(guest, _SCRIPT, files, append="lsm=bpf")
    assert result.files["list.json"], result.files["log"].decode(errors="replace")
    listed = json.loads(result.files["list.json"])["policies"]
    found = {"release": guest.release, "rows": matrix.found(listed)}
    matrix.LEFT.mkdir(parents=True, exist_ok=True)
    (matrix.LEFT / f"{kernel}.json").write_text(json.dumps(found))
    known = json.loads(matrix.DATA.read_text()).get(kernel, {"rows": {}})["rows"]
    # Of rows that are newer than the column the table says nothing.
    assert {
        heading: {row: found["rows"][heading][row] for row in rows}
        for heading, rows in known.items()
    } == known
