# SPDX-License-Identifier: Apache-2.0
"""What a policy reads of a call: Tetragon's message `KprobeArgument`, and those that it may hold.

Texts that a process chooses may have any characters; those in fields that the schema calls plain
have nothing that JSON escapes.
"""

from __future__ import annotations

from typing import Any, Dict, Optional, Tuple

from tetrapy.events.credentials import Capabilities
from tetrapy.events.cut import cut, json_size
from tetrapy.events.namespaces import Namespace
from tetrapy.named import NamedTuple

UNRESOLVED = "unresolvedPathComponents"  # flags of a path that is not whole

TAINTS: Dict[str, int] = {
    "TAINT_PROPRIETARY_MODULE": 1,
    "TAINT_FORCED_MODULE": 2,
    "TAINT_FORCED_UNLOAD_MODULE": 4,
    "TAINT_STAGED_MODULE": 1024,
    "TAINT_OUT_OF_TREE_MODULE": 4096,
    "TAINT_UNSIGNED_MODULE": 8192,
    "TAINT_KERNEL_LIVE_PATCH_MODULE": 32768,
    "TAINT_TEST_MODULE": 262144,
}
"""Why a module taints the kernel: the bits of enum TaintedBitsType."""

BPF_COMMANDS: Tuple[str, ...] = tuple(
    f"BPF_{name}"
    for name in (
        "MAP_CREATE MAP_LOOKUP_ELEM MAP_UPDATE_ELEM MAP_DELETE_ELEM MAP_GET_NEXT_KEY PROG_LOAD"
        " OBJ_PIN OBJ_GET PROG_ATTACH PROG_DETACH PROG_TEST_RUN PROG_GET_NEXT_ID MAP_GET_NEXT_ID"
        " PROG_GET_FD_BY_ID MAP_GET_FD_BY_ID OBJ_GET_INFO_BY_FD PROG_QUERY RAW_TRACEPOINT_OPEN"
        " BTF_LOAD BTF_GET_FD_BY_ID TASK_FD_QUERY MAP_LOOKUP_AND_DELETE_ELEM MAP_FREEZE"
        " BTF_GET_NEXT_ID MAP_LOOKUP_BATCH MAP_LOOKUP_AND_DELETE_BATCH MAP_UPDATE_BATCH"
        " MAP_DELETE_BATCH LINK_CREATE LINK_UPDATE LINK_GET_FD_BY_ID LINK_GET_NEXT_ID ENABLE_STATS"
        " ITER_CREATE LINK_DETACH PROG_BIND_MAP TOKEN_CREATE"
    ).split()
)


class Argument(NamedTuple):
    """A value; `member` is the field of the message that it is."""

    member: str
    value: Any  # of the member's type: str, int, bytes, or a tuple below
    label: str = ""


class File(NamedTuple):
    """Messages `KprobeFile`, `KprobePath`, `KprobeLinuxBinprm`."""

    path: str
    flags: str
    permission: str


class TruncatedBytes(NamedTuple):
    """Message `KprobeTruncatedBytes`: the first bytes of `size`."""

    data: bytes
    size: int


class Sock(NamedTuple):
    """Message `KprobeSock`."""

    family: str
    kind: str
    protocol: str
    mark: int
    priority: int
    saddr: str
    daddr: str
    sport: int
    dport: int
    cookie: int
    state: str


class Skb(NamedTuple):
    """Message `KprobeSkb`."""

    hash: int
    length: int
    priority: int
    mark: int
    saddr: str
    daddr: str
    sport: int
    dport: int
    proto: int
    sec_path_len: int
    sec_path_olen: int
    protocol: str
    family: str


class Sockaddr(NamedTuple):
    """Message `KprobeSockaddr`."""

    family: str
    address: str
    port: int


class SockaddrUn(NamedTuple):
    """Message `KprobeSockaddrUn`."""

    family: str
    path: str


class Capability(NamedTuple):
    """Message `KprobeCapability`."""

    number: int
    name: str


class Syscall(NamedTuple):
    """Message `SyscallId`."""

    number: int
    abi: str


class UserNamespace(NamedTuple):
    """Message `UserNamespace`."""

    level: int
    uid: int
    gid: int
    ns: Namespace


class CallerCredentials(NamedTuple):
    """Message `ProcessCredentials` as an argument, with all that it may have."""

    uid: int
    gid: int
    euid: int
    egid: int
    suid: int
    sgid: int
    fsuid: int
    fsgid: int
    securebits: int
    caps: Capabilities
    user_ns: UserNamespace


class Program(NamedTuple):
    """Messages `KprobeBpfAttr` and `KprobeBpfProg`."""

    kind: str
    instructions: int
    name: str


class BpfMap(NamedTuple):
    """Message `KprobeBpfMap`."""

    kind: str
    key_size: int
    value_size: int
    max_entries: int
    name: str


class PerfEvent(NamedTuple):
    """Message `KprobePerfEvent`."""

    function: str
    kind: str
    config: int
    offset: int


class Module(NamedTuple):
    """Message `KernelModule`."""

    name: str
    signature_ok: Optional[bool]
    tainted: Tuple[str, ...]  # names of enum TaintedBitsType


class StackEntry(NamedTuple):
    """Message `StackTraceEntry`; `address` is 0 unless the settings ask for it."""

    address: int
    offset: int
    symbol: str
    module: str


def long_bytes(argument: Argument) -> int:
    """The bytes of JSON of what an argument may have much of."""
    value = argument.value
    if isinstance(value, str):
        return json_size(value)
    if isinstance(value, (File, SockaddrUn)):
        return json_size(value.path)
    data = value.data if isinstance(value, TruncatedBytes) else value
    return len(data) * 4 // 3 if isinstance(data, bytes) else 0


def shortened(argument: Argument, most: int) -> Argument:
    """The argument with at most so many bytes of JSON of that; those that can say so say it."""
    value = argument.value
    if isinstance(value, str):
        return argument._replace(value=cut(value, most))
    if isinstance(value, (File, SockaddrUn)):
        path = cut(value.path, most)
        if len(path) < len(value.path):
            value = value._replace(path=path)
            if isinstance(value, File):
                value = value._replace(flags=UNRESOLVED)
        return argument._replace(value=value)
    room = max(most * 3 // 4, 0)
    if isinstance(value, TruncatedBytes):
        return argument._replace(value=value._replace(data=value.data[:room]))
    if isinstance(value, bytes) and len(value) > room:
        cut_value = TruncatedBytes(value[:room], len(value))
        return Argument("truncated_bytes_arg", cut_value, argument.label)
    return argument
