# SPDX-License-Identifier: Apache-2.0
"""Hashes of files by IMA, in events of LSM hooks. Guests have such hooks."""

from __future__ import annotations

import hashlib
import json
from typing import Any

import pytest

from tests.support.compile import program
from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

HASHING = {"action": "Post", "imaHash": True}
EROFS = 30
FILES = {"opened": b"opened\n" * 5000, "plain": b"plain", "refused": b"refused"}


def hook(name: str, kind: str, *selectors: tuple[str, list[Any]]) -> dict[str, Any]:
    """An LSM hook with a selector for each path, and its actions."""
    return {
        "hook": name,
        "args": [{"index": 0, "type": kind}],
        "selectors": [
            {
                "matchArgs": [{"index": 0, "operator": "Equal", "values": [f"/test/{path}"]}],
                "matchActions": actions,
            }
            for path, actions in selectors
        ],
    }


POLICIES = {
    "hash": [
        hook(
            "file_open",
            "file",
            ("opened", [HASHING]),
            ("plain", [{"action": "Post"}]),
            ("refused", [HASHING, {"action": "Override", "argError": -EROFS}]),
        ),
        hook("file_lock", "file", ("opened", [HASHING])),
        hook("bprm_check_security", "linux_binprm", ("settable", [HASHING])),
    ],
    "hashless": [{"hook": "inode_rmdir", "selectors": [{"matchActions": [HASHING]}]}],
}

# Twice each: the second call finds what the first one left.
SCRIPT = """
python3 /test/tetrapy.pyz --export-filename /result/events --sensor ebpf \\
    --tracing-policy-dir /policies >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
for turn in 1 2; do
    for name in opened plain refused; do busybox cat /test/$name >/dev/null; done
    /test/settable 1
    python3 -c "import fcntl; fcntl.flock(open('/test/opened'), fcntl.LOCK_EX)"
done
python3 /test/tetrapy.pyz policy list --json >/result/list
sleep 1
kill -TERM $agent; wait $agent
python3 /test/tetrapy.pyz --sensor ebpf --use-perf-ring-buffer \\
    --tracing-policy-dir /policies >/result/perf-log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/perf-log; do sleep 0.1; kill -0 $agent || break; done
python3 /test/tetrapy.pyz policy list --json >/result/perf-list
kill -TERM $agent; wait $agent
"""


class Answer:
    """What a guest says."""

    def __init__(self, kernel: str) -> None:
        files: dict[str, qemu.Content] = {"/test/tetrapy.pyz": PYZ}
        files["/test/settable"] = program("settable")
        for name, data in FILES.items():
            files[f"/test/{name}"] = data
        for name, hooks in POLICIES.items():
            document = {
                "apiVersion": "cilium.io/v1alpha1",
                "kind": "TracingPolicy",
                "metadata": {"name": name},
                "spec": {"lsmhooks": hooks},
            }
            files[f"/policies/{name}.yaml"] = json.dumps(document).encode()
        result = qemu.run(kernels.get(kernel), SCRIPT, files, append="lsm=bpf")
        self.log = result.files["log"].decode(errors="replace")
        listed = json.loads(result.files["list"])["policies"]
        self.errors = {one["name"]: one["error"] for one in listed}
        listed = json.loads(result.files["perf-list"])["policies"]
        self.perf_errors = {one["name"]: one["error"] for one in listed}
        events = map(json.loads, result.files["events"].splitlines())
        self.events = [event["process_lsm"] for event in events if "process_lsm" in event]

    def of(self, function: str, path: str) -> list[dict[str, Any]]:
        """The events of a hook with a file."""
        member = "linux_binprm_arg" if function.startswith("bprm_") else "file_arg"
        return [
            one
            for one in self.events
            if one["function_name"] == function and one["args"][0][member]["path"] == path
        ]


def hashed(data: bytes, event: dict[str, Any]) -> bool:
    """Whether an event has the hash, by whatever algorithm the kernel prefers."""
    name, _, digest = event.get("ima_hash", "").partition(":")
    return bool(name) and digest == hashlib.new(name, data).hexdigest()


def expect_hashes(answer: Answer) -> None:
    """In events of the selectors that ask for them, where the call goes on."""
    assert answer.errors["hash"] == "", answer.log
    ran = answer.of("bprm_check_security", "/test/settable")
    assert [hashed(program("settable").read_bytes(), one) for one in ran] == [True] * 2, ran
    locked = answer.of("file_lock", "/test/opened")
    assert [hashed(FILES["opened"], one) for one in locked] == [True] * 2, (locked, answer.log)
    # A file that is just being opened cannot be read yet: it is reported without.
    opened = answer.of("file_open", "/test/opened")
    assert ["ima_hash" in one for one in opened] == [False] * 4
    plain = answer.of("file_open", "/test/plain")
    assert ["ima_hash" in one for one in plain] == [False] * 2
    # The hook behind is not called, so that there is nothing to wait for.
    refused = answer.of("file_open", "/test/refused")
    assert [one["action"] for one in refused] == ["KPROBE_ACTION_OVERRIDE"] * 2
    assert ["ima_hash" in one for one in refused] == [False] * 2
    assert "inode_rmdir has no file that could be hashed" in answer.errors["hashless"]
    assert "needs the ring buffer, and this agent reads perf" in answer.perf_errors["hash"]


def test_hashes() -> None:
    """On a kernel that has the function."""
    expect_hashes(Answer("6.1"))


@pytest.mark.matrix
@pytest.mark.parametrize("kernel", ["6.12", "7"], ids="on-{}".format)
def test_hashes_on_newer_kernels(kernel: str) -> None:
    """Which hold pointers to more."""
    expect_hashes(Answer(kernel))


@pytest.mark.matrix
def test_an_old_kernel_says_what_it_lacks() -> None:
    """The rest of the policy's kind works there."""
    answer = Answer("5.10")
    assert "this kernel has no bpf_ima_file_hash()" in answer.errors["hash"]
    assert not answer.events
