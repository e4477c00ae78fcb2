# SPDX-License-Identifier: Apache-2.0
"""A reader of BTF, the type information of BPF objects and kernels.

The format is described in the kernel tree, Documentation/bpf/btf.rst, and include/uapi/linux/btf.h.
Only little-endian BTF is read: both architectures that are supported here are little-endian.

Reading is lazy. Opening walks over the type section once, to find where each type starts, which
costs about 0.1 us a type; everything else is decoded when it is asked for.  Damaged input raises
`BtfError`: every offset is checked before it is followed, chains of types are followed to a limited
depth and names to a limited length, so that no input makes the reader hang or read past the end.

A kernel module's BTF is split: it goes on where the kernel's own ends, ids and name offsets alike,
and is read together with it.
"""

from __future__ import annotations

import array as arrays
from typing import Dict, Iterable, Iterator, List, Optional, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf_names import Names
from tetrapy.abi.btf_sections import HEADER, index, read_header
from tetrapy.abi.btf_types import Array, Int, Member, Type, Variable
from tetrapy.errors import BtfError

_HAS_SIZE = frozenset(
    (
        k.KIND_INT,
        k.KIND_STRUCT,
        k.KIND_UNION,
        k.KIND_ENUM,
        k.KIND_DATASEC,
        k.KIND_FLOAT,
        k.KIND_ENUM64,
    )
)
_MODIFIERS = frozenset(
    (k.KIND_TYPEDEF, k.KIND_VOLATILE, k.KIND_CONST, k.KIND_RESTRICT, k.KIND_TYPE_TAG)
)

# libbpf gives up at the same depth (MAX_RESOLVE_DEPTH in btf.c).
_MAX_DEPTH = 32


class Btf:
    """The types and names of one BTF image; ids run from 1, id 0 is void.

    With `base`, the BTF that split BTF was made for, the ids and names of both.
    """

    def __init__(self, data: bytes, base: Optional[Btf] = None) -> None:
        header = read_header(data[: HEADER.size], len(data))
        types = data[header.types : header.types + header.types_size]
        strings = data[header.strings : header.strings + header.strings_size]
        if strings[:1] != b"\0" and base is None:
            raise BtfError("the BTF string section does not start with a zero byte")
        if strings and strings[-1:] != b"\0":
            raise BtfError("the BTF string section does not end with a zero byte")
        self._base = base
        self._first = len(base) if base else 0
        self._words, self._starts = index(types)
        if base:
            # Void is the base's.
            del self._starts[0]
        self.names: Names = Names(strings, base.names if base else None)
        self._members: Dict[int, Tuple[Member, ...]] = {}
        self._enumerators: Dict[int, Tuple[Tuple[str, int], ...]] = {}
        self._by_name: Optional[Dict[int, List[int]]] = None
        self._flavours: Dict[Tuple[str, Tuple[int, ...]], List[Type]] = {}

    def forget(self) -> None:
        """Give back what was found before; it is found again when it is asked for."""
        for known in (self._members, self._enumerators, self._flavours):
            known.clear()
        self._by_name = None
        self.names.forget()

    def __len__(self) -> int:
        """The number of types, void included; ids are below it."""
        return self._first + len(self._starts)

    def __iter__(self) -> Iterator[Type]:
        """All types in the order of their ids, without void."""
        return map(self.type, range(1, len(self)))

    def string(self, offset: int) -> str:
        """The name at an offset of the string section."""
        return self.names.at(offset)

    def type(self, type_id: int) -> Type:
        """The type of an id."""
        words, start = self._place(type_id)
        if type_id == 0:
            return Type(0, k.KIND_VOID, "void", 0, False, 0)
        info = words[start + 1]
        name = self.names.at(words[start])
        kind, vlen, flag = info >> 24 & 31, info & 0xFFFF, info >= 1 << 31
        return Type(type_id, kind, name, vlen, flag, words[start + 2])

    def find(self, name: str, *kinds: int) -> Optional[Type]:
        """The first type of that name among the kinds, or None."""
        return next(iter(self.find_all(name, *kinds)), None)

    def find_all(self, name: str, *kinds: int) -> List[Type]:
        """All types of that name among the kinds (of any kind when none is given)."""
        return self._named(self.names.offsets(name), kinds)

    def find_flavours(self, name: str, *kinds: int) -> List[Type]:
        """All types whose name is `name`, or `name`, three underscores and something."""
        key = (name, kinds)
        known = self._flavours.get(key)
        if known is None:
            known = self.find_all(name, *kinds) + self._named(
                self.names.flavour_offsets(name), kinds
            )
            self._flavours[key] = known
        return known

    def _named(self, offsets: Iterable[int], kinds: Tuple[int, ...]) -> List[Type]:
        if self._by_name is None:
            self._by_name = {}
            words = self._words
            for type_id in range(max(self._first, 1), len(self)):
                start = self._starts[type_id - self._first]
                self._by_name.setdefault(words[start], []).append(type_id)
        offsets = list(offsets)
        found = self._base._named(offsets, kinds) if self._base else []  # noqa: SLF001 - its own kind
        ids = sorted(i for offset in offsets for i in self._by_name.get(offset, ()))
        return found + [t for t in map(self.type, ids) if not kinds or t.kind in kinds]

    def resolve(self, type_id: int) -> Type:
        """The type behind typedefs, qualifiers and type tags."""
        for _ in range(_MAX_DEPTH):
            found = self.type(type_id)
            if found.kind not in _MODIFIERS:
                return found
            type_id = found.ref
        raise BtfError(f"type {type_id}: more than {_MAX_DEPTH} typedefs and qualifiers in a row")

    def size_of(self, type_id: int) -> int:
        """The size in bytes of a value of that type."""
        count = 1
        for _ in range(_MAX_DEPTH):
            found = self.resolve(type_id)
            if found.kind in _HAS_SIZE or found.kind == k.KIND_PTR:
                size = count * (8 if found.kind == k.KIND_PTR else found.ref)
                if size >> 32:
                    raise BtfError(f"type {type_id}: {size} bytes are more than 32 bits can count")
                return size
            if found.kind == k.KIND_VAR:
                type_id = found.ref
            elif found.kind == k.KIND_ARRAY:
                type_id, elements = self.array(found)
                count *= elements
            else:
                raise BtfError(f"type {type_id}: {found} has no size")
        raise BtfError(f"type {type_id}: more than {_MAX_DEPTH} arrays inside each other")

    def integer(self, found: Type) -> Int:
        """The details of an integer."""
        words, body = self._body(found, k.KIND_INT)
        word = words[body]
        return Int(found.ref, word >> 24 & 15, word >> 16 & 0xFF, word & 0xFF)

    def array(self, found: Type) -> Array:
        """The details of an array."""
        words, body = self._body(found, k.KIND_ARRAY)
        return Array(words[body], words[body + 2])

    def members(self, found: Type) -> Tuple[Member, ...]:
        """The members of a struct or union, in the order of the source."""
        known = self._members.get(found.id)
        if known is None:
            known = self._members[found.id] = tuple(self._read_members(found))
        return known

    def enumerators(self, found: Type) -> Tuple[Tuple[str, int], ...]:
        """Names and values of an enum, signed if the type says so."""
        known = self._enumerators.get(found.id)
        if known is None:
            known = self._enumerators[found.id] = tuple(self._read_enumerators(found))
        return known

    def variables(self, found: Type) -> List[Variable]:
        """The variables of a data section."""
        words, body = self._body(found, k.KIND_DATASEC)
        variables = []
        for at in range(body, body + 3 * found.vlen, 3):
            variable = self.type(words[at])
            if variable.kind not in (k.KIND_VAR, k.KIND_FUNC):
                raise BtfError(f"{found} holds {variable}, which is no variable")
            variables.append(Variable(variable.name, variable.ref, words[at + 1], words[at + 2]))
        return variables

    def parameters(self, found: Type) -> List[Tuple[str, int]]:
        """Names and type ids of a function prototype's parameters."""
        words, body = self._body(found, k.KIND_FUNC_PROTO)
        span = range(body, body + 2 * found.vlen, 2)
        return [(self.string(words[at]), words[at + 1]) for at in span]

    def _read_members(self, found: Type) -> Iterator[Member]:
        words, body = self._body(found, k.KIND_STRUCT, k.KIND_UNION)
        for at in range(body, body + 3 * found.vlen, 3):
            offset, bits = words[at + 2], 0
            if found.kind_flag:
                offset, bits = offset & 0xFFFFFF, offset >> 24
            yield Member(self.string(words[at]), words[at + 1], offset, bits)

    def _read_enumerators(self, found: Type) -> Iterator[Tuple[str, int]]:
        words, body = self._body(found, k.KIND_ENUM, k.KIND_ENUM64)
        bits, step = (32, 2) if found.kind == k.KIND_ENUM else (64, 3)
        for at in range(body, body + step * found.vlen, step):
            value = words[at + 1] | (words[at + 2] << 32 if step == 3 else 0)
            if found.kind_flag and value >> (bits - 1):
                value -= 1 << bits
            yield self.string(words[at]), value

    def _place(self, type_id: int) -> Tuple[arrays.array[int], int]:
        """The words among which a type is, its base's perhaps, and the number of its first one."""
        if type_id < self._first and self._base:
            return self._base._place(type_id)  # noqa: SLF001 - its own kind
        if not self._first <= type_id < len(self):
            raise BtfError(f"type {type_id} does not exist, there are {len(self) - 1}")
        return self._words, self._starts[type_id - self._first]

    def _body(self, found: Type, *kinds: int) -> Tuple[arrays.array[int], int]:
        if found.kind not in kinds:
            wanted = " or ".join(k.KIND_NAMES[kind] for kind in kinds)
            raise BtfError(f"type {found.id}: {found} is not of kind {wanted}")
        words, start = self._place(found.id)
        return words, start + 3
