# SPDX-License-Identifier: Apache-2.0
"""What a BTF image holds, as `btf.Btf` hands it out."""

from __future__ import annotations

from tetrapy.abi import kinds as k
from tetrapy.named import NamedTuple


class Type(NamedTuple):
    """The three words that start every type; `ref` is a size in bytes or a type id by kind."""

    id: int
    kind: int
    name: str
    vlen: int
    kind_flag: bool
    ref: int

    def __str__(self) -> str:
        return f"{k.KIND_NAMES[self.kind]} {self.name or '(anonymous)'}"


class Member(NamedTuple):
    """A member of a struct or union; `bits` is the width of a bitfield, 0 for ordinary members."""

    name: str
    type_id: int
    bit_offset: int
    bits: int


class Int(NamedTuple):
    """What distinguishes integers: `encoding` is a mask of the INT_ constants in `kinds`."""

    size: int
    encoding: int
    bit_offset: int
    bits: int


class Array(NamedTuple):
    """An array: the type of its elements and their number."""

    element_id: int
    elements: int


class Variable(NamedTuple):
    """A variable's place in its section, in bytes."""

    name: str
    type_id: int
    offset: int
    size: int
