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

POINTER_SIZE = 8
"""Bytes; kernels of 64 bits only."""


class PathStep(NamedTuple):
    """One step of a path: to a named member, or to an element of elements of `stride` bytes."""

    name: Optional[str]
    number: int
    stride: Optional[int]


class MemberPath(NamedTuple):
    """What is known of a field: the way to it from where we are, and its offset in bits from there.

    `declared` is its type in the object, whose types are `local`. Widths and sign are None where
    nobody asks.
    """

    steps: Tuple[PathStep, ...]
    offset: int
    local: Btf
    declared: Type
    bits: Optional[int]
    size: Optional[int]
    signed: Optional[int]


def member_path(question: Question, known: Mapping[str, int]) -> MemberPath:
    """A field of which the offset is known, seen from its root type."""
    local, relocation = question.local, question.relocation
    field_access = relocs.field_access(local, relocation)
    texts = dict(stride_texts(local, relocation))
    path, number = [], 0
    for step in field_access.steps[1:]:
        if step.name is None:
            number += 1
            stride = known.get(f"stride {texts[number]}") if number in texts else None
            path.append(PathStep(None, step.number, stride))
        elif step.name:
            path.append(PathStep(step.name, step.number, None))
    first = field_access.steps[0].number
    skipped = first * known.get(f"stride {texts[0]}", 0) if first else 0
    access = question.access
    bits, size, signed = (known.get(f"{what} {access}") for what in ("bits", "size", "signed"))
    offset = known[f"offset {access}"] - 8 * skipped
    return MemberPath(tuple(path), offset, local, field_access.field, bits, size, signed)


def start(paths: Sequence[MemberPath]) -> int:
    """The offset of the place that all steps lead out of, if a path tells; else 0.

    What is left then is part of the offsets inside.  Of a bitfield only who asks for its size knows
    the bit; others know where the integer starts that it is a part of.
    """
    for found in sorted(paths, key=lambda found: (len(found.steps), found.size is None)):
        if all(step.name is None for step in found.steps):
            return found.offset - 8 * sum(step.number * (step.stride or 0) for step in found.steps)
    return 0


def moved(paths: Sequence[MemberPath], offset: int) -> List[MemberPath]:
    """The paths as seen from that many bits later."""
    return [found._replace(offset=found.offset - offset) for found in paths]


def by_member(paths: Sequence[MemberPath]) -> Dict[str, List[MemberPath]]:
    """The paths inside each member, one step on; raises LayoutError if there are others."""
    groups: Dict[str, List[MemberPath]] = {}
    for found in paths:
        name = found.steps[0].name
        if name is None:
            raise LayoutError("the answers contradict each other: a struct with elements")
        groups.setdefault(name, []).append(found._replace(steps=found.steps[1:]))
    return groups


def elements(paths: Sequence[MemberPath]) -> List[MemberPath]:
    """The paths inside the elements of an array, one step on, as if all were in the first one."""
    inside = []
    for found in paths:
        step = found.steps[0]
        if step.name is not None:
            raise LayoutError("the answers contradict each other: an array with members")
        skipped = 8 * step.number * (step.stride or 0)
        inside.append(found._replace(steps=found.steps[1:], offset=found.offset - skipped))
    return inside


def stride(paths: Sequence[MemberPath]) -> Optional[int]:
    """The size of an element of an array in bytes, if a path inside it tells.

    Nobody needs to ask for the size of a pointer, which BTF does not state either.
    """
    for found in paths:
        if found.steps[0].stride is not None:
            return found.steps[0].stride
    elements = [found for found in paths if len(found.steps) == 1]
    if any(found.declared.kind == k.KIND_PTR for found in elements):
        return POINTER_SIZE
    return next((found.size for found in elements if found.size), None)


def own(paths: Sequence[MemberPath]) -> Optional[MemberPath]:
    """The path that is the place itself, rather one that tells its size."""
    mine = [found for found in paths if not found.steps]
    return next((found for found in mine if found.size is not None), mine[0] if mine else None)


def enum_name(paths: Sequence[MemberPath]) -> str:
    """The name of the enum of a place, or of its elements.

    Names have to match unless one is empty: so objects that use different ones have found an enum
    without a name.  One that only objects without a name have found must not match others.
    """
    names = set()
    for found in paths:
        if not found.steps:
            inner = found.declared
            while inner.kind == k.KIND_ARRAY:
                inner = found.local.resolve(found.local.array(inner).element_id)
            names.add(essential_name(inner.name))
    names.discard("")
    if len(names) > 1:
        return ""
    return names.pop() if names else "?"
