# SPDX-License-Identifier: Apache-2.0
"""Calls of the kernel's functions take the place of instructions in the built objects."""

from __future__ import annotations

import pytest

from tests.support.paths import ROOT
from tetrapy.abi import elf as e
from tetrapy.kernel.kfuncs import PREEMPTION, put_in
from tetrapy.sensors.configuration import EXECUTABLES_PROGRAM
from tools import bpf_objects

MOVE = b"\xb7\0\0\0"  # a number into register 0
CALL = b"\x85\x20\0\0"
PLACES = range(0x7E740000, 0x7E750000)  # bpf/preempt.h

OBJECTS = pytest.mark.parametrize("name", sorted(bpf_objects.FLAVOURS))


def program_bytes(data: bytes) -> dict[str, list[bytes]]:
    """Program -> its instructions; without functions that programs call, which are in .text."""
    image, found = e.Elf(data), {}
    for symbol in image.symbols():
        if symbol.type != e.STT_FUNC:
            continue
        place = image.sections[symbol.section]
        if place.name != ".text":
            section = image.data(place)
            code = section[symbol.value : symbol.value + symbol.size]
            found[symbol.name] = [code[at : at + 8] for at in range(0, len(code), 8)]
    return found


def built(name: str) -> bytes:
    """An object of the build."""
    path = ROOT / "build/bundle/bpf" / name
    if not path.exists():
        pytest.skip(f"needs {name}: make build")
    return path.read_bytes()


def places_in(code: list[bytes]) -> set[int]:
    """The places of calls that are still to be put in."""
    numbers = [int.from_bytes(x[4:], "little") for x in code if x[:4] == MOVE]
    return {number for number in numbers if number in PLACES}


@OBJECTS
def test_every_program_has_every_place(name: str) -> None:
    """Each program of a hook keeps its task from being preempted, from its start to its end."""
    for program, code in program_bytes(built(name)).items():
        if program == EXECUTABLES_PROGRAM:  # an iterator, which runs when it is asked
            continue
        assert places_in(code) == set(PREEMPTION.values()), program
        first = next(x for x in code if int.from_bytes(x[4:], "little") in PLACES)
        assert first == MOVE + PREEMPTION["bpf_preempt_disable"].to_bytes(4, "little"), program


@OBJECTS
def test_calls_take_the_places(name: str) -> None:
    """Instruction for instruction, and nothing else changes."""
    numbers = {place: 1000 + at for at, place in enumerate(PREEMPTION.values())}
    before = built(name)
    after = put_in(before, numbers)
    changed = program_bytes(after)
    for program, code in program_bytes(before).items():
        for old, new in zip(code, changed[program], strict=True):
            place = int.from_bytes(old[4:], "little")
            if old[:4] == MOVE and place in PLACES:
                assert new == CALL + numbers[place].to_bytes(4, "little")
            else:
                assert new == old
    assert len(after) == len(before)
