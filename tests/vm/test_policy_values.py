# SPDX-License-Identifier: Apache-2.0
"""Values of kernel functions' arguments, on the oldest and on a middling kernel: a program does
what is known, and the events say it.
"""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.vm.guests import PYZ
from tools.guest import kernels, qemu

STACKS = {"action": "Post", "kernelStackTrace": True, "userStackTrace": True}
LO, UDP, PORT, LOCAL = (
    {"index": index, "operator": operator, "values": values}
    for index, operator, values in (
        (1, "Equal", ["lo"]),
        (2, "Protocol", ["IPPROTO_UDP"]),
        (2, "DPort", ["7301"]),
        (2, "DAddr", ["127.0.0.0/8"]),
    )
)


def prefix(index: int) -> dict[str, Any]:
    return {"index": index, "operator": "Prefix", "values": ["/tmp/pv"]}


HOOKS: list[tuple[str, dict[int, str], list[dict[str, Any]]]] = [
    ("commit_creds", {0: "cred"}, []),
    ("cap_capable", {1: "user_namespace", 2: "capability"}, []),
    ("bpf_check", {1: "bpf_attr"}, []),
    ("bpf_prog_kallsyms_add", {0: "bpf_prog"}, []),
    ("security_bpf_map_alloc", {0: "bpf_map"}, []),
    ("security_perf_event_alloc", {0: "perf_event"}, []),
    ("ip_output", {2: "skb"}, [{"matchArgs": [UDP, PORT, LOCAL]}]),
    ("ip6_output", {2: "skb"}, []),
    ("do_unlinkat", {1: "filename"}, [{"matchArgs": [prefix(1)], "matchActions": [STACKS]}]),
    ("dev_hard_start_xmit", {1: "net_device"}, [{"matchArgs": [LO]}]),
    ("generic_file_write_iter", {0: "kiocb"}, [{"matchArgs": [prefix(0)]}]),
]
# Filters that look into what is called with, and returned: each fails once and holds once.
SEARCHING: list[dict[str, Any]] = [
    {
        "call": "do_filp_open",
        "syscall": False,
        "return": True,
        "returnArg": {"index": 0, "type": "file"},
        "args": [{"index": 1, "type": "filename"}],
        "selectors": [
            {
                "matchArgs": [{"index": 1, "operator": "Prefix", "values": ["/tmp/"]}],
                "matchReturnArgs": [
                    {"index": 0, "operator": "SubStringIgnCase", "values": ["PV-FI", "nothing"]}
                ],
            }
        ],
    },
    {
        "call": "sys_write",
        "syscall": True,
        "return": True,
        "returnArg": {"index": 0, "type": "int64"},
        "args": [{"index": 1, "type": "char_buf", "sizeArgIndex": 3}],
        "selectors": [
            {
                "matchArgs": [{"index": 1, "operator": "Equal", "values": ["12", "3" * 600]}],
                "matchReturnArgs": [{"operator": "CelExpr", "values": ["arg0 - 300 > 200"]}],
            }
        ],
    },
]
LOAD = """
import ctypes, os, resource, socket, struct, time
resource.setrlimit(resource.RLIMIT_MEMLOCK, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
libc = ctypes.CDLL(None, use_errno=True)
for port in (7301, 7302):
    socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", port))
socket.socket(socket.AF_INET6, socket.SOCK_DGRAM).sendto(b"x", ("::1", 7303))
def call(number, command, data):
    buffer = ctypes.create_string_buffer(data.ljust(128, b"\\0"), 128)
    words = (buffer, 0, -1, -1, 0) if command is None else (command, buffer, 72)
    assert libc.syscall(number, *words) >= 0, (number, command, ctypes.get_errno())
call(321, 0, struct.pack("<4I12x", 2, 4, 8, 3) + b"mymap")
code = ctypes.create_string_buffer(bytes.fromhex("b7000000000000009500000000000000"))
text = ctypes.create_string_buffer(b"GPL")
code_at, text_at = ctypes.addressof(code), ctypes.addressof(text)
call(321, 5, struct.pack("<IIQQ24x", 1, 2, code_at, text_at) + b"myprog")
call(298, None, struct.pack("<IIQ", 1, 112, 9))
file = os.open("/tmp/pv-file", os.O_CREAT | os.O_WRONLY, 0o600)
for text in (b"12", b"3" * 600, b"3" * 599 + b"4"):
    os.write(file, text)
os.close(os.open("/tmp/pv-other", os.O_CREAT | os.O_WRONLY, 0o600))
os.unlink("/tmp/pv-file")
time.sleep(3)
os.setgid(5)
os.setuid(4)
"""
SCRIPT = """
python3 /test/tetrapy.pyz --export-filename /result/events --sensor ebpf \
    --tracing-policy /policy.json >/result/log 2>&1 &
agent=$!
until grep -q 'Listening for events' /result/log; do sleep 0.1; kill -0 $agent || break; done
python3 /load.py >/result/load 2>&1
sleep 1
kill -TERM $agent; wait $agent
"""


def policy() -> str:
    """One hook for each type; a function that a kernel lacks may be missing."""
    hooks = [
        {
            "call": function,
            "syscall": False,
            "args": [{"index": index, "type": kind} for index, kind in types.items()],
            "selectors": selectors,
            "ignore": {"callNotFound": True},
        }
        for function, types, selectors in HOOKS
    ]
    return json.dumps(
        {
            "apiVersion": "cilium.io/v1alpha1",
            "kind": "TracingPolicy",
            "metadata": {"name": "values"},
            "spec": {"kprobes": hooks + SEARCHING},
        }
    )


@pytest.mark.matrix
@pytest.mark.parametrize("kernel", ["5.10", "6.1"])
def test_values_of_kernel_functions(kernel: str, tmp_path: Path) -> None:
    """Each type once, with what is known of the value; filters hold what they hold."""
    files: dict[str, qemu.Content] = {
        "/test/tetrapy.pyz": PYZ,
        "/policy.json": policy().encode(),
        "/load.py": LOAD.encode(),
    }
    result = qemu.run(kernels.get(kernel), SCRIPT, files)
    assert result.files["load"] == b"", result.files["load"].decode()
    called: dict[str, list[Any]] = {}
    for line in result.files["events"].splitlines():
        body = json.loads(line).get("process_kprobe")
        if body and body["process"].get("arguments") == "/load.py":  # the agent is Python, too
            called.setdefault(body["function_name"], []).append(body)

    def values(function: str) -> list[Any]:
        return [body["args"][0] for body in called[function]]

    program = {"ProgType": "BPF_PROG_TYPE_SOCKET_FILTER", "InsnCnt": 2, "ProgName": "myprog"}
    assert {"bpf_attr_arg": program} in values("bpf_check")
    assert {"bpf_prog_arg": program} in values("bpf_prog_kallsyms_add")
    if "security_bpf_map_alloc" in called:
        made = {"MapType": "BPF_MAP_TYPE_ARRAY", "KeySize": 4, "ValueSize": 8, "MaxEntries": 3}
        assert {"bpf_map_arg": {**made, "MapName": "mymap"}} in values("security_bpf_map_alloc")
    event = {"Type": "PERF_TYPE_SOFTWARE", "Config": "9"}
    assert {"perf_event_arg": event} in values("security_perf_event_alloc")
    last = values("commit_creds")[-1]["process_credentials_arg"]
    assert (last["uid"], last["gid"], last["caps"], last["user_ns"]["level"]) == (4, 5, {}, 0)
    setuid = {"capability_arg": {"value": 7, "name": "CAP_SETUID"}}
    assert setuid in [body["args"][1] for body in called["cap_capable"]]
    assert [one["skb_arg"]["dport"] for one in values("ip_output")] == [7301]
    packets = [one["skb_arg"] for one in values("ip6_output")]
    assert ("::1", 7303, "IPPROTO_UDP") in [
        (one["daddr"], one.get("dport"), one["protocol"]) for one in packets
    ]
    assert {one["string_arg"] for one in values("dev_hard_start_xmit")} == {"lo"}
    opened, *others = called["do_filp_open"]
    assert (opened["return"]["file_arg"]["path"], others) == ("/tmp/pv-file", [])
    (written,) = called["__x64_sys_write"]
    assert written["return"] == {"long_arg": "600"}
    assert base64.b64decode(written["args"][0]["bytes_arg"]) == b"3" * 600
    assert values("generic_file_write_iter")[0]["file_arg"]["path"] == "/tmp/pv-file"
    (unlinked,) = called["do_unlinkat"]
    assert unlinked["args"] == [{"string_arg": "/tmp/pv-file"}]
    assert unlinked["kernel_stack_trace"][0]["symbol"] == "do_unlinkat"
    # The system call jumps there in some kernels, and leaves nothing on the stack.
    assert "do_syscall_64" in [one["symbol"] for one in unlinked["kernel_stack_trace"][1:]]
    assert unlinked["user_stack_trace"][0]["symbol"] == "unlink"
    assert not any("address" in one for one in unlinked["user_stack_trace"])
