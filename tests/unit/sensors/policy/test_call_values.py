# SPDX-License-Identifier: Apache-2.0
"""The values of calls -> arguments of events."""

from __future__ import annotations

import stat
from typing import Any

import pytest

from tests.support.calls import (
    CallWorld,
    body,
    call,
    kprobe,
    number,
    socket,
    value,
)
from tetrapy.policy.names import ARGUMENT_TYPES
from tetrapy.sensors.policy import chunks
from tetrapy.sensors.policy.hook import KPROBE, LSM, TRACEPOINT, UPROBE, Hook, HookValue
from tetrapy.sensors.policy.value_decoders import DECODERS

ERROR = {"error_arg": {"Message": "Bad address for basic type"}}
LATER = {  # types whose values the kernel side does not read yet
    *"auto".split(),
    "nop",
}


def argument(world: CallWorld, kind: str, record: bytes, **more: Any) -> Any:
    """The only argument of a hook that reads a value of this type."""
    hook = kprobe(**more)._replace(values=(HookValue(kind, "x"),))
    made = body(world, call(world.hooks.add(hook), record))
    (one,) = made["args"]
    assert one.pop("label", "x") == "x"
    return one


INTEGERS = [
    ("int", -(2**31), "int_arg"),
    ("int8", -128, "int_arg"),
    ("sint16", 32767, "int_arg"),
    ("uint8", 255, "uint_arg"),
    ("uint16", 65535, "uint_arg"),
    ("uint32", 2**32 - 1, "uint_arg"),
    ("int64", -(2**63), "long_arg"),
    ("long", -1, "long_arg"),
    ("ulong", 2**64 - 1, "size_arg"),
    ("size_t", 0, "size_arg"),
]


@pytest.mark.parametrize(("kind", "content", "member"), INTEGERS)
def test_numbers(world: CallWorld, kind: str, content: int, member: str) -> None:
    """Each in the member that Tetragon has it in; those of 64 bits are texts."""
    expected = str(content) if member in {"long_arg", "size_arg"} else content
    assert argument(world, kind, number(0, content)) == {member: expected}
    assert argument(world, kind, number(0, content, "CALL_VALUE_ERROR")) == ERROR


FILE = stat.S_IFREG | 0o4644
DIGITS = "00000000000000ff"
OTHERS = [
    ("string", value(0, b"a\xffb\xc3\xa9"), {"string_arg": "a\ufffdb\u00e9"}),
    ("string", value(0, b"", "CALL_VALUE_ERROR"), ERROR),
    ("string", value(0, b"x" * 4096, "CALL_VALUE_CUT"), {"string_arg": "x" * 4096}),
    ("filename", value(0, b""), {"string_arg": ""}),
    ("char_buf", value(0, b"\0\xff", detail=2), {"bytes_arg": "AP8="}),
    ("char_buf", value(0, b"", detail=0), {"bytes_arg": ""}),
    (
        "char_buf",
        value(0, b"ab", "CALL_VALUE_CUT", detail=9),
        {"truncated_bytes_arg": {"bytes_arg": "YWI=", "orig_size": "9"}},
    ),
    (
        "char_buf",
        value(0, b"", "CALL_VALUE_ERROR", detail=9),
        {"bytes_arg": "Q2hhckJ1ZkVycm9yUGFnZUZhdWx0"},  # CharBufErrorPageFault
    ),
    (
        "file",
        value(0, b"/a", detail=FILE),
        {"file_arg": {"path": "/a", "permission": "-rwSr--r--"}},
    ),
    (
        "fd",
        value(0, b"/a", "CALL_VALUE_DELETED", detail=stat.S_IFIFO | 0o600),
        {"file_arg": {"path": "/a (deleted)", "permission": "prw-------"}},
    ),
    ("fd", value(0, b"", "CALL_VALUE_ERROR"), ERROR),
    (
        "path",
        value(0, b"/a", "CALL_VALUE_PARTIAL", detail=stat.S_IFDIR | 0o1777),
        {
            "path_arg": {
                "path": "/a",
                "flags": "unresolvedPathComponents",
                "permission": "drwxrwxrwt",
            }
        },
    ),
    ("dentry", value(0, b"/a"), {"path_arg": {"path": "/a", "permission": "---------"}}),
    (
        "linux_binprm",
        value(0, b"/a", detail=stat.S_IFREG | 0o2755),
        {"linux_binprm_arg": {"path": "/a", "permission": "-rwxr-sr-x"}},
    ),
    ("bpf_cmd", number(0, 5), {"bpf_cmd_arg": "BPF_PROG_LOAD"}),
    ("bpf_cmd", number(0, 999), {"int_arg": 999}),
    ("capability", number(0, 1), {"capability_arg": {"value": 1, "name": "DAC_OVERRIDE"}}),
    ("capability", number(0, 99), {"capability_arg": {"value": 99}}),
    ("kernel_cap_t", number(0, 255), {"kernel_cap_t_arg": DIGITS}),
    ("cap_effective", number(0, 255), {"cap_effective_arg": DIGITS}),
    ("cap_permitted", number(0, 255), {"cap_permitted_arg": DIGITS}),
    ("cap_inheritable", number(0, 255), {"cap_inheritable_arg": DIGITS}),
    ("kernel_cap_t", number(0, 0, "CALL_VALUE_ERROR"), ERROR),
    (
        "sock",
        value(0, socket(family=1, type=5, protocol=0, state=7, cookie=2**63)),
        {
            "sock_arg": {
                "family": "AF_UNIX",
                "type": "SOCK_SEQPACKET",
                "protocol": "IPPROTO_IP",
                "saddr": "invalid IP",
                "daddr": "invalid IP",
                "cookie": str(2**63),
                "state": "TCP_CLOSE",
            }
        },
    ),
    (
        "socket",
        value(
            0,
            socket(
                family=10,
                type=99,
                protocol=58,
                source=bytes(10) + b"\xff\xff\x01\x02\x03\x04",
                destination=bytes(12) + b"\1\2\3\4",
                source_port=1,
                destination_port=65535,
                mark=3,
                priority=4,
            ),
        ),
        {
            "sock_arg": {
                "family": "AF_INET6",
                "type": "99",
                "protocol": "58",
                "mark": 3,
                "priority": 4,
                "saddr": "::ffff:1.2.3.4",
                "daddr": "::102:304",
                "sport": 1,
                "dport": 65535,
                "state": "0",
            }
        },
    ),
    ("sock", value(0, b"", "CALL_VALUE_ERROR"), ERROR),
    (
        "sockaddr",
        value(0, socket(family=2, source=b"\x7f\0\0\1", source_port=53)),
        {"sockaddr_arg": {"family": "AF_INET", "addr": "127.0.0.1", "port": 53}},
    ),
    (
        "sockaddr_un",
        value(0, b"name", "CALL_VALUE_ABSTRACT", detail=1),
        {"sockaddrun_arg": {"family": "AF_UNIX", "path": "@name"}},
    ),
]


@pytest.mark.parametrize(("kind", "record", "expected"), OTHERS)
def test_values(world: CallWorld, kind: str, record: bytes, expected: Any) -> None:
    """Every type that the kernel side reads, as Tetragon shows it, and what cannot be read."""
    assert argument(world, kind, record) == expected


def test_every_type_has_a_decoder() -> None:
    """Or is among those that the kernel side does not read, so that no policy gets that far."""
    assert set(DECODERS) | LATER == set(ARGUMENT_TYPES)
    assert not set(DECODERS) & LATER


@pytest.mark.parametrize(
    ("machine", "content", "expected"),
    [
        ("x86_64", 59, {"id": 59, "abi": "x64"}),
        ("x86_64", 0x8000_000B, {"id": 11, "abi": "i386"}),
        ("aarch64", 221, {"id": 221, "abi": "arm64"}),
        ("aarch64", 0x8000_000B, {"id": 11, "abi": "arm32"}),
    ],
)
def test_system_calls(
    world: CallWorld,
    machine: str,
    content: int,
    expected: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """With the ABI whose number it is."""
    uname = type("uname", (), {"machine": machine})
    monkeypatch.setattr("tetrapy.sensors.policy.value_decoders.os.uname", lambda: uname)
    assert argument(world, "syscall64", number(0, content)) == {"syscall_id": expected}


def test_values_in_any_order(world: CallWorld) -> None:
    """Those that filters ask for come first; hidden and absent ones are left out."""
    values = (
        HookValue("int", "first"),
        HookValue("nop"),
        HookValue("string"),
        HookValue("file", role="hidden"),
        HookValue("uint64", "d", role="data"),
    )
    hook = world.hooks.add(Hook(KPROBE, "p", ("f",), values))
    made = body(
        world,
        call(hook, value(3, b"/bin/it"), number(4, 5), value(2, b"t"), number(0, 7)),
    )
    assert made["args"] == [{"int_arg": 7, "label": "first"}, {"string_arg": "t"}]
    assert made["data"] == [{"size_arg": "5", "label": "d"}]


def test_labels_are_where_tetragon_has_them(world: CallWorld) -> None:
    """Not in tracepoints, and not with addresses."""
    values = (HookValue("int", "a"), HookValue("sockaddr_un", "b"))
    records = number(0, 1), value(1, b"x", detail=1)
    for kind, target, labels in (
        (KPROBE, ("f",), ["a", None]),
        (LSM, ("f",), ["a", None]),
        (UPROBE, ("/bin/it", "f"), ["a", None]),
        (TRACEPOINT, ("s", "e"), [None, None]),
    ):
        made = body(world, call(world.hooks.add(Hook(kind, "p", target, values)), *records))
        assert [one.get("label") for one in made["args"]] == labels


def test_the_family_of_a_socket_in_a_tracepoint(world: CallWorld) -> None:
    """Tetragon names three there."""
    hook = Hook(TRACEPOINT, "p", ("s", "e"), (HookValue("sock"),))
    for family, expected in ((2, "AF_INET"), (16, None)):
        made = body(world, call(world.hooks.add(hook), value(0, socket(family=family))))
        assert made["args"][0]["sock_arg"].get("family") == expected


def test_bytes_of_several_records(world: CallWorld) -> None:
    """They come before the record of the call; those of one that was lost are not another's."""
    hook = kprobe()._replace(values=(HookValue("int"), HookValue("char_buf", "x")))
    ident = world.hooks.add(hook)

    def chunk(data: bytes, at: int) -> bytes:
        return call(ident, value(1, data), flags=["CALL_CHUNK"], at=at)

    for record in (chunk(b"lost", 1), chunk(b"cd", 2), chunk(b"ef", 2)):
        assert world.calls.on_call(record) is None
    whole = value(1, b"ab", "CALL_VALUE_CUT", detail=6)
    made = body(world, call(ident, number(0, 1), whole, at=2))
    assert made["args"] == [{"int_arg": 1}, {"bytes_arg": "YWJjZGVm", "label": "x"}]
    assert world.calls.on_call(chunk(b"cd", 3)) is None
    made = body(world, call(ident, number(0, 1), whole, at=3))
    cut = {"bytes_arg": "YWJjZA==", "orig_size": "6"}
    assert made["args"][1] == {"truncated_bytes_arg": cut, "label": "x"}


def test_chunks_have_a_bound() -> None:
    """Of calls, and of bytes."""
    kept = chunks.Chunks()
    for number_of_call in range(2 * chunks.MAX_CALLS):
        kept.add((1, 1, number_of_call), 0, b"x")
    assert len(kept.waiting) == chunks.MAX_CALLS
    kept.add((1, 1, 0), 0, bytes(chunks.MAX_BYTES + 1))
    assert len(kept.waiting) == 0
