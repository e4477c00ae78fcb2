# SPDX-License-Identifier: Apache-2.0
"""The bytes of a value in a call's record -> an argument, by the type that the policy gives it.

`DECODERS` has a maker for each type: given what the kernel side's structures look like, it makes
the function that decodes values of one hook. A type that it lacks cannot be shown.
"""

from __future__ import annotations

import os
import stat
from struct import Struct
from typing import Any, Callable, Dict, Mapping, Optional, Tuple

from tetrapy.events.arguments import (
    BPF_COMMANDS,
    UNRESOLVED,
    Argument,
    Capability,
    File,
    Sock,
    Sockaddr,
    SockaddrUn,
    Syscall,
    TruncatedBytes,
)
from tetrapy.events.credentials import CAPABILITY_NAMES
from tetrapy.events.text import to_text
from tetrapy.policy import names
from tetrapy.policy.functions import BITS_32, MACHINES
from tetrapy.sensors.policy.hook import RAW_TRACEPOINT, TRACEPOINT, HookValue
from tetrapy.sensors.policy.networks import (
    FAMILIES,
    PROTOCOLS,
    SOCKET_TYPES,
    TCP_STATES,
    address_text,
    named,
)
from tetrapy.sensors.policy.structure_decoders import STRUCTURES
from tetrapy.sensors.policy.value_abi import Decode, Socket, ValueAbi, Wanted

# As Tetragon says it.
_UNREADABLE_BYTES = b"CharBufErrorPageFault"

_new = tuple.__new__  # of a named tuple, a third of what calling its class takes

DELETED = " (deleted)"  # as procfs and Tetragon say of a file without a name


def decoder(abi: ValueAbi, value: HookValue, kind: str) -> Optional[Decode]:
    """How a value of a hook of this kind is decoded; None if it is not shown.

    Raises KeyError for a type that is not known here.
    """
    if value.role == "hidden" or value.type == "nop":
        return None
    is_tracepoint = kind in {TRACEPOINT, RAW_TRACEPOINT}
    # Tetragon leaves these out, and its readers do not expect them.
    unlabelled = is_tracepoint or value.type in {"sockaddr", "sockaddr_un"}
    label = "" if unlabelled else value.label
    return DECODERS[value.type](Wanted(abi, value.type, label, is_tracepoint))


# --- numbers ------------------------------------------------------------------------------------


def _number(wanted: Wanted) -> Decode:
    bits, is_signed = names.INTEGERS[wanted.type]
    if bits == 64:
        member, form = ("long_arg", "<q") if is_signed else ("size_arg", "<Q")
    else:
        member, form = ("int_arg", "<i") if is_signed else ("uint_arg", "<I")
    unpack = Struct(form).unpack_from
    failed, error, label = wanted.abi.error, wanted.error, wanted.label

    def decode(data: bytes, flags: int, detail: int) -> Argument:
        if flags & failed:
            return error
        return _new(Argument, (member, unpack(data)[0], label))

    return decode


def _of_number(make: Callable[[int], Tuple[str, Any]]) -> Callable[[Wanted], Decode]:
    """A maker for types of which a number of 64 bits is sent, and shown in another form."""

    def maker(wanted: Wanted) -> Decode:
        unpack = Struct("<Q").unpack_from

        def decode(data: bytes, flags: int, detail: int) -> Argument:
            if flags & wanted.abi.error:
                return wanted.error
            return wanted.one(*make(unpack(data)[0]))

        return decode

    return maker


def _set(member: str) -> Callable[[Wanted], Decode]:
    """A set of capabilities."""
    return _of_number(lambda number: (member, f"{number:016x}"))


def _syscall(number: int) -> Tuple[str, Any]:
    abis = MACHINES.get(os.uname().machine, ("", ""))
    number &= 0xFFFF_FFFF
    return "syscall_id", Syscall(number & ~BITS_32, abis[1 if number & BITS_32 else 0])


def _capability(number: int) -> Tuple[str, Any]:
    number = _signed(number)
    known = 0 <= number < len(CAPABILITY_NAMES)
    return "capability_arg", Capability(number, CAPABILITY_NAMES[number] if known else "")


def _bpf_command(number: int) -> Tuple[str, Any]:
    number = _signed(number)
    if 0 <= number < len(BPF_COMMANDS):
        return "bpf_cmd_arg", BPF_COMMANDS[number]
    return "int_arg", number  # of a kernel that is newer than the enum


def _signed(number: int) -> int:
    """The low 32 bits, as an int of C."""
    return ((number & 0xFFFF_FFFF) ^ 0x8000_0000) - 0x8000_0000


# --- texts and bytes ----------------------------------------------------------------------------


def _string(wanted: Wanted) -> Decode:
    failed, error, label = wanted.abi.error, wanted.error, wanted.label

    def decode(data: bytes, flags: int, detail: int) -> Argument:
        if flags & failed:
            return error
        return _new(Argument, ("string_arg", to_text(data), label))

    return decode


def _bytes(wanted: Wanted) -> Decode:
    abi = wanted.abi

    def decode(data: bytes, flags: int, detail: int) -> Argument:
        if flags & abi.error:
            return wanted.one("bytes_arg", _UNREADABLE_BYTES)
        if flags & abi.cut and detail > len(data):
            return wanted.one("truncated_bytes_arg", TruncatedBytes(data, detail))
        return wanted.one("bytes_arg", data)

    return decode


# --- files --------------------------------------------------------------------------------------


def _file(member: str) -> Callable[[Wanted], Decode]:
    def maker(wanted: Wanted) -> Decode:
        abi, label = wanted.abi, wanted.label
        rare = abi.error | abi.partial | abi.deleted | abi.cut

        def decode(data: bytes, flags: int, detail: int) -> Argument:
            path, found = to_text(data), ""
            if flags & rare:
                if flags & abi.error and not data:
                    return wanted.error
                if flags & abi.deleted:
                    path += DELETED
                if flags & (abi.error | abi.partial | abi.cut):
                    found = UNRESOLVED
            file = _new(File, (path, found, _permissions[detail & 0xFFFF]))
            return _new(Argument, (member, file, label))

        return decode

    return maker


class _Permissions(Dict[int, str]):
    """Type and permissions of each mode that occurred, as ls and Tetragon show them.

    A file that is not there has no mode, and no letter for its type.
    """

    def __missing__(self, mode: int) -> str:
        letter = _TYPES.get(stat.S_IFMT(mode), "")
        self[mode] = text = letter + stat.filemode(mode)[1:]
        return text


_permissions = _Permissions()

_TYPES = {
    stat.S_IFBLK: "b",
    stat.S_IFCHR: "c",
    stat.S_IFDIR: "d",
    stat.S_IFIFO: "p",
    stat.S_IFLNK: "l",
    stat.S_IFREG: "-",
    stat.S_IFSOCK: "s",
}


# --- sockets ------------------------------------------------------------------------------------


def _sock(wanted: Wanted) -> Decode:
    abi = wanted.abi

    def decode(data: bytes, flags: int, detail: int) -> Argument:
        if flags & abi.error:
            return wanted.error
        found = Socket(*abi.unpack_socket(data))
        value = Sock(
            wanted.family(found.family),
            named(SOCKET_TYPES, found.type),
            named(PROTOCOLS, found.protocol),
            found.mark,
            found.priority,
            address_text(found.family, found.source),
            address_text(found.family, found.destination),
            found.source_port,
            found.destination_port,
            found.cookie,
            named(TCP_STATES, found.state),
        )
        return wanted.one("sock_arg", value)

    return decode


def _sockaddr(wanted: Wanted) -> Decode:
    abi = wanted.abi

    def decode(data: bytes, flags: int, detail: int) -> Argument:
        if flags & abi.error:
            return wanted.error
        found = Socket(*abi.unpack_socket(data))
        text = address_text(found.family, found.source)
        value = Sockaddr(wanted.family(found.family), text, found.source_port)
        return wanted.one("sockaddr_arg", value)

    return decode


def _sockaddr_un(wanted: Wanted) -> Decode:
    abi = wanted.abi

    def decode(data: bytes, flags: int, detail: int) -> Argument:
        if flags & abi.error:
            return wanted.error
        family = named(FAMILIES, detail)
        path = ("@" if flags & abi.abstract else "") + to_text(data)
        return wanted.one("sockaddrun_arg", SockaddrUn(family, path))

    return decode


DECODERS: Mapping[str, Callable[[Wanted], Decode]] = {
    **dict.fromkeys(names.INTEGERS, _number),
    "bpf_cmd": _of_number(_bpf_command),
    "syscall64": _of_number(_syscall),
    "capability": _of_number(_capability),
    "kernel_cap_t": _set("kernel_cap_t_arg"),
    "cap_inheritable": _set("cap_inheritable_arg"),
    "cap_permitted": _set("cap_permitted_arg"),
    "cap_effective": _set("cap_effective_arg"),
    **dict.fromkeys(("string", "filename", "net_device", "data_loc"), _string),
    **dict.fromkeys(("char_buf", "char_iovec", "iov_iter", "const_buf"), _bytes),
    **dict.fromkeys(("file", "fd", "kiocb"), _file("file_arg")),
    **dict.fromkeys(("path", "dentry"), _file("path_arg")),
    "linux_binprm": _file("linux_binprm_arg"),
    **dict.fromkeys(("sock", "socket"), _sock),
    "sockaddr": _sockaddr,
    "sockaddr_un": _sockaddr_un,
    **STRUCTURES,
}


# Algorithm (enum hash_algo of include/uapi/linux/hash_info.h) -> its name, and bytes of a hash.
_HASHES: Mapping[int, Tuple[str, int]] = {
    1: ("md5", 16),
    2: ("sha1", 20),
    4: ("sha256", 32),
    6: ("sha512", 64),
    13: ("wp512", 64),
    17: ("sm3", 32),
}


def file_hash(data: bytes, _flags: int, algorithm: int) -> str:
    """NAME:HEX of a hash that IMA made; nothing of one that it did not, or that has no name."""
    name, size = _HASHES.get(algorithm, ("", 0))
    return f"{name}:{data[:size].hex()}" if name else ""


def as_it_is(data: bytes, _flags: int, _detail: int) -> bytes:
    """A value that nothing is made of."""
    return data
