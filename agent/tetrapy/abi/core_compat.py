# SPDX-License-Identifier: Apache-2.0
"""Which types of a program and of a kernel stand for each other, by libbpf's rules.

The rules are those of relo_core.c in libbpf: names match without their flavour, kinds match, and
for the types of fields integers of any size match each other.
"""

from __future__ import annotations

import re
from typing import Iterator, List, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type
from tetrapy.errors import LayoutError

COMPOSITE = (k.KIND_STRUCT, k.KIND_UNION)
ENUMS = (k.KIND_ENUM, k.KIND_ENUM64)
_MAX_DEPTH = 32
_FLAVOUR = re.compile(r"(.*[^_])___(?=[^_])", re.DOTALL)


def essential_name(name: str) -> str:
    """A name without its flavour, which starts at the last three underscores inside it."""
    found = _FLAVOUR.match(name)
    return found.group(1) if found else name


def candidates(local: Btf, type_id: int, target: Btf) -> List[Type]:
    """The types of a kernel that could be the program's: same name, same kind."""
    wanted = local.type(type_id)
    name = essential_name(wanted.name)
    if not name:
        return []
    kinds = ENUMS if wanted.kind in ENUMS else (wanted.kind,)
    return [t for t in target.find_flavours(name, *kinds) if essential_name(t.name) == name]


def same_kind(one: Type, other: Type) -> bool:
    """Whether kinds match; enums of 32 and of 64 bits do."""
    return one.kind == other.kind or (one.kind in ENUMS and other.kind in ENUMS)


def fields_match(local: Btf, mine: int, target: Btf, theirs: int) -> bool:
    """Whether the types of two fields fit each other; sizes of integers may differ."""
    for here, there in _elements(local, mine, target, theirs):
        if here.kind in COMPOSITE and there.kind in COMPOSITE:
            return True
        if not same_kind(here, there):
            return False
        if here.kind in ENUMS or here.kind == k.KIND_FWD:
            names = {essential_name(here.name), essential_name(there.name)}
            return "" in names or len(names) == 1
        if here.kind == k.KIND_INT:
            return not local.integer(here).bit_offset and not target.integer(there).bit_offset
        if here.kind != k.KIND_ARRAY:
            return here.kind in (k.KIND_PTR, k.KIND_FLOAT)
    return False


def types_match(local: Btf, mine: int, target: Btf, theirs: int, level: int = _MAX_DEPTH) -> bool:
    """Whether two types of one name fit each other; structs do whatever they hold.

    Raises LayoutError for more types inside each other than libbpf follows.
    """
    for _ in range(_MAX_DEPTH):
        here, there = local.resolve(mine), target.resolve(theirs)
        if not same_kind(here, there):
            return False
        if here.kind in (*COMPOSITE, *ENUMS, k.KIND_VOID, k.KIND_FWD):
            return True
        if here.kind == k.KIND_INT:
            return not local.integer(here).bit_offset and not target.integer(there).bit_offset
        if here.kind == k.KIND_PTR:
            mine, theirs = here.ref, there.ref
        elif here.kind == k.KIND_ARRAY:
            mine, theirs = local.array(here).element_id, target.array(there).element_id
        elif here.kind == k.KIND_FUNC_PROTO:
            if here.vlen != there.vlen:
                return False
            for (_name, one), (_other, two) in zip(
                local.parameters(here), target.parameters(there)
            ):
                if level <= 0:
                    raise LayoutError(f"{here} has more than {_MAX_DEPTH} prototypes inside it")
                if not types_match(local, one, target, two, level - 1):
                    return False
            mine, theirs = here.ref, there.ref
        else:
            return False
    raise LayoutError(f"type {theirs} has more than {_MAX_DEPTH} types inside each other")


def _elements(local: Btf, mine: int, target: Btf, theirs: int) -> Iterator[Tuple[Type, Type]]:
    """Two types, and while both are arrays those of their elements."""
    for _ in range(_MAX_DEPTH):
        here, there = local.resolve(mine), target.resolve(theirs)
        yield here, there
        if here.kind != k.KIND_ARRAY or there.kind != k.KIND_ARRAY:
            return
        mine, theirs = local.array(here).element_id, target.array(there).element_id
