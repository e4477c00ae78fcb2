# SPDX-License-Identifier: Apache-2.0
"""The policies that tetrapy carries, all at once in a guest: each tells of what it is for, and of
nothing that is like it.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.vm.guests import PYZ
from tetrapy.policy.read import read_policy
from tools.guest import kernels, qemu

NAMES = sorted(path.stem for path in (ROOT / "policies").glob("*.yaml"))

SCRIPT = """
busybox mkdir -p /root/.ssh /mnt /usr/bin /etc
busybox cp /bin/busybox /usr/bin/dpkg
for file in etc/shadow etc/hostname root/.ssh/authorized_keys usr/bin/new; do echo a > /$file; done
busybox ip link set lo up; busybox ip address add 192.0.2.1/24 dev lo
set --; for name in $(busybox cat /names); do set -- "$@" --tracing-policy library:$name; done
python3 /test/tetrapy.pyz --export-filename /result/events --sensor ebpf "$@" >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
python3 /test/tetrapy.pyz policy list --json >/result/list
python3 /deeds.py >/result/load 2>/result/errors
sleep 1
kill -TERM $agent; wait $agent
"""


# A module would have to be loaded, and guests have none.
UNTRIED = {("kernel-modules", "do_init_module")}


@pytest.mark.matrix
def test_the_library(tmp_path: Path) -> None:
    """All are loaded whole; each of their hooks tells of a deed, and none of what is like them."""
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/names": " ".join(NAMES).encode(),
        "/deeds.py": Path(__file__).with_name("deeds.py"),
    }
    result = qemu.run(kernels.get("6.1"), SCRIPT, files).files
    (tmp_path / "log").write_bytes(result["log"])
    listed = json.loads(result["list"])["policies"]
    states = {one["name"]: (one["state"], one["error"]) for one in listed}
    assert states == dict.fromkeys(NAMES, ("enabled", ""))
    assert result["errors"] == b""
    rows = [line.split() for line in result["load"].decode().splitlines()]
    deeds = {(name, what): int(pid) for name, what, pid in rows}
    hooks = {
        (name, hook.call)
        for name in NAMES
        for hook in read_policy((ROOT / f"policies/{name}.yaml").read_text()).policy.spec.kprobes
    }
    assert deeds.keys() == hooks - UNTRIED | {(name, "like") for name in NAMES}
    calls = [json.loads(line).get("process_kprobe") for line in result["events"].splitlines()]
    reported = {
        (body["policy_name"], body["function_name"].removeprefix("__x64_"), body["process"]["pid"])
        for body in calls
        if body
    }
    assert {one for one in hooks - UNTRIED if (*one, deeds[one]) not in reported} == set()
    known = {(policy, pid) for policy, _, pid in reported}
    assert [name for name in NAMES if (name, deeds[name, "like"]) in known] == []
