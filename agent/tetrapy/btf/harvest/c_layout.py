# SPDX-License-Identifier: Apache-2.0
"""Where a C compiler puts the members of a struct or union, on x86_64 and arm64.

Sources: System V ABI for x86_64 and arm64 (AAPCS64, "bit-fields"), as GCC and Clang follow them on
Linux.  They differ in one thing: on arm64 unnamed bit fields align their struct too.  No debug
information has these; here they are the gaps that bpftool fills by x86_64's rule on both.
"""

from __future__ import annotations

from typing import List, Optional, Sequence

from tetrapy.named import NamedTuple


class Member(NamedTuple):
    """A member: `size` and `align` of its type in bytes, `bits` of a bit field, else None.

    `least`: what an attribute of its own aligns it to at least, 1 if there is none.
    """

    name: str
    type_id: int
    size: int
    align: int
    bits: Optional[int] = None
    least: int = 1


class Layout(NamedTuple):
    """Size and alignment in bytes, and the place of each member in bits."""

    size: int
    align: int
    places: List[int]


def layout(members: Sequence[Member], *, union: bool, packed: bool, least: int) -> Layout:
    """The layout of a struct or union, which an attribute aligns to `least` bytes at least."""
    at = end = 0
    align = least
    places: List[int] = []
    for member in members:
        own = max(1 if packed else member.align, member.least)
        if union:
            at = 0
        if member.bits is None:
            at = _up(at, 8 * own)
            width = 8 * member.size
            align = max(align, own)
        else:
            width = member.bits
            unit = 8 * member.align
            # One of no bits ends the unit, also in a packed struct; others do not cross its end.
            crosses = not packed and at % unit + width > 8 * member.size
            if not width or crosses:
                at = _up(at, unit)
            if member.name and not packed:
                align = max(align, member.align)
        places.append(at)
        at += width
        end = max(end, at)
    return Layout(_up(end, 8 * align) // 8, align, places)


def _up(number: int, unit: int) -> int:
    return -(-number // unit) * unit
