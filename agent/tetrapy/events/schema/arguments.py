# SPDX-License-Identifier: Apache-2.0
"""What policies read of a call: the message `KprobeArgument`, and those that it may hold."""

from __future__ import annotations

from typing import Dict, Tuple

from tetrapy.events.arguments import BPF_COMMANDS, TAINTS
from tetrapy.events.schema.field import ALWAYS, ONE, SELF, Field, field, unfilled

_PATH = "path as the process sees it"
_PERMISSION = "type and permissions, as ls shows them"
_UNRESOLVED = "`unresolvedPathComponents` for a path that lacks its front"


def _one(
    number: int, name: str, type_: str, help_: str, through: str = "", plain: bool = False
) -> Field:
    """A member of which an argument has one."""
    return field(number, name, type_, help_, ONE, source="value", through=through, plain=plain)


def _file(mount: int, path: int, flags: int, permission: int) -> Tuple[Field, ...]:
    """The rows of a message that is about a file."""
    rows = [
        field(path, "path", "string", _PATH),
        field(flags, "flags", "string", _UNRESOLVED, plain=True),
        field(permission, "permission", "string", _PERMISSION, plain=True),
    ]
    return tuple([unfilled(mount, "mount", "string"), *rows] if mount else rows)


def _program() -> Tuple[Field, ...]:
    return (
        field(1, "ProgType", "string", "type of the program", source="kind", plain=True),
        field(2, "InsnCnt", "uint32", "its instructions", source="instructions"),
        field(3, "ProgName", "string", "its name", source="name"),
    )


ARGUMENT_MESSAGES: Dict[str, Tuple[Field, ...]] = {
    "KprobeArgument": (
        _one(1, "string_arg", "string", "a text"),
        _one(2, "int_arg", "int32", "a number"),
        _one(3, "skb_arg", "KprobeSkb", "a packet"),
        _one(4, "size_arg", "uint64", "a number"),
        _one(5, "bytes_arg", "bytes", "bytes, in base64", through="base64_text", plain=True),
        _one(6, "path_arg", "KprobePath", "a path"),
        _one(7, "file_arg", "KprobeFile", "a file"),
        _one(8, "truncated_bytes_arg", "KprobeTruncatedBytes", "the first of more bytes"),
        _one(9, "sock_arg", "KprobeSock", "a socket"),
        unfilled(10, "cred_arg", "KprobeCred"),
        _one(11, "long_arg", "int64", "a number"),
        _one(12, "bpf_attr_arg", "KprobeBpfAttr", "a BPF program to be loaded"),
        _one(13, "perf_event_arg", "KprobePerfEvent", "a perf event"),
        _one(14, "bpf_map_arg", "KprobeBpfMap", "a BPF map"),
        _one(15, "uint_arg", "uint32", "a number"),
        unfilled(16, "user_namespace_arg", "KprobeUserNamespace"),
        _one(17, "capability_arg", "KprobeCapability", "a capability"),
        _one(19, "process_credentials_arg", "ProcessCredentials", "credentials"),
        _one(20, "user_ns_arg", "UserNamespace", "a user namespace"),
        _one(21, "module_arg", "KernelModule", "a kernel module"),
        _one(22, "kernel_cap_t_arg", "string", "a capability set, in hexadecimal", plain=True),
        _one(23, "cap_inheritable_arg", "string", "the same", plain=True),
        _one(24, "cap_permitted_arg", "string", "the same", plain=True),
        _one(25, "cap_effective_arg", "string", "the same", plain=True),
        _one(26, "linux_binprm_arg", "KprobeLinuxBinprm", "the file of an execution"),
        unfilled(27, "net_dev_arg", "KprobeNetDev"),
        _one(28, "bpf_cmd_arg", "BpfCmd", "a command of bpf(2)"),
        _one(29, "syscall_id", "SyscallId", "a system call"),
        _one(30, "sockaddr_arg", "KprobeSockaddr", "an internet address"),
        _one(31, "bpf_prog_arg", "KprobeBpfProg", "a BPF program"),
        _one(32, "error_arg", "KprobeError", "what could not be read"),
        _one(33, "sockaddrun_arg", "KprobeSockaddrUn", "the address of a unix socket"),
        field(18, "label", "string", "the argument's label, as the policy has it"),
    ),
    "KprobeSock": (
        field(1, "family", "string", "`AF_*`, or its number", plain=True),
        field(2, "type", "string", "`SOCK_*`, or its number", source="kind", plain=True),
        field(3, "protocol", "string", "`IPPROTO_*`, or its number", plain=True),
        field(4, "mark", "uint32", "mark of its packets"),
        field(5, "priority", "uint32", "priority of its packets"),
        field(6, "saddr", "string", "its own address", plain=True),
        field(7, "daddr", "string", "the peer's address", plain=True),
        field(8, "sport", "uint32", "its own port"),
        field(9, "dport", "uint32", "the peer's port"),
        field(10, "cookie", "uint64", "tells it from others: the kernel's address of it"),
        field(11, "state", "string", "`TCP_*`, or its number", plain=True),
    ),
    "KprobeSkb": (
        field(1, "hash", "uint32", "hash of the flow"),
        field(2, "len", "uint32", "bytes", source="length"),
        field(3, "priority", "uint32", "its priority"),
        field(4, "mark", "uint32", "its mark"),
        field(5, "saddr", "string", "source address", plain=True),
        field(6, "daddr", "string", "destination address", plain=True),
        field(7, "sport", "uint32", "source port"),
        field(8, "dport", "uint32", "destination port"),
        field(9, "proto", "uint32", "number of the protocol"),
        field(10, "sec_path_len", "uint32", "transformations by IPsec"),
        field(11, "sec_path_olen", "uint32", "those that were offloaded"),
        field(12, "protocol", "string", "`IPPROTO_*`, or its number", plain=True),
        field(13, "family", "string", "`AF_*`, or its number", plain=True),
    ),
    "KprobeSockaddr": (
        field(1, "family", "string", "`AF_*`, or its number", plain=True),
        field(2, "addr", "string", "the address", source="address", plain=True),
        field(3, "port", "uint32", "the port"),
    ),
    "KprobeSockaddrUn": (
        field(1, "family", "string", "`AF_UNIX`", plain=True),
        field(2, "path", "string", "its path; an abstract name begins with `@`"),
    ),
    "KprobeNetDev": (unfilled(1, "name", "string"),),
    "KprobePath": _file(1, 2, 3, 4),
    "KprobeFile": _file(1, 2, 3, 4),
    "KprobeLinuxBinprm": _file(0, 1, 2, 3),
    "KprobeTruncatedBytes": (
        field(1, "bytes_arg", "bytes", "the first bytes, in base64", source="data",
              through="base64_text", plain=True),
        field(2, "orig_size", "uint64", "how many there were", source="size"),
    ),
    "KprobeCred": (
        unfilled(1, "permitted", "[CapabilitiesType]"),
        unfilled(2, "effective", "[CapabilitiesType]"),
        unfilled(3, "inheritable", "[CapabilitiesType]"),
    ),
    "KprobeCapability": (
        field(1, "value", "Int32Value", "its number", ALWAYS, source="number"),
        field(2, "name", "string", "its name", plain=True),
    ),
    "KprobeUserNamespace": (
        unfilled(1, "level", "Int32Value"),
        unfilled(2, "owner", "UInt32Value"),
        unfilled(3, "group", "UInt32Value"),
        unfilled(4, "ns", "Namespace"),
    ),
    "KprobeBpfAttr": _program(),
    "KprobeBpfProg": _program(),
    "KprobePerfEvent": (
        field(1, "KprobeFunc", "string", "the function that it is attached to", source="function"),
        field(2, "Type", "string", "its type", source="kind", plain=True),
        field(3, "Config", "uint64", "its configuration", source="config"),
        field(4, "ProbeOffset", "uint64", "where in the function", source="offset"),
    ),
    "KprobeBpfMap": (
        field(1, "MapType", "string", "type of the map", source="kind", plain=True),
        field(2, "KeySize", "uint32", "bytes of a key", source="key_size"),
        field(3, "ValueSize", "uint32", "bytes of a value", source="value_size"),
        field(4, "MaxEntries", "uint32", "the most entries", source="max_entries"),
        field(5, "MapName", "string", "its name", source="name"),
    ),
    "KprobeError": (field(1, "Message", "string", "what went wrong", source=SELF),),
    "SyscallId": (
        field(1, "id", "uint32", "its number", source="number"),
        field(2, "abi", "string", "whose number it is: `x64`, `i386`, `arm64`, `arm32`",
              plain=True),
    ),
    "KernelModule": (
        field(1, "name", "string", "its name"),
        field(2, "signature_ok", "BoolValue", "whether its signature is right"),
        field(3, "tainted", "[TaintedBitsType]", "how it taints the kernel"),
    ),
    "StackTraceEntry": (
        field(1, "address", "uint64", "the address", setting="expose-stack-addresses"),
        field(2, "offset", "uint64", "bytes behind the symbol, or in the file"),
        field(3, "symbol", "string", "the function"),
        field(4, "module", "string", "the file that is mapped there"),
    ),
}  # fmt: skip

ARGUMENT_ENUMS: Dict[str, Dict[str, int]] = {
    "KprobeAction": {
        f"KPROBE_ACTION_{name}": number
        for number, name in enumerate(
            "UNKNOWN POST FOLLOWFD SIGKILL UNFOLLOWFD OVERRIDE COPYFD GETURL DNSLOOKUP NOPOST"
            " SIGNAL TRACKSOCK UNTRACKSOCK NOTIFYENFORCER CLEANUPENFORCERNOTIFICATION SET".split()
        )
    },
    "BpfCmd": {name: number for number, name in enumerate(BPF_COMMANDS)},
    "TaintedBitsType": {"TAINT_UNSET": 0, **TAINTS},
}
