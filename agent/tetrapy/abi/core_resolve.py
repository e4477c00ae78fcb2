"""Finds in a kernel's BTF what a CO-RE relocation asks for, by libbpf's rules.

The rules are those of relo_core.c in libbpf: a type matches by kind and by name, less a flavour
(`task_struct___old` is `task_struct`); a field by the names on the way, through anonymous members;
a field's type by its kind.  A field declared `int` where the kernel has an enum does not match, and
neither compiler nor `bpftool gen min_core_btf` says so: this is how a build can.
"""

from __future__ import annotations

from typing import Iterator, List, Optional, Set, Tuple

from tetrapy.abi import core_relocs as relocs
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Member, Type
from tetrapy.abi.core_relocs import CoreRelocation

_COMPOSITE = (k.KIND_STRUCT, k.KIND_UNION)
_ENUMS = (k.KIND_ENUM, k.KIND_ENUM64)
_MAX_DEPTH = 32


def find(local: Btf, relocation: CoreRelocation, target: Btf) -> Set[int]:
    """What the relocation finds among the types of a kernel: nothing, one thing, or several.

    It is a set of bit offsets for fields, of sizes in bytes or ids for types, of values for enums.
    More than one element means that the kernel has several types of that name which differ.
    """
    if relocation.kind in relocs.FIELD_KINDS:
        access = relocs.field_access(local, relocation)
        places = (
            _field(local, relocation, access, root, target)
            for root in _roots(local, relocation, target)
        )
        return {place for place in places if place is not None}
    found = _roots(local, relocation, target)
    if relocation.kind in relocs.ENUM_KINDS:
        enum = local.resolve(relocation.type_id)
        name = essential_name(local.enumerators(enum)[relocation.access[0]][0])
        values = (pair for root in found for pair in target.enumerators(root))
        return {value for known, value in values if essential_name(known) == name}
    if relocs.KINDS[relocation.kind] == "type_size":
        return {target.size_of(root.id) for root in found}
    return {root.id for root in found}


def essential_name(name: str) -> str:
    """A name without its flavour, which starts at the last three underscores inside it."""
    stem, separator, flavour = name.rpartition("___")
    return stem if separator and stem and not stem.endswith("_") and flavour else name


def _roots(local: Btf, relocation: CoreRelocation, target: Btf) -> List[Type]:
    """The types of the kernel with the kind and name of the relocation's own."""
    wanted = local.type(relocation.type_id)
    kinds = _ENUMS if wanted.kind in _ENUMS else (wanted.kind,)
    # Kernels have no flavours, so looking for the bare name finds what libbpf finds.
    return target.find_all(essential_name(wanted.name), *kinds)


def _field(
    local: Btf, relocation: CoreRelocation, access: relocs.FieldAccess, root: Type, target: Btf
) -> Optional[int]:
    """The bit offset of a field in a kernel's type, or None if it has no such field."""
    here, there = access.root, target.resolve(root.id)
    offset = access.steps[0].number * 8 * target.size_of(there.id)
    for step in access.steps[1:]:
        if here.kind in _COMPOSITE:
            member = local.members(here)[step.number]
            here = local.resolve(member.type_id)
            if not member.name:
                continue
            matched = _member(target, there, member.name, set())
            if matched is None or not _compatible(local, member, target, matched[0]):
                return None
            offset += matched[1]
            there = target.resolve(matched[0].type_id)
        else:
            here = local.resolve(local.array(here).element_id)
            if there.kind != k.KIND_ARRAY:
                return None
            element_id, elements = target.array(there)
            if elements and step.number >= elements:
                return None
            there = target.resolve(element_id)
            offset += step.number * 8 * target.size_of(there.id)
    return offset


def _member(
    target: Btf, outer: Type, name: str, seen: Set[int], depth: int = 0
) -> Optional[Tuple[Member, int]]:
    """A member by name and its bit offset, also inside anonymous members, each seen once."""
    if outer.kind not in _COMPOSITE or outer.id in seen or depth > _MAX_DEPTH:
        return None
    seen.add(outer.id)
    for member in target.members(outer):
        if member.name == name:
            return member, member.bit_offset
        if not member.name:
            inner = _member(target, target.resolve(member.type_id), name, seen, depth + 1)
            if inner:
                return inner[0], inner[1] + member.bit_offset
    return None


def _compatible(local: Btf, mine: Member, target: Btf, theirs: Member) -> bool:
    """Whether the types of two fields fit each other; sizes of integers may differ."""
    for here, there in _elements(local, mine.type_id, target, theirs.type_id):
        if here.kind in _COMPOSITE and there.kind in _COMPOSITE:
            return True
        if here.kind in _ENUMS and there.kind in _ENUMS:
            names = {essential_name(here.name), essential_name(there.name)}
            return "" in names or len(names) == 1
        if here.kind != there.kind:
            return False
        if here.kind == k.KIND_FWD:
            return essential_name(here.name) == essential_name(there.name)
        if here.kind == k.KIND_INT:
            return not local.integer(here).bit_offset and not target.integer(there).bit_offset
        if here.kind != k.KIND_ARRAY:
            return here.kind in (k.KIND_PTR, k.KIND_FLOAT)
    return False


def _elements(local: Btf, mine: int, target: Btf, theirs: int) -> Iterator[Tuple[Type, Type]]:
    """Two types, and while both are arrays those of their elements."""
    for _ in range(_MAX_DEPTH):
        here, there = local.resolve(mine), target.resolve(theirs)
        yield here, there
        if here.kind != k.KIND_ARRAY or there.kind != k.KIND_ARRAY:
            return
        mine, theirs = local.array(here).element_id, target.array(there).element_id
