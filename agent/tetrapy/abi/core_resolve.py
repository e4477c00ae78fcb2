# SPDX-License-Identifier: Apache-2.0
"""Finds in a kernel's BTF what a CO-RE relocation asks for, as libbpf does (relo_core.c).

Fields are found by the names on the way, through anonymous members; a field's type has to match by
its kind.  A field declared `int` where the kernel has an enum does not match, and neither compiler
nor `bpftool gen min_core_btf` says so: this is how a build can.
"""

from __future__ import annotations

from typing import Optional, Sequence, Set, Tuple

from tetrapy.abi import core_relocs as relocs
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Member, Type
from tetrapy.abi.core_compat import COMPOSITE, ENUMS, essential_name, fields_match
from tetrapy.abi.core_relocs import CoreRelocation
from tetrapy.errors import LayoutError
from tetrapy.named import NamedTuple

# As libbpf's BPF_CORE_SPEC_MAX_LEN.
_MAX_DEPTH = 64
_MASK = (1 << 64) - 1


class Field(NamedTuple):
    """Where a kernel has a field, and of which kind it is.

    `strides` are the sizes in bytes of the elements that index steps count, in their order; the
    first counts the root type itself.
    """

    bit_offset: int  # from the start of the root type
    bits: int  # width of a bitfield, 0 for others
    size: int  # bytes of its type
    signed: bool
    strides: Tuple[int, ...]

    @property
    def is_readable(self) -> bool:
        """Whether a bitfield lies within the integer; libbpf refuses to read one that does not."""
        start, size = self.storage()
        return not self.bits or self.bit_offset + self.bits <= 8 * (start + size)

    @property
    def byte_offset(self) -> int:
        """The offset in bytes that libbpf gives: a bitfield is read as a whole aligned integer."""
        return self.bit_offset // 8 if not self.bits else self.storage()[0]

    def storage(self) -> Tuple[int, int]:
        """Offset and size in bytes of the integer that a bitfield is read from."""
        size = self.size or 1
        start = self.bit_offset // 8 // size * size
        while self.bit_offset + self.bits - start * 8 > size * 8 and size < 8:
            size *= 2
            start = self.bit_offset // 8 // size * size
        return start, size


def field(local: Btf, relocation: CoreRelocation, target: Btf, root: Type) -> Optional[Field]:
    """The field in one of the kernel's types that could be the relocation's; None without it."""
    access = relocs.field_access(local, relocation)
    return _field(local, relocation.type_id, access.steps, root, target)


def enumerator_value(
    local: Btf, relocation: CoreRelocation, target: Btf, root: Type
) -> Optional[int]:
    """The value of an enumerator in one of the kernel's types, as libbpf extends it; or None.

    It is 64 bits wide and not negative; the 32 bits of a small enum count as signed.
    """
    there = target.resolve(root.id)
    if there.kind not in ENUMS:
        return None
    enum = local.resolve(relocation.type_id)
    name = essential_name(local.enumerators(enum)[relocation.access[0]][0])
    for known, value in target.enumerators(there):
        if essential_name(known) == name:
            extended = there.kind == k.KIND_ENUM and value >> 31
            return (value | _MASK ^ 0xFFFFFFFF if extended else value) & _MASK
    return None


def _field(
    local: Btf, type_id: int, steps: Sequence[relocs.Step], root: Type, target: Btf
) -> Optional[Field]:
    """A field in one of the kernel's types, or None if it has no such field."""
    here, there_id = local.resolve(type_id), root.id
    strides = []
    member: Optional[Tuple[Type, Member]] = None
    outer: Optional[Tuple[Type, Member]] = None
    offset = 0
    for number, step in enumerate(steps):
        if number and here.kind in COMPOSITE:
            mine = local.members(here)[step.number]
            here = local.resolve(mine.type_id)
            if not mine.name:
                continue
            found = _member(local, mine, target, there_id, set())
            if found is None:
                return None
            member = outer = found[:2]
            offset += found[2]
            there_id = member[1].type_id
            continue
        if number:
            here = local.resolve(local.array(here).element_id)
            there = target.resolve(there_id)
            if there.kind != k.KIND_ARRAY:
                return None
            there_id, elements = target.array(there)
            if step.number >= elements and not (outer and _is_flexible(target, outer)):
                return None
            outer = None
        # What is counted has no bits of its own.
        member = None
        size = target.size_of(there_id)
        strides.append(size)
        offset += step.number * 8 * size
    bits = member[1].bits if member else 0
    there = target.resolve(there_id)
    size = there.ref if bits else target.size_of(there_id)
    return Field(offset, bits, size, _is_signed(target, there), tuple(strides))


def _is_signed(target: Btf, there: Type) -> bool:
    if there.kind == k.KIND_INT:
        return bool(target.integer(there).encoding & k.INT_SIGNED)
    return there.kind in ENUMS and there.kind_flag


def _is_flexible(target: Btf, outer: Tuple[Type, Member]) -> bool:
    """Whether an array has no fixed number of elements: the last member, declared with none."""
    composite, member = outer
    there = target.resolve(member.type_id)
    return target.array(there).elements == 0 and target.members(composite)[-1] == member


def _member(
    local: Btf, mine: Member, target: Btf, outer_id: int, seen: Set[int], depth: int = 0
) -> Optional[Tuple[Type, Member, int]]:
    """The composite, its member that stands for `mine`, and its bit offset from the outer type.

    Anonymous members are looked into, each type once. Raises LayoutError where they are inside each
    other more often than libbpf follows.
    """
    outer = target.resolve(outer_id)
    if outer.kind not in COMPOSITE or outer.id in seen:
        return None
    if depth >= _MAX_DEPTH:
        raise LayoutError(f"{outer} is inside more than {_MAX_DEPTH} types without a name")
    seen.add(outer.id)
    for member in target.members(outer):
        if not member.name:
            inner = _member(local, mine, target, member.type_id, seen, depth + 1)
            if inner:
                return inner[0], inner[1], inner[2] + member.bit_offset
        elif member.name == mine.name:
            fits = fields_match(local, mine.type_id, target, member.type_id)
            return (outer, member, member.bit_offset) if fits else None
    return None
