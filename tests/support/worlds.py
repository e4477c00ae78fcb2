# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies for small worlds: types as a program and as a kernel have them.

The kernel's types are the program's, changed as kernels change: other sizes and signs, other order,
members gone, new, or moved into or out of a struct without a name.
"""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.world_types import COMPOSITES, WRAPPERS, Composite, Enum, Member, Type, World
from tetrapy.abi import kinds as k

ENCODINGS = st.sampled_from([0, k.INT_SIGNED, k.INT_BOOL])
INTS = st.tuples(st.just("int"), st.sampled_from([1, 2, 4, 8]), ENCODINGS)
ENUM_FIELDS = st.tuples(
    st.just("enum"),
    st.sampled_from(["", "p", "q", "p___x"]),
    st.sampled_from([1, 4, 8]),
    st.booleans(),
)
POINTERS = st.just(("ptr",))
FLOATS = st.tuples(st.just("float"), st.sampled_from([4, 8]))
VALUES = st.one_of(
    st.integers(0, 9),
    st.sampled_from([-1, -(1 << 31), (1 << 31) - 1, 1 << 31, (1 << 32) - 1, 1 << 40, -(1 << 40)]),
)


def types(names: list[str], composites: int, depth: int = 2) -> st.SearchStrategy[Type]:
    """A type of a member, whose own members take names of `names` that nobody else has."""
    choices = [INTS, INTS, POINTERS, ENUM_FIELDS, FLOATS]
    if composites:
        choices.append(st.tuples(st.just("named"), st.integers(0, composites - 1)))
    if depth:
        inner = types(["x", "y"], composites, depth - 1)
        choices.append(st.tuples(st.just("array"), inner, st.integers(0, 3)))
        wrapped = st.sampled_from(["typedef", *WRAPPERS])
        choices.append(st.tuples(wrapped, inner))
        choices.append(
            st.tuples(
                st.sampled_from(list(COMPOSITES)), members(["x", "y", "z"], composites, depth - 1)
            )
        )
    return st.one_of(choices)


@st.composite
def members(
    draw: st.DrawFn, names: list[str], composites: int, depth: int = 2
) -> tuple[Member, ...]:
    """Members of one struct, some of them bitfields or structs without a name."""
    chosen = draw(st.lists(st.sampled_from(names), unique=True, min_size=1))
    found: list[Member] = []
    while chosen:
        name = chosen.pop()
        shape = draw(st.integers(0, 9))
        if shape == 0 and depth and chosen:
            inside = [chosen.pop() for _ in range(draw(st.integers(1, len(chosen))))]
            made = draw(members(inside, composites, depth - 1))
            found.append(Member("", (draw(st.sampled_from(list(COMPOSITES))), made)))
        elif shape <= 2:
            found.append(bitfield(draw, name))
        else:
            found.append(Member(name, draw(types(names, composites, depth))))
    return tuple(found)


def bitfield(draw: st.DrawFn, name: str) -> Member:
    """A bitfield of an integer or of an enum."""
    kind = draw(st.one_of(INTS, INTS, ENUM_FIELDS))
    size = kind[1] if kind[0] == "int" else kind[2]
    return Member(name, kind, draw(st.integers(1, 8 * size)))


@st.composite
def worlds(draw: st.DrawFn, names: list[str]) -> World:
    """The types of a program."""
    composites: list[Composite] = []
    for number, name in enumerate(names):
        kind = draw(st.sampled_from(["struct", "struct", "union"]))
        made = draw(members(list("abcdef"), number))
        if "___" in name and draw(st.integers(0, 3)):
            kind = composites[-1].kind
            made = changed_members(draw, composites[-1].members, number - 1) or made
        composites.append(Composite(kind, name, made))
    enums = [draw(enum(name)) for name in draw(st.sets(st.sampled_from(["e", "f", "g___old"])))]
    typedefs = [
        (name, draw(types(["x"], len(names), 1)))
        for name in draw(st.sets(st.sampled_from(["t", "v___new"])))
    ]
    return World(tuple(composites), tuple(enums), tuple(typedefs))


@st.composite
def enum(draw: st.DrawFn, name: str) -> Enum:
    """An enum with some of a few values."""
    names = draw(st.lists(st.sampled_from(["A", "B", "C___x", "D"]), unique=True, min_size=1))
    size = draw(st.sampled_from([4, 8]))
    return Enum(name, size, draw(st.booleans()), tuple((n, draw(VALUES)) for n in names))


@st.composite
def changed(draw: st.DrawFn, world: World) -> World:
    """A kernel's types for a program's."""
    composites = []
    for number, found in enumerate(world.composites):
        fate = draw(st.integers(0, 19))
        kind = found.kind if fate else "union"
        name = found.name.partition("___")[0]
        made = changed_members(draw, found.members, number)
        if fate == 1 or (fate != 3 and any(name == other.name for other in composites)):
            # The kernel has one type of a name, but for a few.
            name += "x"
        composites.append(Composite(kind, name, made))
        if fate == 2:
            again = changed_members(draw, found.members, number) if draw(st.booleans()) else made
            # Others refer to composites by number: what stands for an earlier one stays in place.
            composites[-1] = composites[-1]._replace(members=made)
            extra = Composite(kind, name + draw(st.sampled_from(["", "___2"])), again)
            world = world._replace(composites=(*world.composites, extra))
    enums = []
    for found in world.enums:
        name = found.name.partition("___")[0]
        again = draw(enum(name))
        enums.append(again if draw(st.booleans()) else found._replace(name=name))
    typedefs = [
        (name.partition("___")[0], changed_type(draw, inner, len(composites)))
        for name, inner in world.typedefs
        if draw(st.integers(0, 5))
    ]
    extra = world.composites[len(composites) :]
    return World((*composites, *extra), tuple(enums), tuple(typedefs))


def changed_members(
    draw: st.DrawFn, found: tuple[Member, ...], composites: int
) -> tuple[Member, ...]:
    """Members in another order, some gone, some moved in or out of a struct without a name."""
    flat: list[Member] = []
    for member in found:
        if draw(st.integers(0, 9)) == 0:
            continue
        if not member.name:
            inner = changed_members(draw, member.type[1], composites)
            if draw(st.booleans()):
                flat += inner
            elif inner:
                flat.append(Member("", (member.type[0], inner)))
        elif draw(st.integers(0, 5)) == 0:
            # A bitfield becomes an ordinary field, or the other way about.
            flat.append(bitfield(draw, member.name) if not member.bits else member._replace(bits=0))
        elif member.bits:
            flat.append(member)
        else:
            flat.append(member._replace(type=changed_type(draw, member.type, composites)))
    flat = list(draw(st.permutations(flat)))
    if len(flat) > 1 and draw(st.booleans()):
        cut = draw(st.integers(1, len(flat) - 1))
        shape = draw(st.sampled_from(list(COMPOSITES)))
        flat = [*flat[:cut], Member("", (shape, tuple(flat[cut:])))]
    return tuple(flat)


def changed_type(draw: st.DrawFn, found: Type, composites: int) -> Type:
    """The type of a kernel's field for that of a program's."""
    fate = draw(st.integers(0, 11))
    kind = found[0]
    if fate == 0:
        return draw(types(["x", "y"], composites, 1))
    if fate == 1:
        return (draw(st.sampled_from(["typedef", *WRAPPERS])), found)
    if kind == "int":
        return draw(INTS)
    if kind == "enum":
        return ("enum", found[1], *draw(ENUM_FIELDS)[2:]) if fate > 3 else draw(ENUM_FIELDS)
    if kind == "float":
        return draw(FLOATS)
    if kind == "array":
        elements = draw(st.integers(0, 3)) if fate < 6 else found[2]
        return ("array", changed_type(draw, found[1], composites), elements)
    if kind in COMPOSITES:
        shape = kind if fate > 3 else draw(st.sampled_from(list(COMPOSITES)))
        return (shape, changed_members(draw, found[1], composites))
    if kind in ("typedef", *WRAPPERS):
        return (kind, changed_type(draw, found[1], composites)) if fate > 3 else found[1]
    return found
