# SPDX-License-Identifier: Apache-2.0
"""Small worlds of types, and the BTF of them.

A type is a tuple that starts with its kind. `worlds` draws worlds, `world_layout` gives members
their offsets.
"""

from __future__ import annotations

from typing import NamedTuple

from tests.support.builders import BtfBuilder
from tetrapy.abi import kinds as k

COMPOSITES = {"struct": k.KIND_STRUCT, "union": k.KIND_UNION}
WRAPPERS = {"const": k.KIND_CONST, "volatile": k.KIND_VOLATILE, "restrict": k.KIND_RESTRICT}

# ("int", bytes, encoding) ("ptr",) ("float", bytes) ("enum", name, bytes, signed)
# ("array", type, elements) ("typedef", type) ("const", type) ... ("named", number of a composite)
# ("struct", members) ("union", members)
Type = tuple


class Member(NamedTuple):
    """A member; `at` is its offset in bits, `bits` the width of a bitfield or 0."""

    name: str
    type: Type
    bits: int = 0
    at: int = 0


class Composite(NamedTuple):
    """A struct or union with a name, flavour included."""

    kind: str
    name: str
    members: tuple[Member, ...]
    size: int = 0


class Enum(NamedTuple):
    """An enum with a name."""

    name: str
    size: int
    signed: bool
    values: tuple[tuple[str, int], ...]


class World(NamedTuple):
    """All types of one side; a composite refers to those before it only."""

    composites: tuple[Composite, ...]
    enums: tuple[Enum, ...]
    typedefs: tuple[tuple[str, Type], ...]

    def is_ambiguous(self) -> bool:
        """Whether several composites have one name, flavours aside."""
        names = [(c.kind, c.name.partition("___")[0]) for c in self.composites]
        return len(set(names)) < len(names)


def plain(found: Type, placed: tuple[Composite, ...] | list[Composite]) -> Type:
    """The type behind typedefs and qualifiers; of a named composite as of one without a name."""
    while found[0] in ("typedef", *WRAPPERS):
        found = found[1]
    if found[0] == "named":
        composite = placed[found[1]]
        return (composite.kind, composite.members, composite.size)
    return found


def size_of(found: Type, placed: tuple[Composite, ...] | list[Composite]) -> int:
    """Its size in bytes."""
    found = plain(found, placed)
    if found[0] == "array":
        return found[2] * size_of(found[1], placed)
    if found[0] in COMPOSITES:
        return found[2]
    return {"ptr": 8}.get(found[0]) or found[2 if found[0] == "enum" else 1]


def alignment_of(found: Type, placed: tuple[Composite, ...] | list[Composite]) -> int:
    """Its alignment in bytes."""
    found = plain(found, placed)
    if found[0] == "array":
        return alignment_of(found[1], placed)
    if found[0] in COMPOSITES:
        return max((alignment_of(member.type, placed) for member in found[1]), default=1)
    return size_of(found, placed)


class Written(NamedTuple):
    """The BTF of a world, and the ids of what has a name."""

    builder: BtfBuilder
    composites: list[int]
    enums: list[int]
    typedefs: list[int]


def write(world: World) -> Written:
    """All types of a world."""
    b = BtfBuilder()
    b.integer("int", 4)
    ids: list[int] = []
    for found in world.composites:
        ids.append(_composite(b, found.kind, found.name, found.members, found.size, ids))
    enums = [_enum(b, found) for found in world.enums]
    typedefs = [b.add(k.KIND_TYPEDEF, name, _type(b, inner, ids)) for name, inner in world.typedefs]
    return Written(b, ids, enums, typedefs)


def _type(b: BtfBuilder, found: Type, ids: list[int]) -> int:
    kind = found[0]
    if kind == "int":
        return b.integer(f"i{found[1]}", found[1], found[2])
    if kind == "ptr":
        return b.add(k.KIND_PTR)
    if kind == "float":
        return b.add(k.KIND_FLOAT, "float", found[1])
    if kind == "enum":
        return _enum(b, Enum(found[1], found[2], found[3], (("Q", 1),)))
    if kind == "array":
        return b.array(_type(b, found[1], ids), found[2])
    if kind == "typedef":
        return b.add(k.KIND_TYPEDEF, "some_t", _type(b, found[1], ids))
    if kind in WRAPPERS:
        return b.add(WRAPPERS[kind], "", _type(b, found[1], ids))
    if kind == "named":
        return ids[found[1]]
    return _composite(b, kind, "", found[1], found[2], ids)


def _composite(
    b: BtfBuilder, kind: str, name: str, members: tuple[Member, ...], size: int, ids: list[int]
) -> int:
    flag = any(member.bits for member in members)
    body = []
    for member in members:
        type_id = _type(b, member.type, ids)
        body += [b.name(member.name), type_id, member.bits << 24 | member.at]
    return b.add(COMPOSITES[kind], name, size, body, len(members), flag)


def _enum(b: BtfBuilder, found: Enum) -> int:
    body = []
    for name, value in found.values:
        body += [b.name(name), value & 0xFFFFFFFF]
        if found.size == 8:
            body.append(value >> 32 & 0xFFFFFFFF)
    kind = k.KIND_ENUM64 if found.size == 8 else k.KIND_ENUM
    return b.add(kind, found.name, found.size, body, len(found.values), found.signed)
