# SPDX-License-Identifier: Apache-2.0
"""Structures of the kernel, as the programs send them -> arguments of events."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.calls import CallWorld, body, call, kprobe, socket, value
from tests.support.records import policy_btf
from tetrapy.abi import layout
from tetrapy.sensors.policy.hook import HookValue

ERROR = {"error_arg": {"Message": "Bad address for basic type"}}
HOST = {"level": 0, "uid": 0, "gid": 5, "ns": {"inum": 4026531837, "is_host": True}}


def packed(structure: str, **fields: Any) -> bytes:
    """The structure; members that are not named are zero, `__` stands for a dot."""
    found = layout.struct_layout(policy_btf(), structure)
    given = {name.replace("__", "."): content for name, content in fields.items()}
    assert not set(given) - set(found.members)
    values = {
        name: given.get(name, b"" if member.format.endswith("s") else 0)
        for name, member in found.members.items()
    }
    return bytes(layout.unpacker(found, list(values)).pack(*values.values()))


PACKET = socket(
    family=2,
    protocol=17,
    source=bytes([127, 0, 0, 1]),
    destination=bytes([10, 0, 0, 1]),
    source_port=1000,
    destination_port=53,
    mark=7,
    priority=6,
) + packed("call_packet", hash=99, length=61, transformations=1)

CASES: list[tuple[str, bytes, dict[str, Any]]] = [
    (
        "skb",
        PACKET,
        {
            "skb_arg": {
                "hash": 99,
                "len": 61,
                "priority": 6,
                "mark": 7,
                "saddr": "127.0.0.1",
                "daddr": "10.0.0.1",
                "sport": 1000,
                "dport": 53,
                "proto": 17,
                "sec_path_len": 1,
                "protocol": "IPPROTO_UDP",
                "family": "AF_INET",
            }
        },
    ),
    (
        "user_namespace",
        packed("call_user_namespace", gid=5, inode=4026531837),
        {"user_ns_arg": HOST},
    ),
    (
        "cred",
        packed(
            "call_credentials",
            uid=1,
            euid=2,
            fsgid=3,
            effective=1 << 21,
            user_namespace__level=2,
            user_namespace__inode=8,
        ),
        {
            "process_credentials_arg": {
                "uid": 1,
                "gid": 0,
                "euid": 2,
                "egid": 0,
                "suid": 0,
                "sgid": 0,
                "fsuid": 0,
                "fsgid": 3,
                "caps": {"effective": ["CAP_SYS_ADMIN"]},
                "user_ns": {"level": 2, "uid": 0, "gid": 0, "ns": {"inum": 8}},
            }
        },
    ),
    (
        "bpf_attr",
        packed("call_bpf_program", type=29, instructions=7, name=b"guard"),
        {"bpf_attr_arg": {"ProgType": "BPF_PROG_TYPE_LSM", "InsnCnt": 7, "ProgName": "guard"}},
    ),
    (
        "bpf_prog",
        packed("call_bpf_program", type=99, name=b"0123456789abcdef"),
        {"bpf_prog_arg": {"ProgType": "99", "ProgName": "0123456789abcdef"}},
    ),
    (
        "bpf_map",
        packed("call_bpf_map", type=27, max_entries=4096, name=b"ring\0junk"),
        {
            "bpf_map_arg": {
                "MapType": "BPF_MAP_TYPE_RINGBUF",
                "MaxEntries": 4096,
                "MapName": "ring",
            }
        },
    ),
    (
        "perf_event",
        packed("call_perf_event", type=1, config=9, offset=4, function=b"do_it"),
        {
            "perf_event_arg": {
                "KprobeFunc": "do_it",
                "Type": "PERF_TYPE_SOFTWARE",
                "Config": "9",
                "ProbeOffset": "4",
            }
        },
    ),
    (
        "module",
        packed("call_module", name=b"dummy", taints=1 | 4096),
        {
            "module_arg": {
                "name": "dummy",
                "tainted": ["TAINT_PROPRIETARY_MODULE", "TAINT_OUT_OF_TREE_MODULE"],
            }
        },
    ),
    (
        "load_info",
        packed("call_module", name=b"dummy", signature_ok=1),
        {"module_arg": {"name": "dummy", "signature_ok": True}},
    ),
]


@pytest.mark.parametrize(("kind", "data", "expected"), CASES)
def test_a_structure(world: CallWorld, kind: str, data: bytes, expected: dict[str, Any]) -> None:
    """Each is the message that Tetragon has for it; one that was not readable is an error."""
    hook = world.hooks.add(kprobe()._replace(values=(HookValue(kind, "x"),)))
    (one,) = body(world, call(hook, value(0, data)))["args"]
    assert one == {**expected, "label": "x"}
    (one,) = body(world, call(hook, value(0, b"", "CALL_VALUE_ERROR")))["args"]
    assert one == {**ERROR, "label": "x"}
