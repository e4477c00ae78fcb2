# SPDX-License-Identifier: Apache-2.0
"""Gives the members of a world (`world_types`) offsets, with gaps that nobody thought of."""

from __future__ import annotations

from hypothesis import strategies as st

from tests.support.world_types import (
    COMPOSITES,
    WRAPPERS,
    Composite,
    Member,
    Type,
    World,
    alignment_of,
    size_of,
)


@st.composite
def laid_out(draw: st.DrawFn, world: World) -> World:
    """The same world with offsets and sizes."""
    placed: list[Composite] = []
    for found in world.composites:
        members, size = place(draw, found.kind, found.members, placed)
        placed.append(found._replace(members=members, size=size))
    typedefs = [(name, settle(draw, inner, placed)) for name, inner in world.typedefs]
    return World(tuple(placed), world.enums, tuple(typedefs))


def place(
    draw: st.DrawFn, kind: str, members: tuple[Member, ...], placed: list[Composite]
) -> tuple[tuple[Member, ...], int]:
    """Members with offsets as the compilers align them, and the size of it all in bytes."""
    end, largest, alignment, done = 0, 0, 1, []
    for member in members:
        inner = settle(draw, member.type, placed)
        unit = 8 * size_of(inner, placed)
        align = 8 * alignment_of(inner, placed)
        if member.bits:
            # A bitfield lies within one unit of its type.
            at = end if end // unit == (end + member.bits - 1) // unit else rounded(end, unit)
        else:
            at = rounded(end, align) + align * draw(st.sampled_from([0, 0, 0, 1, 5]))
        at = 0 if kind == "union" else at
        done.append(Member(member.name, inner, member.bits, at))
        end = at + (member.bits or unit)
        largest, alignment = max(largest, end), max(alignment, align // 8)
    size = rounded(largest, 8 * alignment) // 8
    return tuple(done), size + alignment * draw(st.sampled_from([0, 0, 1]))


def rounded(number: int, unit: int) -> int:
    """The next multiple."""
    return -(-number // unit) * unit


def settle(draw: st.DrawFn, found: Type, placed: list[Composite]) -> Type:
    """A type with everything inside laid out: composites get their size as a third word."""
    if found[0] in COMPOSITES:
        return (found[0], *place(draw, found[0], found[1], placed))
    if found[0] in ("array", "typedef", *WRAPPERS):
        return (found[0], settle(draw, found[1], placed), *found[2:])
    return found
