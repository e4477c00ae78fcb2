# SPDX-License-Identifier: Apache-2.0
"""Recorded events -> calls that the reference model of selectors decides on.

What an event does not have cannot be decided on: namespaces and capabilities are reported only
where the agent was asked for them (--enable-process-ns, --enable-process-cred), changes never. A
root directory that a process changed in the host's mount namespace is not in events either: its
paths count as the host's.
"""

from __future__ import annotations

import socket
from base64 import b64decode
from typing import Any, Callable, Dict, List, Mapping, NoReturn, Optional, Sequence, Tuple

from tetrapy.errors import TetrapyError
from tetrapy.named import NamedTuple
from tetrapy.policy import names
from tetrapy.policy.functions import BITS_32
from tetrapy.policy.model import Call, Elsewhere, File, Known, Socket
from tetrapy.policy.types import Argument

Message = Mapping[str, Any]

HOOK_EVENTS = {
    "process_kprobe": ("kprobes", "fentries"),
    "process_tracepoint": ("tracepoints",),
    "process_uprobe": ("uprobes",),
    "process_lsm": ("lsmhooks",),
    "process_usdt": ("usdts",),
}
"""Kind of event -> the sections of policies whose hooks make it."""

# Field of an argument -> the type that `auto` stands for.
_AUTOMATIC = {
    "int_arg": "int32",
    "uint_arg": "uint32",
    "long_arg": "int64",
    "size_arg": "uint64",
    "string_arg": "string",
    "bytes_arg": "char_buf",
}
_S_IFMT = {"-": 0o100000, "d": 0o040000, "l": 0o120000, "c": 0o020000, "b": 0o060000,
           "p": 0o010000, "s": 0o140000}  # fmt: skip
_NAMESPACES = {
    "Uts": "uts", "Ipc": "ipc", "Mnt": "mnt", "Pid": "pid", "PidForChildren": "pid_for_children",
    "Net": "net", "Time": "time", "TimeForChildren": "time_for_children", "Cgroup": "cgroup",
    "User": "user",
}  # fmt: skip
_PLACES = ("mnt", "user")  # namespaces that decide what is at a path, and who may change that
_ELSEWHERE = -1  # no inode number: of the host's namespace where the event shows another one


class UndecidedError(TetrapyError):
    """The event does not say what a selector asks for."""


class Recorded(NamedTuple):
    """A call that an event tells of, and what the model needs besides."""

    call: Call
    arguments: Tuple[Argument, ...]  # with the types that they have
    host: Mapping[str, int]  # inode numbers of the host's namespaces


class _Unknown(Dict[str, Any]):
    """A mapping of which nothing is known."""

    def __init__(self, why: str) -> None:
        super().__init__()
        self._why = why

    def __missing__(self, key: str) -> NoReturn:
        raise UndecidedError(self._why)

    def __and__(self, other: object) -> NoReturn:
        raise UndecidedError(self._why)

    __sub__ = __and__


class _Unplaced(Elsewhere):
    """A path of which the event does not say whose file is there."""

    def is_hosts(self) -> bool:
        raise UndecidedError(
            "the event has no namespaces, and only a program of the host's is left out by its path:"
            " record with --enable-process-ns"
        )


def recorded(hook: Any, body: Message, *, by_path: bool = False) -> Recorded:
    """The call of an event of this hook. Raises UndecidedError for one that fits no such hook.

    `by_path`: the policy leaves out programs by their paths, whosever files are there.
    """
    given: List[Message] = list(body.get("args", ()))
    if getattr(hook, "returns", False) and "return" not in body and len(given) > len(hook.args):
        given.pop()  # what the function of a program returned
    if len(given) != len(hook.args):
        raise UndecidedError(
            f"the event has {len(given)} arguments, and the policy {len(hook.args)}: record it by a"
            " copy of this policy (tetrapy policy record)"
        )
    arguments = tuple(map(_typed, hook.args, given))
    data = tuple(getattr(hook, "data", ()))
    process: Message = body.get("process", {})
    older = [body.get("parent", {}), *body.get("ancestors", ())]
    path = _path if by_path else _placed_path
    binaries = tuple(path(one) for one in older if one.get("binary"))
    namespaces, host = _namespaces(process)
    call = Call(
        tuple(map(_value, arguments, given)),
        tuple(map(_value, data, body.get("data", ()))),
        returned=_returned(hook, body),
        binary=path(process),
        lineage=(path(process), *binaries),
        parent_binary=binaries[0] if binaries else b"",
        parent_lineage=binaries,
        pid=int(process.get("pid", 0)),
        pids=(int(process.get("pid", 0)), *(int(one.get("pid", 0)) for one in older)),
        namespaces=namespaces,
        capabilities=_capabilities(process),
        # It raises when it is looked at, so no type fits.
        namespace_changes=_Unknown("events do not tell which namespaces have changed"),  # type: ignore[arg-type]
        capability_changes=_Unknown("events do not tell which capabilities have changed"),
    )
    return Recorded(call, arguments, host)


def _path(process: Message) -> bytes:
    return str(process.get("binary", "")).encode("utf-8", "surrogateescape")


def _placed_path(process: Message) -> bytes:
    """The same, and whether it is the host's: with the host's mounts and user namespace."""
    path, shown = _path(process), process.get("ns")
    if process.get("docker"):
        return Elsewhere(path)
    if not shown:
        return _Unplaced(path)
    return path if all(shown.get(one, {}).get("is_host") for one in _PLACES) else Elsewhere(path)


def _typed(argument: Argument, value: Message) -> Argument:
    if argument.type != names.AUTO:
        return argument
    kind = next((_AUTOMATIC[member] for member in value if member in _AUTOMATIC), "")
    if not kind:
        raise UndecidedError(f"the type auto of argument {argument.index} is not known")
    typed: Argument = argument.replaced(type=kind)
    return typed


def _returned(hook: Any, body: Message) -> int:
    value = body.get("return")
    if value is None or hook.return_arg is None:
        return 0
    known = _value(hook.return_arg, value)
    return known if isinstance(known, int) else 0


def _namespaces(process: Message) -> Tuple[Mapping[str, int], Mapping[str, int]]:
    shown = process.get("ns")
    if not shown:
        unknown = _Unknown("the event has no namespaces: record with --enable-process-ns")
        return unknown, unknown
    inodes: Dict[str, int] = {}
    host: Dict[str, int] = {}
    for name, member in _NAMESPACES.items():
        found = shown.get(member, {})
        inodes[name] = int(found.get("inum", 0))
        host[name] = inodes[name] if found.get("is_host") else _ELSEWHERE
    return inodes, host


def _capabilities(process: Message) -> Mapping[str, int]:
    shown = process.get("cap")
    if shown is None:
        return _Unknown("the event has no capabilities: record with --enable-process-cred")
    numbers = names.CAPABILITIES_BY_NAME
    return {
        kind: sum(1 << numbers[one] for one in shown.get(kind.lower(), ()) if one in numbers)
        for kind in names.CAPABILITY_KINDS
    }


# --- values ---------------------------------------------------------------------------------


def _value(argument: Argument, shown: Message) -> Known:
    """What filters see of an argument. What could not be read counts as empty, as in the kernel."""
    kind = argument.type
    for member, content in shown.items():
        read = _READERS.get(member)
        if read is not None:
            return read(content, kind)
    return 0 if kind in names.INTEGERS else b""


def _number(content: Any, _kind: str) -> Known:
    return int(content)


def _text(content: Any, _kind: str) -> Known:
    return str(content).encode("utf-8", "surrogateescape")


def _bytes(content: Any, _kind: str) -> Known:
    return b64decode(content)


def _cut(content: Message, _kind: str) -> Known:
    return b64decode(content.get("bytes_arg", ""))


def _file(content: Message, kind: str) -> Known:
    if "unresolvedPathComponents" in content.get("flags", ""):
        return None  # any filter holds
    path = str(content.get("path", "")).encode("utf-8", "surrogateescape")
    if kind not in names.FILES:
        return path
    return File(path, _S_IFMT.get(content.get("permission", "")[:1], 0))


def _hexadecimal(content: Any, _kind: str) -> Known:
    return int(str(content), 16)


def _syscall(content: Message, _kind: str) -> Known:
    number = int(content.get("id", 0))
    return number | BITS_32 if content.get("abi") in {"i386", "arm32"} else number


def _socket(content: Message, _kind: str) -> Known:
    return Socket(
        _named(content.get("family", ""), names.FAMILIES),
        _named(content.get("protocol", ""), names.PROTOCOLS),
        _named(content.get("state", ""), names.STATES),
        _address(content.get("saddr", content.get("addr", ""))),
        _address(content.get("daddr", "")),
        int(content.get("sport", content.get("port", 0))),
        int(content.get("dport", 0)),
    )


def _unix(content: Message, _kind: str) -> Known:
    return str(content.get("path", "")).encode("utf-8", "surrogateescape")


def _named(text: str, numbers: Mapping[str, int]) -> int:
    if text in numbers:
        return numbers[text]
    return int(text) if text.isascii() and text.isdigit() else 0


def _address(text: str) -> bytes:
    for family in (socket.AF_INET, socket.AF_INET6):
        try:
            return socket.inet_pton(family, text)
        except (OSError, ValueError):
            continue
    return b""


def _capability(content: Message, _kind: str) -> Known:
    return int(content.get("value", 0))


def _bpf_command(content: Any, _kind: str) -> Known:
    from tetrapy.events.schema import ENUMS

    found = ENUMS["BpfCmd"]
    return int(found[content]) if content in found else int(content)


_READERS: Mapping[str, Callable[[Any, str], Known]] = {
    "int_arg": _number,
    "uint_arg": _number,
    "long_arg": _number,
    "size_arg": _number,
    "string_arg": _text,
    "bytes_arg": _bytes,
    "truncated_bytes_arg": _cut,
    "file_arg": _file,
    "path_arg": _file,
    "linux_binprm_arg": _file,
    "sock_arg": _socket,
    "skb_arg": _socket,
    "sockaddr_arg": _socket,
    "sockaddrun_arg": _unix,
    "kernel_cap_t_arg": _hexadecimal,
    "cap_effective_arg": _hexadecimal,
    "cap_inheritable_arg": _hexadecimal,
    "cap_permitted_arg": _hexadecimal,
    "syscall_id": _syscall,
    "capability_arg": _capability,
    "bpf_cmd_arg": _bpf_command,
}
"""Field of a KprobeArgument -> what reads it."""


def target(kind: str, body: Message) -> Tuple[str, ...]:
    """What an event calls the place that was hit."""
    fields: Mapping[str, Sequence[str]] = {
        "process_kprobe": ("function_name",),
        "process_lsm": ("function_name",),
        "process_tracepoint": ("subsys", "event"),
        "process_uprobe": ("path", "symbol"),
        "process_usdt": ("path", "provider", "name"),
    }
    return tuple(str(body.get(field, "")) for field in fields[kind])


def time_of(event: Message) -> Optional[float]:
    """When an event happened, in seconds; None where it does not say."""
    from datetime import datetime

    text = str(event.get("time", ""))
    try:
        whole, _, fraction = text.rstrip("Z").partition(".")
        moment = datetime.strptime(whole + "+0000", "%Y-%m-%dT%H:%M:%S%z")
        return moment.timestamp() + float(f"0.{fraction or 0}")
    except ValueError:
        return None
