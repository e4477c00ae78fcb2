"""A reader of BTF, the type information of BPF objects and kernels.

The format is described in the kernel tree, Documentation/bpf/btf.rst, and include/uapi/linux/btf.h.
Only little-endian BTF is read: both architectures that are supported here are little-endian.

Reading is lazy. Opening walks over the type section once, to find where each type starts, which
costs about 0.1 us a type; everything else is decoded when it is asked for.  Damaged input raises
`BtfError`: every offset is checked before it is followed, chains of types are followed to a limited
depth and names to a limited length, so that no input makes the reader hang or read past the end.
"""

from __future__ import annotations

import sys
from array import array
from struct import Struct
from typing import Dict, Iterator, List, NamedTuple, Optional, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf_types import Array, Int, Member, Type, Variable
from tetrapy.errors import BtfError

MAGIC = 0xEB9F
_HEADER = Struct("<HBBIIIII")

# 32-bit words that follow the three words of every type: a fixed number, and a number per element.
_FIXED_WORDS = (0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0)
_ELEMENT_WORDS = (0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3)

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
# The kernel refuses longer names of types and members (KSYM_NAME_LEN).
_MAX_NAME = 512


class Header(NamedTuple):
    """Where the type and string sections are, in bytes from the start of the BTF."""

    types: int
    types_size: int
    strings: int
    strings_size: int


def read_header(head: bytes, size: int) -> Header:
    """The header of BTF that has `size` bytes, of which `head` are the first (24 or more)."""
    if len(head) < _HEADER.size:
        raise BtfError(f"no BTF: {len(head)} bytes are too few for its header")
    magic, version, _flags, header_size, types, types_size, strings, strings_size = (
        _HEADER.unpack_from(head)
    )
    if magic != MAGIC:
        raise BtfError(f"no BTF: starts with {magic:#06x}, not {MAGIC:#06x}")
    if version != 1:
        raise BtfError(f"BTF version {version} is not known, only 1 is")
    if header_size < _HEADER.size:
        raise BtfError(f"BTF header of {header_size} bytes")
    header = Header(header_size + types, types_size, header_size + strings, strings_size)
    end = max(header.types + types_size, header.strings + strings_size)
    if end > size:
        raise BtfError(f"the BTF is cut short: it says {end} bytes, {size} are there")
    return header


class Btf:
    """The types and names of one BTF image; ids run from 1, id 0 is void."""

    def __init__(self, data: bytes) -> None:
        header = read_header(data[: _HEADER.size], len(data))
        self._types = data[header.types : header.types + header.types_size]
        self._strings = data[header.strings : header.strings + header.strings_size]
        if self._strings[:1] != b"\0" or self._strings[-1:] != b"\0":
            raise BtfError("the BTF string section does not start and end with a zero byte")
        self._words, self._starts = _index(self._types)
        self._names: Dict[int, str] = {0: ""}
        self._members: Dict[int, Tuple[Member, ...]] = {}
        self._enumerators: Dict[int, Tuple[Tuple[str, int], ...]] = {}
        self._by_name: Optional[Dict[str, List[int]]] = None

    def __len__(self) -> int:
        """The number of types, void included; ids are below it."""
        return len(self._starts)

    def __iter__(self) -> Iterator[Type]:
        """All types in the order of their ids, without void."""
        return map(self.type, range(1, len(self._starts)))

    def string(self, offset: int) -> str:
        """The name at an offset of the string section."""
        name = self._names.get(offset)
        if name is None:
            if offset >= len(self._strings):
                raise BtfError(f"name offset {offset} is past {len(self._strings)} bytes of names")
            end = self._strings.find(b"\0", offset, offset + _MAX_NAME)
            if end < 0:
                raise BtfError(f"the name at offset {offset} has {_MAX_NAME} or more bytes")
            name = self._strings[offset:end].decode("utf-8", "backslashreplace")
            self._names[offset] = name
        return name

    def type(self, type_id: int) -> Type:
        """The type of an id."""
        start = self._start(type_id)
        if type_id == 0:
            return Type(0, k.KIND_VOID, "void", 0, False, 0)
        words = self._words
        info = words[start + 1]
        name = self.string(words[start])
        kind, vlen, flag = info >> 24 & 31, info & 0xFFFF, info >= 1 << 31
        return Type(type_id, kind, name, vlen, flag, words[start + 2])

    def find(self, name: str, *kinds: int) -> Optional[Type]:
        """The first type of that name among the kinds, or None."""
        return next(iter(self.find_all(name, *kinds)), None)

    def find_all(self, name: str, *kinds: int) -> List[Type]:
        """All types of that name among the kinds (of any kind when none is given)."""
        if self._by_name is None:
            self._by_name = {}
            for type_id in range(1, len(self._starts)):
                offset = self._words[self._starts[type_id]]
                if offset:
                    self._by_name.setdefault(self.string(offset), []).append(type_id)
        types = map(self.type, self._by_name.get(name, ()))
        return [found for found in types if not kinds or found.kind in kinds]

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
            if found.kind in _HAS_SIZE:
                return count * found.ref
            if found.kind == k.KIND_PTR:
                return count * 8
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
        word = self._words[self._body(found, k.KIND_INT)]
        return Int(found.ref, word >> 24 & 15, word >> 16 & 0xFF, word & 0xFF)

    def array(self, found: Type) -> Array:
        """The details of an array."""
        body = self._body(found, k.KIND_ARRAY)
        return Array(self._words[body], self._words[body + 2])

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
        body = self._body(found, k.KIND_DATASEC)
        words = self._words
        variables = []
        for at in range(body, body + 3 * found.vlen, 3):
            variable = self.type(words[at])
            if variable.kind not in (k.KIND_VAR, k.KIND_FUNC):
                raise BtfError(f"{found} holds {variable}, which is no variable")
            variables.append(Variable(variable.name, variable.ref, words[at + 1], words[at + 2]))
        return variables

    def parameters(self, found: Type) -> List[Tuple[str, int]]:
        """Names and type ids of a function prototype's parameters."""
        body = self._body(found, k.KIND_FUNC_PROTO)
        words = self._words
        span = range(body, body + 2 * found.vlen, 2)
        return [(self.string(words[at]), words[at + 1]) for at in span]

    def _read_members(self, found: Type) -> Iterator[Member]:
        body = self._body(found, k.KIND_STRUCT, k.KIND_UNION)
        words = self._words
        for at in range(body, body + 3 * found.vlen, 3):
            offset, bits = words[at + 2], 0
            if found.kind_flag:
                offset, bits = offset & 0xFFFFFF, offset >> 24
            yield Member(self.string(words[at]), words[at + 1], offset, bits)

    def _read_enumerators(self, found: Type) -> Iterator[Tuple[str, int]]:
        body = self._body(found, k.KIND_ENUM, k.KIND_ENUM64)
        words = self._words
        bits, step = (32, 2) if found.kind == k.KIND_ENUM else (64, 3)
        for at in range(body, body + step * found.vlen, step):
            value = words[at + 1] | (words[at + 2] << 32 if step == 3 else 0)
            if found.kind_flag and value >> (bits - 1):
                value -= 1 << bits
            yield self.string(words[at]), value

    def _start(self, type_id: int) -> int:
        if not 0 <= type_id < len(self._starts):
            raise BtfError(f"type {type_id} does not exist, there are {len(self._starts) - 1}")
        return self._starts[type_id]

    def _body(self, found: Type, *kinds: int) -> int:
        if found.kind not in kinds:
            wanted = " or ".join(k.KIND_NAMES[kind] for kind in kinds)
            raise BtfError(f"type {found.id}: {found} is not of kind {wanted}")
        return self._start(found.id) + 3


def _index(types: bytes) -> Tuple[array[int], List[int]]:
    """All words of the type section, and the word at which each type starts."""
    if len(types) % 4:
        raise BtfError(f"the BTF type section has {len(types)} bytes, which is no multiple of 4")
    words = array("I", types)
    if sys.byteorder == "big":
        words.byteswap()
    starts = [0]
    at, end = 0, len(words)
    try:
        while at < end:
            starts.append(at)
            info = words[at + 1]
            kind = info >> 24 & 31
            at += 3 + _FIXED_WORDS[kind] + _ELEMENT_WORDS[kind] * (info & 0xFFFF)
            if not kind:
                raise BtfError(f"type {len(starts) - 1}: kind 0")
    except IndexError:
        pass
    else:
        if at == end:
            return words, starts
    raise BtfError(f"type {len(starts) - 1} is of an unknown kind or is cut short")
