# SPDX-License-Identifier: Apache-2.0
"""The fields that are asked for, as places inside each other: what `core_minimal` makes types of.

A field inside a field (`fs_struct.pwd.dentry`) has its whole offset where it is asked for; what is
between has none of its own unless somebody asks for it: only the sum tells anything.  Of arrays the
size of an element (`stride`) is known where it counts.
"""

from __future__ import annotations

from typing import Dict, List, Mapping, Optional, Sequence, Tuple

from tetrapy.abi import core_relocs as relocs
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type
from tetrapy.abi.core_compat import essential_name
from tetrapy.abi.core_queries import Question, stride_texts
from tetrapy.errors import LayoutError
from tetrapy.named import NamedTuple


class Hop(NamedTuple):
    """One step of a path: to a named member, or to an element of elements of `stride` bytes."""

    name: Optional[str]
    number: int
    stride: Optional[int]


class Leaf(NamedTuple):
    """What is known of a field: the way to it from where we are, and its offset in bits from there.

    `declared` is its type in the object, whose types are `local`. Widths and sign are None where
    nobody asks.
    """

    hops: Tuple[Hop, ...]
    offset: int
    local: Btf
    declared: Type
    bits: Optional[int]
    size: Optional[int]
    signed: Optional[int]


def leaf(question: Question, known: Mapping[str, int]) -> Leaf:
    """A field of which the offset is known, seen from its root type."""
    local, relocation = question.local, question.relocation
    field_access = relocs.field_access(local, relocation)
    texts = dict(stride_texts(local, relocation))
    hops, number = [], 0
    for step in field_access.steps[1:]:
        if step.name is None:
            number += 1
            stride = known.get(f"stride {texts[number]}") if number in texts else None
            hops.append(Hop(None, step.number, stride))
        elif step.name:
            hops.append(Hop(step.name, step.number, None))
    first = field_access.steps[0].number
    skipped = first * known.get(f"stride {texts[0]}", 0) if first else 0
    access = question.access
    bits, size, signed = (known.get(f"{what} {access}") for what in ("bits", "size", "signed"))
    offset = known[f"offset {access}"] - 8 * skipped
    return Leaf(tuple(hops), offset, local, field_access.field, bits, size, signed)


def start(leaves: Sequence[Leaf]) -> int:
    """The offset of the place that all hops lead out of, if a leaf tells; else 0.

    What is left then is part of the offsets inside.  Of a bitfield only who asks for its size knows
    the bit; others know where the integer starts that it is a part of.
    """
    for found in sorted(leaves, key=lambda found: (len(found.hops), found.size is None)):
        if all(hop.name is None for hop in found.hops):
            return found.offset - 8 * sum(hop.number * (hop.stride or 0) for hop in found.hops)
    return 0


def moved(leaves: Sequence[Leaf], offset: int) -> List[Leaf]:
    """The leaves as seen from that many bits later."""
    return [found._replace(offset=found.offset - offset) for found in leaves]


def by_member(leaves: Sequence[Leaf]) -> Dict[str, List[Leaf]]:
    """The leaves inside each member, one hop on; raises LayoutError if there are others."""
    groups: Dict[str, List[Leaf]] = {}
    for found in leaves:
        name = found.hops[0].name
        if name is None:
            raise LayoutError("the facts contradict each other: a struct with elements")
        groups.setdefault(name, []).append(found._replace(hops=found.hops[1:]))
    return groups


def elements(leaves: Sequence[Leaf]) -> List[Leaf]:
    """The leaves inside the elements of an array, one hop on, as if all were in the first one."""
    inside = []
    for found in leaves:
        hop = found.hops[0]
        if hop.name is not None:
            raise LayoutError("the facts contradict each other: an array with members")
        skipped = 8 * hop.number * (hop.stride or 0)
        inside.append(found._replace(hops=found.hops[1:], offset=found.offset - skipped))
    return inside


def stride(leaves: Sequence[Leaf]) -> Optional[int]:
    """The size of an element of an array in bytes, if a leaf inside it tells."""
    for found in leaves:
        if found.hops[0].stride is not None:
            return found.hops[0].stride
    return next((found.size for found in leaves if len(found.hops) == 1 and found.size), None)


def own(leaves: Sequence[Leaf]) -> Optional[Leaf]:
    """The leaf that is the place itself, rather one that tells its size."""
    mine = [found for found in leaves if not found.hops]
    return next((found for found in mine if found.size is not None), mine[0] if mine else None)


def enum_name(leaves: Sequence[Leaf]) -> str:
    """The name of the enum of a place, or of its elements.

    Names have to match unless one is empty: so objects that use different ones have found an enum
    without a name.  One that only objects without a name have found must not match others.
    """
    names = set()
    for found in leaves:
        if not found.hops:
            inner = found.declared
            while inner.kind == k.KIND_ARRAY:
                inner = found.local.resolve(found.local.array(inner).element_id)
            names.add(essential_name(inner.name))
    names.discard("")
    if len(names) > 1:
        return ""
    return names.pop() if names else "?"
