# SPDX-License-Identifier: Apache-2.0
"""Finds what policies read of open files and sockets: see the checks of the same name."""

from __future__ import annotations

from typing import Callable, List, Tuple, Union

from tetrapy.btf.inference.checks.open_files import (
    EXECUTED,
    FILE_WORDS,
    PIPEFS_MAGIC,
    READ_ONLY_MASK,
    addresses_of,
    behind,
    is_size,
)
from tetrapy.btf.inference.memory import Unreadable, is_pointer
from tetrapy.btf.inference.open_files import OpenFile, OpenFiles, OpenSocket
from tetrapy.btf.inference.scan.finder import Finder, Undecided

# Bytes: a files_struct up to `fdt`, 64 and with debugging of locks 200; mm_struct up to
# `exe_file`, below 1024; struct socket up to `sk`, 32; what of struct sock is read.
_FILES_SIZE, _MM_SIZE, _SOCKET_SIZE, _SOCK_SIZE = 512, 2048, 128, 1024
_BLOCK_SIZE = 256  # of struct super_block up to `s_magic`


def find_files(finder: Finder) -> None:
    """`files`, behind `fs` (include/linux/sched.h), and the table of its descriptors."""
    known, memory = known_files(finder), finder.memory
    at = finder.task("fs") + 8
    files = memory.pointer(finder.reference.thread.address + at)

    def fits(place: int) -> bool:
        table = memory.pointer(files + place)
        if not is_size(memory.u32(table), known.pipe.number):
            return False
        return _inode_of(finder, memory.pointer(table + 8), known.pipe.number) is not None

    place = finder.search("files_struct.fdt", range(0, _FILES_SIZE, 8), fits)
    finder.found.update(
        {
            "task_struct.files": at,
            "files_struct.fdt": place,
            "fdtable.max_fds": 0,
            "fdtable.fd": 8,
        }
    )


def find_magic(finder: Finder) -> None:
    """`s_magic` of the pipe's file system."""
    memory = finder.memory
    inode = memory.pointer(
        file_of(finder, known_files(finder).pipe.number) + finder.place("file.f_inode")
    )
    block = memory.pointer(inode + finder.place("inode.i_sb"))
    finder.found["super_block.s_magic"] = finder.search(
        "super_block.s_magic",
        range(0, _BLOCK_SIZE, 8),
        lambda at: memory.u64(block + at) == PIPEFS_MAGIC,
    )


def find_program(finder: Finder) -> None:
    """`exe_file` of mm_struct: another file of the same inode."""
    known, memory = known_files(finder), finder.memory
    mm = memory.pointer(finder.reference.thread.address + finder.task("mm"))
    word = finder.place("file.f_inode")
    other = file_of(finder, known.program.number)
    inode = memory.pointer(other + word)

    def fits(at: int) -> bool:
        file = memory.pointer(mm + at)
        return file != other and memory.u64(file + word) == inode

    places = [at for at in range(0, _MM_SIZE, 8) if finder.holds(fits, at)]
    finder.found["mm_struct.exe_file"] = _first(finder, "mm_struct.exe_file", places)


def find_flags(finder: Finder) -> None:
    """`f_flags` of the files of the executable: the one that runs, and another one."""
    memory = finder.memory
    other = file_of(finder, known_files(finder).program.number)
    mm = memory.pointer(finder.reference.thread.address + finder.task("mm"))
    own = memory.pointer(mm + finder.place("mm_struct.exe_file"))

    def fits(at: int) -> bool:
        opened, executed = (memory.u32(file + at) for file in (other, own))
        return executed in EXECUTED and not opened & READ_ONLY_MASK

    places = [at for at in range(0, 8 * FILE_WORDS, 4) if finder.holds(fits, at)]
    finder.found["file.f_flags"] = _first(finder, "file.f_flags", places)


def find_socket(finder: Finder) -> None:
    """`sk` of struct socket, and what struct sock_common has."""
    known = known_files(finder)
    connected, listening = known.connected, known.listening
    if connected is None or listening is None:
        raise Undecided("socket.sk was not found, because no sockets could be made")
    file = file_of(finder, connected.number)
    places = [at for at in range(8, _SOCKET_SIZE, 8) if len(behind(finder.memory, file, at)) == 1]
    good = [
        at
        for at in places
        if _has(finder, at, connected, 0, bytes.fromhex(connected.destination + connected.source))
    ]
    finder.found["socket.sk"] = _first(finder, "socket.sk", good)
    both = (connected, listening)
    addresses = _at(finder, both, 4, lambda one: bytes.fromhex("".join(addresses_of(one)[:2])))
    ports = _at(
        finder,
        both,
        2,
        lambda one: one.destination_port.to_bytes(2, "big") + one.source_port.to_bytes(2, "little"),
    )
    family = _at(finder, both, 2, lambda one: _words(one.family, one.state)[:3])
    finder.found.update(
        {
            "sock.__sk_common": 0,
            "sock_common.skc_daddr": addresses,
            "sock_common.skc_rcv_saddr": addresses + 4,
            "sock_common.skc_dport": ports,
            "sock_common.skc_num": ports + 2,
            "sock_common.skc_family": family,
            "sock_common.skc_state": family + 2,
        }
    )


def find_socket_kind(finder: Finder) -> None:
    """`sk_type` and `sk_protocol`: numbers of 16 bits since Linux 5.6, bits of a word before."""
    known = known_files(finder)
    both = both_sockets(known)
    kinds = _places(finder, both, 2, lambda one: _words(one.kind, one.protocol))
    protocols = _places(finder, both, 2, lambda one: _words(one.protocol, one.kind))
    bits = _places(finder, both, 4, lambda one: _words(one.protocol << 8, one.kind)[1:], 1)
    found = [
        *((at, at + 2, 0, 0, 2) for at in kinds),
        *((at + 2, at, 0, 0, 2) for at in protocols),
        *((at + 1, at, 16, 8, 4) for at in bits),
    ]
    kind, protocol, kind_bits, protocol_bits, size = finder.only("sock.sk_type", sorted(found)[:1])
    finder.found.update(
        {
            "sock.sk_type": kind,
            "sock.sk_protocol": protocol,
            "bits sock.sk_type": kind_bits,
            "bits sock.sk_protocol": protocol_bits,
            "size sock.sk_type": size,
            "size sock.sk_protocol": size,
            "signed sock.sk_type": 0,
            "signed sock.sk_protocol": 0,
        }
    )


def find_mark(finder: Finder) -> None:
    """`sk_mark` and `sk_priority`, where the host let them be chosen."""
    connected = both_sockets(known_files(finder))[0]
    if not connected.mark:
        raise Undecided("sock.sk_mark was not found, because no mark could be set")
    mark = _at(finder, (connected,), 4, lambda one: one.mark.to_bytes(4, "little"))
    priority = _at(finder, (connected,), 4, lambda one: one.priority.to_bytes(4, "little"))
    finder.found.update({"sock.sk_mark": mark, "sock.sk_priority": priority})


def find_mapped(finder: Finder) -> None:
    """The addresses of a socket of IPv6."""
    mapped = known_files(finder).mapped
    if mapped is None:
        raise Undecided("skc_v6_daddr was not found, because no socket of IPv6 could be made")
    at = _at(finder, (mapped,), 4, lambda one: bytes.fromhex(one.destination + one.source))
    finder.found.update({"sock_common.skc_v6_daddr": at, "sock_common.skc_v6_rcv_saddr": at + 16})


def _words(first: int, second: int) -> bytes:
    return first.to_bytes(2, "little") + second.to_bytes(2, "little")


def known_files(finder: Finder) -> OpenFiles:
    """What the prepared process holds, else Undecided."""
    known = finder.reference.open_files
    if known is None:
        raise Undecided("nobody asked for files")
    return known


def both_sockets(known: OpenFiles) -> Tuple[OpenSocket, OpenSocket]:
    """The two of IPv4, else Undecided."""
    if known.connected is None or known.listening is None:
        raise Undecided("no sockets could be made")
    return known.connected, known.listening


def file_of(finder: Finder, number: int) -> int:
    """The struct file of a descriptor."""
    files = finder.memory.pointer(finder.reference.thread.address + finder.task("files"))
    table = finder.memory.pointer(files + finder.place("files_struct.fdt"))
    array = finder.memory.pointer(table + finder.place("fdtable.fd"))
    return finder.memory.pointer(array + 8 * number)


def _inode_of(finder: Finder, array: int, number: int) -> object:
    """Something, if the array has the pipe's file at this number."""
    memory, pipe = finder.memory, known_files(finder).pipe
    file = memory.pointer(array + 8 * number)
    inode = memory.pointer(file + finder.place("file.f_inode"))
    mode = memory.u32(inode + finder.place("inode.i_mode")) & 0xFFFF
    is_it = memory.u64(inode + finder.place("inode.i_ino")) == pipe.inode and mode == pipe.mode
    return inode if is_it else None


def sock_of(finder: Finder, one: Union[OpenFile, OpenSocket], place: int) -> int:
    """The struct sock of an open socket, where `sk` is at a place."""
    found = behind(finder.memory, file_of(finder, one.number), place)
    if len(found) != 1 or not is_pointer(found[0][1]):
        raise Unreadable
    return found[0][1]


def _has(finder: Finder, place: int, one: OpenSocket, start: int, data: bytes) -> bool:
    """Whether the sock at a place begins with these bytes, somewhere in its first 16."""
    try:
        sock = sock_of(finder, one, place)
        return data in finder.memory.read(sock + start, 16 + len(data))
    except Unreadable:
        return False


def _places(
    finder: Finder,
    sockets: Tuple[OpenSocket, ...],
    step: int,
    data: Callable[[OpenSocket], bytes],
    start: int = 0,
) -> List[int]:
    """Where all these sockets have their bytes."""
    place = finder.place("socket.sk")
    found: List[int] = []
    socks = [(sock_of(finder, one, place), data(one)) for one in sockets]
    for at in range(start, _SOCK_SIZE, step):
        try:
            if all(finder.memory.read(sock + at, len(text)) == text for sock, text in socks):
                found.append(at)
        except Unreadable:
            break
    return found


def _at(
    finder: Finder,
    sockets: Tuple[OpenSocket, ...],
    step: int,
    data: Callable[[OpenSocket], bytes],
) -> int:
    return _first(finder, "a member of sock", _places(finder, sockets, step, data))


def _first(finder: Finder, what: str, places: List[int]) -> int:
    """The first place: behind a structure stand others of its kind, dead ones too."""
    return finder.only(what, places[:1])
