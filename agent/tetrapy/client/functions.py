# SPDX-License-Identifier: Apache-2.0
"""How calls of kernel functions look in compact lines: icon, label, and which arguments are shown.

A function that has no row is shown by its name alone. What is missing, or of another type than the
function has, is shown as nothing, or as the 0 or empty text that protobuf reads there.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Tuple

from tetrapy.client.colors import Colors
from tetrapy.go_quoting import shown
from tetrapy.named import NamedTuple
from tetrapy.visible import printable

Argument = Dict[str, Any]  # the message KprobeArgument
Detail = Callable[[List[Argument], Colors], str]
Heading = Tuple[str, str]  # icon, label


class Look(NamedTuple):
    """What a call looks like."""

    heading: Callable[[List[Argument]], Heading]
    details: Tuple[Detail, ...]


_UNKNOWN = "❓"
_PREFIXES = ("__x64_", "__arm64_", "__ia32_")
# Flags of setns(2) (include/uapi/linux/sched.h).
_NAMESPACES = {
    0: "any",
    0x00000080: "time",
    0x00020000: "mnt",
    0x02000000: "cgroup",
    0x04000000: "uts",
    0x08000000: "ipc",
    0x10000000: "user",
    0x20000000: "pid",
    0x40000000: "net",
}


def look_of(function: str) -> Look:
    """The row of a function, with or without an architecture's prefix of system calls."""
    for prefix in _PREFIXES:
        if function.startswith(prefix):
            return FUNCTIONS.get(function[len(prefix) :]) or _plain(function)
    return FUNCTIONS.get(function) or _plain(function)


def _plain(function: str) -> Look:
    return _call(_UNKNOWN, "syscall", lambda args, colors: printable(function))


def _call(icon: str, label: str, *details: Detail) -> Look:
    return Look(lambda args: (icon, label), details)


def _message(at: int, member: str, args: List[Argument]) -> Dict[str, Any]:
    """The message in an argument; an empty one if it has another member."""
    found: Dict[str, Any] = args[at].get(member, {})
    return found


def _file(at: int) -> Detail:
    """The path of a file, shown only if the argument is one."""

    def detail(args: List[Argument], colors: Colors) -> str:
        if len(args) <= at or "file_arg" not in args[at]:
            return ""
        return colors.cyan(shown(args[at]["file_arg"].get("path", "")))

    return detail


def _cyan(at: int, text: Callable[[List[Argument]], str]) -> Detail:
    """A text made of the arguments, if there is one at this place."""
    return lambda args, colors: colors.cyan(text(args)) if len(args) > at else ""


def _text(at: int) -> Detail:
    return _cyan(at, lambda args: shown(args[at].get("string_arg", "")))


def _uid(args: List[Argument]) -> str:
    return str(args[0].get("int_arg", 0))


def _size(args: List[Argument]) -> str:
    return f"{args[2].get('size_arg', '0')} bytes"


def _namespace(args: List[Argument], colors: Colors) -> str:
    return _NAMESPACES.get(args[1].get("int_arg", 0), "") if len(args) > 1 else ""


def _socket(args: List[Argument]) -> str:
    sock = _message(0, "sock_arg", args)
    source = f"{sock.get('saddr', '')}:{sock.get('sport', 0)}"
    return printable(f"tcp {source} -> {sock.get('daddr', '')}:{sock.get('dport', 0)}")


def _sent(args: List[Argument], colors: Colors) -> str:
    return f"bytes {args[1].get('int_arg', 0) if len(args) > 1 else 0}"


def _program(args: List[Argument]) -> str:
    program = _message(0, "bpf_attr_arg", args)
    named = f"{program.get('ProgType', '')} {program.get('ProgName', '')}"
    return printable(f"{named} instruction count {program.get('InsnCnt', 0)}")


def _perf_event(args: List[Argument]) -> str:
    event = _message(0, "perf_event_arg", args)
    return printable(f"{event.get('Type', '')} {event.get('KprobeFunc', '')}")


def _map(args: List[Argument]) -> str:
    found = _message(0, "bpf_map_arg", args)
    sizes = f"key size {found.get('KeySize', 0)} value size {found.get('ValueSize', 0)}"
    entries = f"max entries {found.get('MaxEntries', 0)}"
    return printable(f"{found.get('MapType', '')} {found.get('MapName', '')} {sizes} {entries}")


def _path(at: int, member: str) -> Detail:
    """The path of an argument at place 0, if there are as many as `at` and one more."""
    return _cyan(at, lambda args: shown(_message(0, member, args).get("path", "")))


def _permission(args: List[Argument]) -> Heading:
    # MAY_WRITE and MAY_READ of include/linux/fs.h.
    names = {2: ("📝", "write"), 4: ("📚", "read")}
    mask = args[1].get("int_arg", 0) if len(args) > 1 else 0
    return names.get(mask, (_UNKNOWN, "security_file_permission"))


def _mapping(args: List[Argument]) -> Heading:
    if len(args) < 2:
        return _UNKNOWN, "security_mmap_file"
    protection = args[1].get("uint_arg", 0)
    return "📝", "mmap-" + "".join(
        letter for bit, letter in ((1, "r"), (2, "w"), (4, "x")) if protection & bit
    )


def _truncation(function: str) -> Callable[[List[Argument]], Heading]:
    return lambda args: ("📝", "truncate") if args else (_UNKNOWN, function)


_MAP_CREATION = _call("🗺", "bpf_map_create", _cyan(0, _map))

FUNCTIONS: Dict[str, Look] = {
    "sys_write": _call("📝", "write", _file(0), _cyan(2, _size)),
    "sys_read": _call("📚", "read", _file(0), _cyan(2, _size)),
    "fd_install": _call("📬", "open", _file(1)),
    # These two icons end in a character that asks for colour (U+FE0F).
    "sys_openat": _call("📬\ufe0f", "openat", _text(1)),
    "sys_open": _call("📬\ufe0f", "open", _text(1)),
    "sys_close": _call("📪", "close", _file(0)),
    "sys_mount": _call("💾", "mount", _text(0), _text(1)),
    "sys_pivot_root": _call("💾", "pivot_root", _text(0), _text(1)),
    "sys_setuid": _call("🔑", "setuid", _cyan(0, _uid)),
    "sys_clock_settime": _call("⏰", "clock_settime"),
    "proc_exec_connector": _call("🔧", "proc_exec_connector"),
    "sys_setns": _call("🔧", "setns", _namespace),
    "tcp_connect": _call("🔌", "connect", _cyan(0, _socket)),
    "tcp_close": _call("🧹", "close", _cyan(0, _socket)),
    "tcp_sendmsg": _call("📤", "sendmsg", _cyan(0, _socket), _sent),
    "bpf_check": _call("🐝", "bpf_load", _cyan(0, _program)),
    "security_perf_event_alloc": _call("🐝", "perf_event_alloc", _cyan(0, _perf_event)),
    "security_bpf_map_alloc": _MAP_CREATION,
    "security_bpf_map_create": _MAP_CREATION,
    "security_file_permission": Look(_permission, (_path(1, "file_arg"),)),
    "security_mmap_file": Look(_mapping, (_path(1, "file_arg"),)),
    "security_path_truncate": Look(_truncation("security_path_truncate"), (_path(0, "path_arg"),)),
    "security_file_truncate": Look(_truncation("security_file_truncate"), (_path(0, "file_arg"),)),
}
"""Function, without an architecture's prefix -> its look."""
