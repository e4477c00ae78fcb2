# SPDX-License-Identifier: Apache-2.0
"""A kernel in a configuration of our own, without BTF, as appliances have it. In a guest.

The archive knows none like it (tools/guest/built_kernel.py): its types are found in memory.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.vm.guests import PYZ
from tools.guest import qemu
from tools.guest.built_kernel import appliance
from tools.guest.kernels import Kernel

POLICY = {
    "apiVersion": "cilium.io/v1alpha1",
    "kind": "TracingPolicy",
    "metadata": {"name": "files"},
    "spec": {
        "tracepoints": [
            {
                "subsystem": "syscalls",
                "event": "sys_enter_close",
                "args": [{"index": 5, "type": "fd"}],
                "selectors": [
                    {"matchArgs": [{"index": 5, "operator": "Postfix", "values": ["/wanted"]}]}
                ],
            }
        ]
    },
}

SCRIPT = """
python3 /test/tetrapy.pyz --sensor ebpf --export-filename /result/events \\
    --enable-process-ns --enable-process-cred --tracing-policy /test/files.yaml \\
    >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.2; kill -0 $agent || break; done
mkdir -p /tmp/here && cd /tmp/here && echo >wanted
python3 -c '
import os
open("/result/coded", "w").write(str(os.getpid()))
os.execl("/bin/busybox", "sh", "-c", "exit 7", "first", "second word")'
sh -c 'echo $$ >/result/killed; kill -SEGV $$'
busybox cat wanted
python3 -c '
import os
os.setresgid(4202, 4202, 4202)
os.setresuid(4201, 4201, 4201)
os.execl("/bin/busybox", "busybox", "true", "as another")'
sleep 1
kill -TERM $agent; wait $agent; echo $? >/result/code
ls /proc/self/ns >/result/kinds 2>&1
"""


class Answer:
    """What a guest says."""

    def __init__(self, kernel: Kernel) -> None:
        files: dict[str, qemu.Content] = {
            "/test/tetrapy.pyz": PYZ,
            "/test/files.yaml": json.dumps(POLICY),
        }
        self.files = qemu.run(kernel, SCRIPT, files, memory=1024).files
        self.log = self.files["log"].decode(errors="replace")
        self.events = [json.loads(line) for line in self.files.get("events", b"").splitlines()]

    def of(self, kind: str, pid: int) -> dict[str, Any]:
        """The last event of this kind of a process."""
        found = [one[kind] for one in self.events if kind in one]
        return [one for one in found if one["process"]["pid"] == pid][-1]

    def pid(self, name: str) -> int:
        """That of a process which wrote it down."""
        return int(self.files[name])

    def with_arguments(self, text: str) -> dict[str, Any]:
        """The process that was executed with these."""
        found = [one["process_exec"]["process"] for one in self.events if "process_exec" in one]
        (process,) = [one for one in found if one.get("arguments") == text]
        return dict(process)


@pytest.fixture(scope="module", params=[appliance], ids=["appliance"])
def answer(request: pytest.FixtureRequest) -> Answer:
    return Answer(request.param())


def test_the_types_are_found_in_memory(answer: Answer) -> None:
    """No known layout is its own, the scan's is confirmed, and the agent ends well."""
    assert "BTF discovery: inferred from the memory of the running kernel" in answer.log
    assert "used unchecked" not in answer.log
    assert answer.files["code"] == b"0\n", answer.log


def test_lives(answer: Answer) -> None:
    """Binary, arguments, directory, parent, start and end are as they were."""
    coded = answer.of("process_exit", answer.pid("coded"))
    process = coded["process"]
    assert process["binary"] == "/bin/busybox"
    assert process["arguments"] == '-c "exit 7" first "second word"'
    assert process["cwd"] == "/tmp/here"
    assert process["flags"] == "execve"
    assert process["uid"] == 0
    assert coded["status"] == 7
    assert process["start_time"] <= coded["time"]
    killed = answer.of("process_exit", answer.pid("killed"))
    assert killed["signal"] == "SIGSEGV"


def test_credentials(answer: Answer) -> None:
    """Ids and capabilities, with or without user namespaces."""
    process = answer.with_arguments('true "as another"')
    assert process["uid"] == 4201
    credentials = process["process_credentials"]
    assert (credentials["euid"], credentials["egid"]) == (4201, 4202)
    assert process["cap"].get("effective", []) == []


def test_what_it_is_built_without(answer: Answer) -> None:
    """A kind of namespaces that the kernel lacks has no number; nobody is in a container."""
    kinds = answer.files["kinds"].decode().split()
    process = answer.with_arguments('true "as another"')
    numbered = [kind for kind, shown in process["ns"].items() if "inum" in shown]
    assert set(numbered) <= set(kinds)
    assert not [one for one in answer.events if "docker" in json.dumps(one)]


def test_a_policy(answer: Answer) -> None:
    """A descriptor as argument, and a selector by the path of its file."""
    found = [one["process_tracepoint"] for one in answer.events if "process_tracepoint" in one]
    paths = {one["args"][0]["file_arg"]["path"] for one in found}
    assert paths == {"/tmp/here/wanted"}, answer.log
