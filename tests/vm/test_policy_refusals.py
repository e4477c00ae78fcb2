# SPDX-License-Identifier: Apache-2.0
"""Policies that the real Tetragon refuses are refused here, and those that it takes are taken.

The recordings are those of test_policies.py.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.vm.guests import PYZ
from tests.vm.test_policies import recording
from tools.guest import kernels, qemu

# Taken by Tetragon, and refused here: what it asks for filters nothing there.
REFUSED_HERE = frozenset({"e32-prefix-on-int"})
# Refused by Tetragon unless a setting makes the map that it needs; here it needs none.
TAKEN_HERE = frozenset({"e70-parent-binaries-off"})

_SCRIPT = """
python3 /test/tetrapy.pyz --sensor ebpf --tracing-policy-dir /policies >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
python3 /test/tetrapy.pyz policy list --json >/result/list.json
kill -TERM $agent; wait $agent
"""


@pytest.mark.matrix
def test_what_tetragon_refuses() -> None:
    """All at once in one guest, each with a reason of its own."""
    cases = sorted((recording() / "cases").glob("e[0-9]*"))
    files: dict[str, qemu.Content] = {"/test/tetrapy.pyz": PYZ, "/gl/gl": Path("/bin/true")}
    for case in cases:
        files[f"/policies/{case.name}.yaml"] = case / "policy.yaml"
    result = qemu.run(kernels.get("6.1"), _SCRIPT, files, append="lsm=bpf")
    found = {
        Path(one["file"]).stem: one for one in json.loads(result.files["list.json"])["policies"]
    }
    wrong = {}
    for case in cases:
        one = found[case.name]
        refused = case.joinpath("error.txt").exists() and case.name not in TAKEN_HERE
        if (one["state"] == "load_error") != (refused or case.name in REFUSED_HERE):
            wrong[case.name] = one["error"] or one["state"]
        elif one["state"] == "load_error":
            assert len(one["error"]) > 20, one
    assert not wrong
