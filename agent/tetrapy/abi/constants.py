# SPDX-License-Identifier: Apache-2.0
"""Constants of a BPF object, put into its instructions: kernels before Linux 5.2 have no `.rodata`.

Such an object loads the address of a constant where it means its value (VALUE_OF of bpf/flavour.h).
"""

from __future__ import annotations

from struct import Struct
from typing import List, Mapping

from tetrapy.abi import elf as e
from tetrapy.errors import ElfError

_SECTION = ".rodata"
_LOAD = Struct("<BBhI4xI")  # a 16-byte load: code, registers, offset, halves of the number
_LD_IMM64 = 0x18


def put_in(data: bytes, values: Mapping[int, int]) -> bytes:
    """The object `data` with values in place of constants, by their offsets; 0 without one.

    Nothing refers to `.rodata` any more. Raises ElfError where more than a load refers to it.
    """
    image = e.Elf(data)
    constants = image.section(_SECTION)
    changed = bytearray(data)
    symbols = image.symbols()
    for section in image.sections:
        if not section.flags & e.SHF_EXECINSTR:
            continue
        others: List[e.Relocation] = []
        for found in image.relocations(section):
            symbol = symbols[found.symbol]
            if constants is None or symbol.section != constants.number:
                others.append(found)
                continue
            at = section.offset + found.offset
            code, registers, _, addend, _ = _LOAD.unpack_from(data, at)
            if code != _LD_IMM64:
                raise ElfError(f"{section.name}+{found.offset:#x} refers to a constant in no load")
            value = values.get(symbol.value + addend, 0)
            load = _LOAD.pack(code, registers, 0, value & 0xFFFFFFFF, value >> 32)
            changed[at : at + _LOAD.size] = load
        image.put_relocations(changed, section, others)
    return bytes(changed)
