# SPDX-License-Identifier: Apache-2.0
"""Checks of what stands behind open files that are no files, and of the device of a socket.

A struct file leads to its object by one of its words, `private_data`; a struct sock to its device
by its route, `sk_dst_cache`, and that one's first word, `dev` (include/net/dst.h).
"""

from __future__ import annotations

from functools import partial
from typing import Callable, Iterator, List, Optional, Tuple, TypeVar

from tetrapy.btf.inference.checks.check import Check, check
from tetrapy.btf.inference.checks.open_files import FILE_WORDS, open_file, socket_of
from tetrapy.btf.inference.memory import Memory, Unreadable, is_pointer
from tetrapy.btf.inference.open_files import OpenEvent, OpenFiles, OpenMap, OpenProgram
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.view import View

CHECKS: List[Check] = []

NAME_SIZE = 16  # BPF_OBJ_NAME_LEN, IFNAMSIZ
SOCK_WORDS = 128  # of a struct sock among which its route is
LOOPBACK = b"lo".ljust(NAME_SIZE, b"\0")
SIZES = ("map_type", "key_size", "value_size", "max_entries")


_Object = TypeVar("_Object", OpenMap, OpenProgram, OpenEvent)


def _check_object(
    name: str, of: Callable[[OpenFiles], Optional[_Object]], *proves: str
) -> Callable[[Callable[[View, _Object, int], bool]], None]:
    """Puts a check into the table: one of the words of an open file leads to what fits."""

    def add(fits: Callable[[View, _Object, int], bool]) -> None:
        @check(CHECKS, name, *proves)
        def predicate(view: View, reference: ReferenceProcess) -> Optional[bool]:
            wanted = of(reference.open_files) if reference.open_files else None
            if wanted is None:
                return None
            file = open_file(view, reference, wanted.number)
            fits_wanted = partial(fits, view, wanted)
            return any(holds(fits_wanted, at) for at in behind_file(view.memory, file))

    return add


@_check_object(
    "BPF map", lambda files: files.bpf_map, *(f"bpf_map.{name}" for name in SIZES), "bpf_map.name"
)
def _map(view: View, wanted: OpenMap, at: int) -> bool:
    found = tuple(view.u32(at, f"bpf_map.{name}") for name in SIZES)
    return found == sizes_of(wanted) and is_name(
        view.memory, at + view["bpf_map.name"], wanted.name
    )


@_check_object(
    "BPF program",
    lambda files: files.bpf_program,
    "bpf_prog.len",
    "bpf_prog.type",
    "bpf_prog.aux",
    "bpf_prog_aux.name",
)
def _program(view: View, wanted: OpenProgram, at: int) -> bool:
    found = view.u32(at, "bpf_prog.type"), view.u32(at, "bpf_prog.len")
    place = view.follow(at, "bpf_prog.aux") + view["bpf_prog_aux.name"]
    return found == (wanted.type, wanted.length) and is_name(view.memory, place, wanted.name)


@_check_object("perf event", lambda files: files.perf_event, "perf_event.attr")
def _event(view: View, wanted: OpenEvent, at: int) -> bool:
    known = bytes.fromhex(wanted.attributes)
    return view.memory.read(at + view["perf_event.attr"], len(known)) == known


@check(CHECKS, "device of a socket", "net_device.name")
def _device(view: View, reference: ReferenceProcess) -> Optional[bool]:
    wanted = reference.open_files and reference.open_files.routed
    if not wanted:
        return None
    place, memory = view["net_device.name"], view.memory
    devices = devices_of(memory, socket_of(view, reference, wanted))
    return any(holds(lambda at: memory.read(at + place, NAME_SIZE) == LOOPBACK, at)
               for at in devices)  # fmt: skip


def sizes_of(wanted: OpenMap) -> Tuple[int, ...]:
    """What a map was made with, in the order of SIZES."""
    return wanted.type, wanted.key_size, wanted.value_size, wanted.max_entries


def padded(name: str) -> bytes:
    """A name as the kernel keeps it."""
    return name.encode().ljust(NAME_SIZE, b"\0")


def is_name(memory: Memory, place: int, name: str) -> bool:
    """Whether a name is there."""
    return memory.read(place, NAME_SIZE) == padded(name)


def behind_file(memory: Memory, file: int) -> Iterator[int]:
    """The addresses among a file's words."""
    return filter(is_pointer, sorted(set(memory.some_words(file, FILE_WORDS))))


def devices_of(memory: Memory, sock: int) -> Iterator[int]:
    """Where the first words lead of what a struct sock points to: among them is its device."""
    for word in sorted(set(memory.some_words(sock, SOCK_WORDS))):
        try:
            if is_pointer(word):
                yield memory.pointer(word)
        except Unreadable:
            continue


def holds(fits: Callable[[int], bool], at: int) -> bool:
    """Whether something fits that may be unreadable."""
    try:
        return fits(at)
    except Unreadable:
        return False
