# SPDX-License-Identifier: Apache-2.0
"""Where the fields of a C struct are, asked of the object's own BTF.

Python names the fields that it wants, the BTF of the object says where they are; what CO-RE does
for kernel structs is done here for the structs that cross from C to Python.  The rules of that
boundary are enforced: integers, enums, byte arrays and structs of these; no bitfields, pointers,
floats or unions inside a struct.  Members whose names start with two underscores are padding.
"""

from __future__ import annotations

from struct import Struct
from typing import Dict, Iterable, Iterator, NoReturn, Sequence, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type
from tetrapy.errors import LayoutError
from tetrapy.named import NamedTuple

_UNSIGNED = {1: "B", 2: "H", 4: "I", 8: "Q"}
_SIGNED = {1: "b", 2: "h", 4: "i", 8: "q"}
_MAX_NESTING = 8
_MAX_MEMBERS = 4096


class Member(NamedTuple):
    """A field's place in bytes and its `struct` format, such as "Q" or "16s"."""

    offset: int
    size: int
    format: str


class StructLayout(NamedTuple):
    """The fields of a struct by name, in the order of their offsets.

    The fields of a nested struct are named "outer.inner".
    """

    name: str
    size: int
    members: Dict[str, Member]


def struct_layout(btf: Btf, name: str) -> StructLayout:
    """The layout of `struct name`; LayoutError if it is absent or breaks the rules above."""
    found = _find(btf, name, k.KIND_STRUCT)
    members: Dict[str, Member] = {}
    for path, member in _Fields(btf).of(found, "", name, 0):
        if member.offset + member.size > found.ref:
            raise LayoutError(f"struct {name}: {path} ends past its {found.ref} bytes")
        members[path] = member
    return StructLayout(name, found.ref, members)


def array_places(btf: Btf, name: str) -> Dict[str, Tuple[int, int]]:
    """Offset in bytes and number of elements of each array that is a member of `struct name`.

    Raises LayoutError when there is no such structure.
    """
    places = {}
    for member in btf.members(_find(btf, name, k.KIND_STRUCT)):
        target = btf.resolve(member.type_id)
        if target.kind == k.KIND_ARRAY:
            places[member.name] = (member.bit_offset // 8, btf.array(target)[1])
    return places


def member_places(btf: Btf, name: str) -> Dict[str, Tuple[int, int]]:
    """Offset and size in bytes of each member of `struct name`. Raises LayoutError without it."""
    members = btf.members(_find(btf, name, k.KIND_STRUCT))
    return {one.name: (one.bit_offset // 8, btf.size_of(one.type_id)) for one in members}


def unpacker(layout: StructLayout, names: Sequence[str]) -> Struct:
    """A `Struct` of exactly the struct's size that reads (or writes) the named fields.

    The names must be in the order of the fields' offsets; all other bytes are padding.
    """
    parts = ["<"]
    position = 0
    for name in names:
        member = layout.members.get(name)
        if member is None:
            raise LayoutError(f"struct {layout.name} has no {name} (has {_join(layout.members)})")
        if member.offset < position:
            order = [known for known in layout.members if known in names]
            raise LayoutError(
                f"struct {layout.name}: {name} is named out of order, the order is {_join(order)}"
            )
        parts.append(_pad(member.offset - position) + member.format)
        position = member.offset + member.size
    parts.append(_pad(layout.size - position))
    return Struct("".join(parts))


def enum_values(btf: Btf, name: str) -> Dict[str, int]:
    """Names and values of `enum name`."""
    return dict(btf.enumerators(_find(btf, name, k.KIND_ENUM, k.KIND_ENUM64)))


def union_members(btf: Btf, name: str) -> Dict[str, str]:
    """Member name -> struct name of `union name`, all of whose members must be named structs."""
    members = {}
    for member in btf.members(_find(btf, name, k.KIND_UNION)):
        target = btf.resolve(member.type_id)
        if target.kind != k.KIND_STRUCT or not target.name or not member.name:
            raise LayoutError(f"union {name}: {member.name or '(anonymous)'} is no named struct")
        members[member.name] = target.name
    return members


def rodata_offsets(btf: Btf, section: str = ".rodata") -> Dict[str, Tuple[int, int]]:
    """Variable name -> (offset, size) in bytes of a data section of a linked object."""
    variables = btf.variables(_find(btf, section, k.KIND_DATASEC))
    if len(variables) > 1 and not any(variable.offset for variable in variables):
        # The compiler leaves the offsets to the linker (libbpf's, or `bpftool gen object`).
        raise LayoutError(f"section {section}: all offsets are 0, the object has not been linked")
    return {variable.name: (variable.offset, variable.size) for variable in variables}


class _Fields:
    """A walk over the fields of a struct and of the structs inside it, limited in all."""

    def __init__(self, btf: Btf) -> None:
        self._btf = btf
        self._left = _MAX_MEMBERS

    def of(self, outer: Type, prefix: str, where: str, base: int) -> Iterator[Tuple[str, Member]]:
        """Names with the prefix, offsets with the base; `where` is the path for messages."""
        btf = self._btf
        for member in sorted(btf.members(outer), key=lambda found: found.bit_offset):
            path = f"{where}.{member.name or '(anonymous)'}"
            self._left -= 1
            if self._left < 0 or path.count(".") > _MAX_NESTING:
                _refuse(path, "too large or nested too deep")
            if member.name.startswith("__"):
                continue
            if member.bits or member.bit_offset % 8:
                _refuse(path, "a bitfield")
            offset = base + member.bit_offset // 8
            target = btf.resolve(member.type_id)
            if target.kind == k.KIND_STRUCT:
                inner = f"{prefix}{member.name}." if member.name else prefix
                yield from self.of(target, inner, path, offset)
            elif not member.name:
                _refuse(path, f"an anonymous {k.KIND_NAMES[target.kind]}")
            else:
                form = _format(btf, target, path)
                yield prefix + member.name, Member(offset, btf.size_of(target.id), form)


def _format(btf: Btf, target: Type, where: str) -> str:
    """The `struct` format of one scalar or byte array."""
    if target.kind == k.KIND_INT:
        details = btf.integer(target)
        if details.bits != 8 * details.size or details.bit_offset:
            _refuse(where, "a bitfield")
        if details.encoding & k.INT_BOOL:
            return "?" if details.size == 1 else _refuse(where, f"{details.size}-byte bool")
        formats = _SIGNED if details.encoding & k.INT_SIGNED else _UNSIGNED
    elif target.kind in (k.KIND_ENUM, k.KIND_ENUM64):
        formats = _SIGNED if target.kind_flag else _UNSIGNED
    elif target.kind == k.KIND_ARRAY:
        element_id, count = btf.array(target)
        element = btf.resolve(element_id)
        if element.kind == k.KIND_INT and element.ref == 1:
            return f"{count}s"
        _refuse(where, f"an array of {element}")
    else:
        _refuse(where, f"a {k.KIND_NAMES[target.kind]}")
    return formats.get(target.ref) or _refuse(where, f"{target.ref} bytes wide")


def _refuse(where: str, what: str) -> NoReturn:
    raise LayoutError(
        f"struct {where} is {what}; only integers up to 8 bytes, enums, byte arrays"
        " and structs of these cross from C to Python"
    )


def _find(btf: Btf, name: str, *kinds: int) -> Type:
    found = btf.find(name, *kinds)
    if found is None:
        kind = k.KIND_NAMES[kinds[0]]
        present = (known.name for known in btf if known.kind in kinds and known.name)
        raise LayoutError(f"the BTF has no {kind} {name} (has {_join(present)})")
    return found


def _join(names: Iterable[str], limit: int = 40) -> str:
    listed = list(names)
    more = f" and {len(listed) - limit} more" if len(listed) > limit else ""
    return (", ".join(listed[:limit]) or "none") + more


def _pad(count: int) -> str:
    return f"{count}x" if count else ""
