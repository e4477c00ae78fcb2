# SPDX-License-Identifier: Apache-2.0
"""Constants of a BPF object become numbers in its instructions."""

from __future__ import annotations

import struct

import pytest

from tests.support.builders import EXIT, Relocation, Symbol, elf, instruction
from tetrapy.abi import constants
from tetrapy.abi import elf as e
from tetrapy.errors import ElfError

PROGRAM = "raw_tp/sched_process_exec"
LD_IMM64 = 0x18
LOAD = instruction(LD_IMM64, target=3) + instruction(0)


def loads(code: bytes, *symbols: str) -> bytes:
    """An object whose program loads addresses of these, in turn, from its start."""
    return elf(
        {PROGRAM: code + EXIT, ".rodata": bytes(24), ".maps": bytes(32)},
        [
            Symbol("main", PROGRAM, 0, len(code) + 8),
            Symbol("first", ".rodata", 0, 4, kind=1),
            Symbol("second", ".rodata", 8, 8, kind=1),
            Symbol("events", ".maps", 0, 32, kind=1),
        ],
        [Relocation(PROGRAM, at * len(LOAD), name) for at, name in enumerate(symbols)],
    )


def code_of(data: bytes) -> tuple[bytes, list[tuple[int, str]]]:
    """The program, and what it refers to: (offset, symbol)."""
    image = e.Elf(data)
    (section,) = [one for one in image.sections if one.name == PROGRAM]
    names = image.symbols()
    found = image.relocations(section)
    return image.data(section), [(one.offset, names[one.symbol].name) for one in found]


def test_values_are_loaded() -> None:
    """Of 64 bits, into the registers that the addresses were loaded into; what has none is 0."""
    data = loads(3 * LOAD, "second", "events", "first")
    changed = constants.put_in(data, {8: 0xFEDCBA98_76543210})
    assert len(changed) == len(data)
    code, references = code_of(changed)
    halves = struct.unpack("<BBhI BBhI", code[:16])
    assert halves == (LD_IMM64, 3, 0, 0x76543210, 0, 0, 0, 0xFEDCBA98)
    assert code[16:] == 2 * LOAD + EXIT
    assert references == [(16, "events")]


def test_a_place_in_a_constant() -> None:
    """The instruction says how far behind the symbol."""
    other = instruction(LD_IMM64, 8, target=3) + instruction(0)
    code, references = code_of(constants.put_in(loads(other, "first"), {0: 1, 8: 2}))
    assert code[4] == 2
    assert references == []


def test_an_object_without_constants_stays_as_it_is() -> None:
    """Nothing refers to the section."""
    data = loads(LOAD, "events")
    assert constants.put_in(data, {0: 1}) == data
    bare = elf({PROGRAM: EXIT}, [Symbol("main", PROGRAM, 0, 8)])
    assert constants.put_in(bare, {}) == bare


def test_what_is_no_load_is_refused() -> None:
    """An instruction that refers to a constant in another way."""
    with pytest.raises(ElfError, match=r"raw_tp/sched_process_exec\+0x0 refers to a constant"):
        constants.put_in(loads(2 * instruction(0xB7), "first"), {})
