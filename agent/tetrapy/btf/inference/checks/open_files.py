# SPDX-License-Identifier: Apache-2.0
"""Checks of open files and sockets, which only policies read.

The orders are those of include/linux/fdtable.h ("max_fds, fd"), net.h ("file, sk") and
include/net/sock.h ("skc_daddr, skc_rcv_saddr", "skc_dport, skc_num", "skc_family, skc_state",
"skc_v6_daddr, skc_v6_rcv_saddr").
"""

from __future__ import annotations

from typing import List, Optional, Tuple, Union

from tetrapy.btf.inference.checks.check import Check, check
from tetrapy.btf.inference.memory import Memory, Unreadable, is_pointer
from tetrapy.btf.inference.open_files import OpenFile, OpenSocket
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.view import View

CHECKS: List[Check] = []

# Words of a struct file among which the socket's address is, `private_data`.
FILE_WORDS = 64
PIPEFS_MAGIC = 0x50495045  # include/uapi/linux/magic.h
# Flags of a file that execve(2) opens: O_LARGEFILE of x86_64 and arm64, and FMODE_EXEC
# (include/linux/fs.h, do_open_execat() of fs/exec.c).
EXECUTED = (0x8000 | 0x20, 0x20000 | 0x20)
READ_ONLY_MASK = 0x23  # the same bit, and O_ACCMODE, of which O_RDONLY has none
# Descriptors are counted in units of this many.
DESCRIPTORS = 64

_TABLE = ("task_struct.files", "files_struct.fdt", "fdtable.fd", "fdtable.max_fds")
_DETAILS = ("bits", "size", "signed")
_KIND = ("sock.sk_type", *(f"{what} sock.sk_type" for what in _DETAILS))
_PROTOCOL = ("sock.sk_protocol", *(f"{what} sock.sk_protocol" for what in _DETAILS))
# Bits (0: it is no bit field), bytes and sign of both: since Linux 5.6, and before.
_WIDTHS = (((0, 2, 0), (0, 2, 0)), ((16, 4, 0), (8, 4, 0)))
_ADDRESSES = ("skc_daddr", "skc_rcv_saddr", "skc_dport", "skc_num", "skc_family", "skc_state")

_COMMON = tuple(f"sock_common.{name}" for name in _ADDRESSES)


@check(CHECKS, "open file", *_TABLE)
def _file(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.open_files is None:
        return None
    files = view.follow(reference.thread.address, "task_struct.files")
    table = view.follow(files, "files_struct.fdt")
    pipe = reference.open_files.pipe
    return (
        view["fdtable.fd"] == view["fdtable.max_fds"] + 8
        and is_size(view.u32(table, "fdtable.max_fds"), pipe.number)
        and _is_inode(view, view.follow(open_file(view, reference, pipe.number), "file.f_inode"),
                      pipe.inode, pipe.mode)
    )  # fmt: skip


@check(CHECKS, "kind of the file system of a pipe", "super_block.s_magic")
def _magic(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.open_files is None:
        return None
    file = open_file(view, reference, reference.open_files.pipe.number)
    block = view.follow(file, "file.f_inode", "inode.i_sb")
    return view.u64(block, "super_block.s_magic") == PIPEFS_MAGIC


@check(CHECKS, "program of the process", "mm_struct.exe_file")
def _program(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.open_files is None:
        return None
    other = open_file(view, reference, reference.open_files.program.number)
    own = view.follow(reference.thread.address, "task_struct.mm", "mm_struct.exe_file")
    inode = view.follow(other, "file.f_inode")
    return own != other and view.follow(own, "file.f_inode") == inode


@check(CHECKS, "how a file was opened", "mm_struct.exe_file", "file.f_flags")
def _flags(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.open_files is None:
        return None
    other = open_file(view, reference, reference.open_files.program.number)
    own = view.follow(reference.thread.address, "task_struct.mm", "mm_struct.exe_file")
    return (
        view.u32(own, "file.f_flags") in EXECUTED
        and not view.u32(other, "file.f_flags") & READ_ONLY_MASK
    )


@check(CHECKS, "socket of an open file", "socket.sk", "sock.__sk_common", *_COMMON)
def _socket(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.open_files is None:
        return None
    connected, listening = reference.open_files.connected, reference.open_files.listening
    if connected is None or listening is None:
        return None
    if view["sock.__sk_common"] or not _is_ordered(view):
        return False
    for wanted in (connected, listening):
        sock = socket_of(view, reference, wanted)
        if _addresses(view, sock) != addresses_of(wanted):
            return False
    return True


@check(CHECKS, "type and protocol of a socket", *_KIND, *_PROTOCOL)
def _kind(view: View, reference: ReferenceProcess) -> Optional[bool]:
    if reference.open_files is None:
        return None
    widths = tuple(
        tuple(view[f"{what} {name}"] for what in _DETAILS) for name in (_KIND[0], _PROTOCOL[0])
    )
    # Neighbours, "sk_protocol, sk_type" until Linux 5.5 and "sk_type, sk_protocol" or the other
    # way round since.
    step = view[_PROTOCOL[0]] - view[_KIND[0]]
    if widths not in _WIDTHS or step not in ((2, -2) if widths == _WIDTHS[0] else (-1,)):
        return False
    for wanted in (reference.open_files.connected, reference.open_files.listening):
        if wanted is None:
            return None
        sock = socket_of(view, reference, wanted)
        kind = view.memory.read(sock + view[_KIND[0]], 2)
        protocol = view.memory.read(sock + view[_PROTOCOL[0]], abs(step))
        if _number(kind) != wanted.kind or _number(protocol) != wanted.protocol:
            return False
    return True


@check(CHECKS, "mark of a socket", "sock.sk_mark")
def _mark(view: View, reference: ReferenceProcess) -> Optional[bool]:
    wanted = reference.open_files and reference.open_files.connected
    if not wanted or not wanted.mark:
        return None
    return view.u32(socket_of(view, reference, wanted), "sock.sk_mark") == wanted.mark


@check(CHECKS, "priority of a socket", "sock.sk_priority")
def _priority(view: View, reference: ReferenceProcess) -> Optional[bool]:
    wanted = reference.open_files and reference.open_files.connected
    # Without a mark the host allows only numbers that are everywhere.
    if not wanted or not wanted.mark:
        return None
    return view.u32(socket_of(view, reference, wanted), "sock.sk_priority") == wanted.priority


@check(
    CHECKS,
    "addresses of a socket of IPv6",
    "sock_common.skc_v6_daddr",
    "sock_common.skc_v6_rcv_saddr",
)
def _mapped(view: View, reference: ReferenceProcess) -> Optional[bool]:
    wanted = reference.open_files and reference.open_files.mapped
    if not wanted:
        return None
    sock = socket_of(view, reference, wanted)
    return all(
        view.memory.read(sock + view[f"sock_common.{name}"], 16).hex() == address
        for name, address in (
            ("skc_v6_daddr", wanted.destination),
            ("skc_v6_rcv_saddr", wanted.source),
        )
    )


def is_size(count: int, number: int) -> bool:
    """Whether a table with so many descriptors has this one: it doubles at most."""
    return count % DESCRIPTORS == 0 and number < count <= 8 * number


def open_file(view: View, reference: ReferenceProcess, number: int) -> int:
    """The struct file of a descriptor."""
    files = view.follow(reference.thread.address, "task_struct.files")
    table = view.follow(files, "files_struct.fdt", "fdtable.fd")
    return view.memory.pointer(table + 8 * number)


def socket_of(view: View, reference: ReferenceProcess, wanted: Union[OpenFile, OpenSocket]) -> int:
    """The struct sock of an open socket; Unreadable where the file leads to none."""
    file = open_file(view, reference, wanted.number)
    found = {sock for at, sock in behind(view.memory, file, view["socket.sk"])}
    if len(found) != 1:
        raise Unreadable
    return found.pop()


def behind(memory: Memory, file: int, place: int) -> List[Tuple[int, int]]:
    """A word of a file, and the pointer at a place behind it that follows one to the file."""
    found = []
    for word in set(memory.some_words(file, FILE_WORDS)):
        try:
            if is_pointer(word) and memory.u64(word + place - 8) == file:
                found.append((word, memory.pointer(word + place)))
        except Unreadable:
            continue
    return found


def addresses_of(wanted: OpenSocket) -> Tuple[str, str, int, int, int, int]:
    """What struct sock_common has of a socket of IPv4."""
    destination = wanted.destination or "00000000"
    return (
        destination,
        wanted.source,
        wanted.destination_port,
        wanted.source_port,
        wanted.family,
        wanted.state,
    )


def _addresses(view: View, sock: int) -> Tuple[str, str, int, int, int, int]:
    at = {name: sock + view[f"sock_common.{name}"] for name in _ADDRESSES}
    read = view.memory.read
    return (
        read(at["skc_daddr"], 4).hex(),
        read(at["skc_rcv_saddr"], 4).hex(),
        int.from_bytes(read(at["skc_dport"], 2), "big"),
        _number(read(at["skc_num"], 2)),
        _number(read(at["skc_family"], 2)),
        _number(read(at["skc_state"], 1)),
    )


def _is_ordered(view: View) -> bool:
    pairs = (("skc_daddr", "skc_rcv_saddr", 4), ("skc_dport", "skc_num", 2),
             ("skc_family", "skc_state", 2))  # fmt: skip
    return all(
        view[f"sock_common.{second}"] == view[f"sock_common.{first}"] + step
        for first, second, step in pairs
    )


def _number(data: bytes) -> int:
    return int.from_bytes(data, "little")


def _is_inode(view: View, inode: int, number: int, mode: int) -> bool:
    found = view.memory.read(inode + view["inode.i_mode"], 2)
    return view.u64(inode, "inode.i_ino") == number and _number(found) == mode
