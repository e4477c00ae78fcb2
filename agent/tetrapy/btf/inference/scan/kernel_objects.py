# SPDX-License-Identifier: Apache-2.0
"""Finds what policies read of BPF maps and programs, perf events, devices: see the checks of the
same name.

The orders are those of include/linux/bpf.h: "map_type, key_size, value_size, max_entries" and
"type, expected_attach_type, len".
"""

from __future__ import annotations

from struct import pack
from typing import Iterator, Tuple

from tetrapy.btf.inference.checks.kernel_objects import (
    LOOPBACK,
    SIZES,
    behind_file,
    devices_of,
    padded,
    sizes_of,
)
from tetrapy.btf.inference.memory import Memory, Unreadable, is_pointer
from tetrapy.btf.inference.scan.finder import Finder, Undecided
from tetrapy.btf.inference.scan.open_files import file_of, known_files, sock_of

# Bytes: of the structures up to what is looked for.
_MAP_SIZE, _PROGRAM_SIZE, _AUX_SIZE, _EVENT_SIZE, _DEVICE_SIZE = 512, 128, 2048, 1024, 1024


def find_map(finder: Finder) -> None:
    """Sizes and name of a BPF map."""
    wanted = known_files(finder).bpf_map
    if wanted is None:
        raise Undecided("bpf_map.name was not found, because no map could be made")
    memory, file = finder.memory, file_of(finder, wanted.number)
    sizes, name = pack("<4I", *sizes_of(wanted)), padded(wanted.name)
    found = [
        (at, place)
        for object_ in behind_file(memory, file)
        for at in _places(memory, object_, sizes, 4, _MAP_SIZE)
        for place in _places(memory, object_, name, 4, _MAP_SIZE)
    ]
    at, place = finder.only("bpf_map.name", found[:1])
    finder.found.update({f"bpf_map.{member}": at + 4 * n for n, member in enumerate(SIZES)})
    finder.found["bpf_map.name"] = place


def find_program(finder: Finder) -> None:
    """Type and length of a BPF program, and its name, which is elsewhere."""
    wanted = known_files(finder).bpf_program
    if wanted is None:
        raise Undecided("bpf_prog.len was not found, because no program could be loaded")
    memory, file = finder.memory, file_of(finder, wanted.number)
    found = [
        (at, aux, place)
        for object_ in behind_file(memory, file)
        for at in _places(memory, object_, pack("<I", wanted.type), 4, _PROGRAM_SIZE)
        if at + 8 in _places(memory, object_, pack("<I", wanted.length), 4, _PROGRAM_SIZE)
        for aux, place in _pointed(memory, object_, padded(wanted.name))
    ]
    at, aux, place = finder.only("bpf_prog.len", found[:1])
    finder.found.update(
        {
            "bpf_prog.type": at,
            "bpf_prog.len": at + 8,
            "bpf_prog.aux": aux,
            "bpf_prog_aux.name": place,
        }
    )


def find_event(finder: Finder) -> None:
    """Where a perf event has what it was opened with."""
    wanted = known_files(finder).perf_event
    if wanted is None:
        raise Undecided("perf_event.attr was not found, because none could be opened")
    memory, file = finder.memory, file_of(finder, wanted.number)
    known = bytes.fromhex(wanted.attributes)
    found = [
        at
        for object_ in behind_file(memory, file)
        for at in _places(memory, object_, known, 8, _EVENT_SIZE)
    ]
    finder.found["perf_event.attr"] = finder.only("perf_event.attr", found[:1])


def find_device(finder: Finder) -> None:
    """The name of the loopback device."""
    wanted = known_files(finder).routed
    if wanted is None:
        raise Undecided("net_device.name was not found, because no socket could be connected")
    sock = sock_of(finder, wanted, finder.place("socket.sk"))
    found = {
        at
        for device in devices_of(finder.memory, sock)
        for at in _places(finder.memory, device, LOOPBACK, 8, _DEVICE_SIZE)
    }
    finder.found["net_device.name"] = finder.only("net_device.name", sorted(found))


def _places(memory: Memory, start: int, data: bytes, step: int, size: int) -> Tuple[int, ...]:
    """Where a structure has these bytes, as far as it can be read."""
    known = b""
    try:
        while len(known) < size:
            known += memory.read(start + len(known), 8)
    except Unreadable:
        pass
    return tuple(at for at in range(0, len(known), step) if known.startswith(data, at))


def _pointed(memory: Memory, start: int, name: bytes) -> Iterator[Tuple[int, int]]:
    """The pointers of a program to what has the name, and where."""
    for number, word in enumerate(memory.some_words(start, _PROGRAM_SIZE // 8)):
        if is_pointer(word):
            for place in _places(memory, word, name, 4, _AUX_SIZE):
                yield 8 * number, place
