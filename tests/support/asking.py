# SPDX-License-Identifier: Apache-2.0
"""BPF objects made by hand that ask a kernel about the types of a small world (`world_types`)."""

from __future__ import annotations

import struct
from typing import NamedTuple

from hypothesis import strategies as st

from tests.support import world_types
from tests.support.builders import EXIT, Symbol, elf, instruction
from tests.support.world_types import COMPOSITES, Composite, Member, Type, World
from tests.unit.abi.test_core_relocs import extension
from tetrapy.abi import core_relocs
from tetrapy.abi import kinds as k

KIND = {name: number for number, name in enumerate(core_relocs.KINDS)}
_NUMBERS = ("field_signed", "field_lshift_u64", "field_rshift_u64")
_PLACES = ("field_byte_offset", "field_byte_size", "field_exists")
# Opcodes by size in bytes: BPF_LDX | BPF_MEM, BPF_STX | BPF_MEM (linux/bpf_common.h).
_LOADS = {1: 0x71, 2: 0x69, 4: 0x61, 8: 0x79}
_STORES = {1: 0x73, 2: 0x6B, 4: 0x63, 8: 0x7B}
SECTION = "raw_tp/x"


class Ask(NamedTuple):
    """A relocation, and the instruction that the compiler makes for the program's own types."""

    type_id: int
    access: tuple[int, ...]
    kind: int
    code: bytes


class _Place(NamedTuple):
    """Where a path of indices leads to: offset in bits, the member if it ends at one, the type."""

    access: tuple[int, ...]
    at: int
    member: Member | None
    type: Type


@st.composite
def asks(draw: st.DrawFn, world: World, written: world_types.Written) -> list[Ask]:
    """Some of all that can be asked."""
    return [draw(one_of(world, written)) for _ in range(draw(st.integers(1, 8)))]


@st.composite
def one_of(draw: st.DrawFn, world: World, written: world_types.Written) -> Ask:
    """One question."""
    roots = [("named", number) for number in range(len(world.composites))]
    ids = list(zip(written.composites, roots, strict=True))
    ids += [(i, t) for i, (_, t) in zip(written.typedefs, world.typedefs, strict=True)]
    what = draw(st.integers(0, 9))
    if what == 0 and world.enums:
        number = draw(st.integers(0, len(world.enums) - 1))
        return enumerator(draw, world.enums[number], written.enums[number])
    if what == 1:
        named = [
            *ids,
            *((i, ("int", e.size, 0)) for i, e in zip(written.enums, world.enums, strict=True)),
        ]
        type_id, root = draw(st.sampled_from(named))
        exists = draw(st.booleans())
        kind = KIND["type_exists" if exists else "type_size"]
        value = 1 if exists else world_types.size_of(root, world.composites)
        return Ask(type_id, (0,), kind, move(value))
    holders = [(i, t) for i, t in ids if world_types.plain(t, world.composites)[0] in COMPOSITES]
    type_id, root = draw(st.sampled_from(holders))
    place = walk(draw, root, world.composites)
    return field(draw, type_id, place, world.composites)


def enumerator(draw: st.DrawFn, found: world_types.Enum, type_id: int) -> Ask:
    """The existence or value of an enumerator."""
    number = draw(st.integers(0, len(found.values) - 1))
    value = found.values[number][1]
    if found.size == 4:
        value = (value & 0xFFFFFFFF ^ 0x80000000) - 0x80000000
    kind = KIND[draw(st.sampled_from(["enumval_exists", "enumval_value"]))]
    value = 1 if kind == KIND["enumval_exists"] else value & (1 << 64) - 1
    low, high = struct.unpack("<ii", struct.pack("<Q", value))
    return Ask(type_id, (number,), kind, instruction(0x18, low) + instruction(0, high))


def walk(draw: st.DrawFn, root: Type, placed: tuple[Composite, ...]) -> _Place:
    """A path that the compiler would take: at least one step, never ending at a nameless member."""
    first = draw(st.sampled_from([0, 0, 0, 0, 1, 2]))
    access, at = [first], 8 * first * world_types.size_of(root, placed)
    current, member, is_last = world_types.plain(root, placed), None, False
    while True:
        if current[0] in COMPOSITES and current[1]:
            number = draw(st.integers(0, len(current[1]) - 1))
            member = current[1][number]
            is_last = number == len(current[1]) - 1
            access.append(number)
            at += member.at
            current = world_types.plain(member.type, placed)
        elif current[0] == "array" and (current[2] or (is_last and member)):
            number = draw(st.integers(0, current[2] - 1 if current[2] else 2))
            access.append(number)
            at += 8 * number * world_types.size_of(current[1], placed)
            current, member = world_types.plain(current[1], placed), None
        else:
            break
        if (member is None or member.name) and draw(st.integers(0, 3)) == 0:
            break
    return _Place(tuple(access), at, member, current)


def field(draw: st.DrawFn, type_id: int, place: _Place, placed: tuple[Composite, ...]) -> Ask:
    """A question about a field or an element."""
    # The compiler refuses to shift what is no number.
    numbers = _NUMBERS if place.member and place.type[0] in ("int", "enum") else ()
    kind = draw(st.sampled_from([*_PLACES, *_PLACES, *numbers]))
    size = world_types.size_of(place.type, placed)
    bits = place.member.bits if place.member else 0
    if bits and not readable(place.at, bits, size):
        kind = "field_exists"
    # An array is never loaded, its elements are.
    if kind == "field_byte_offset" and not bits and size in _LOADS and place.type[0] != "array":
        code = draw(st.sampled_from([0, _LOADS[size], _STORES[size]]))
        if code:
            return Ask(type_id, place.access, KIND[kind], instruction(code, 0, place.at // 8))
    value = {
        "field_byte_offset": place.at // 8,
        "field_byte_size": size,
        "field_exists": 1,
        "field_signed": is_signed(place.type),
        "field_lshift_u64": 64 - 8 * size,
        "field_rshift_u64": 64 - (bits or 8 * size),
    }[kind]
    return Ask(type_id, place.access, KIND[kind], move(value))


def readable(at: int, bits: int, size: int) -> bool:
    """Whether a bitfield lies within an aligned integer, which those of packed structs may not."""
    return any(
        at // unit == (at + bits - 1) // unit for unit in (8, 16, 32, 64) if unit >= 8 * size
    )


def is_signed(found: Type) -> bool:
    """As BTF says it."""
    if found[0] == "int":
        return bool(found[2] & k.INT_SIGNED)
    return found[0] == "enum" and found[3]


def move(value: int) -> bytes:
    """r0 = value, of 32 bits."""
    return instruction(0xB7, value)


def assemble(written: world_types.Written, questions: list[Ask]) -> bytes:
    """An object with one program, "p" and its number, for each question."""
    code, records, symbols = b"", [], []
    for number, ask in enumerate(questions):
        program = ask.code + EXIT
        symbols.append(Symbol(f"p{number}", SECTION, len(code), len(program)))
        access = ":".join(map(str, ask.access))
        records.append((len(code) // 8, ask.type_id, access, ask.kind))
        code += program
    ext = extension(written.builder, {SECTION: records})
    sections = {SECTION: code, ".BTF": written.builder.build(), ".BTF.ext": ext}
    return elf(sections, symbols)
