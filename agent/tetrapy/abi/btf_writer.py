# SPDX-License-Identifier: Apache-2.0
"""Writes BTF, in the order in which types are added. The format: see `btf_sections`.

Ids count from 1. Equal calls give equal bytes; a type that is there already is not added again,
unless a place was reserved for it, as for types that refer to each other.
"""

from __future__ import annotations

from struct import Struct, pack
from typing import Dict, List, Sequence, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf_sections import HEADER, MAGIC

_TYPE = Struct("<III")

# Member of a struct: name, type id, bit offset, width of a bitfield or 0.
MemberSpec = Tuple[str, int, int, int]


class BtfWriter:
    """Collects types and names."""

    def __init__(self) -> None:
        self._ids: Dict[bytes, int] = {}
        self._types: List[bytes] = []
        self._names: Dict[str, int] = {"": 0}
        self._strings = bytearray(b"\0")

    def add(
        self,
        kind: int,
        name: str = "",
        ref: int = 0,
        words: Sequence[int] = (),
        *,
        vlen: int = 0,
        flag: bool = False,
        reserved: int = 0,
    ) -> int:
        """A type's id, or the `reserved` one; `ref` is its size or type, `words` what follows."""
        head = flag << 31 | kind << 24 | vlen
        body = pack(f"<{len(words)}I", *words)
        data = _TYPE.pack(self._name(name), head, ref) + body
        if reserved:
            self._types[reserved - 1] = data
            return reserved
        known = self._ids.setdefault(data, len(self._types) + 1)
        if known > len(self._types):
            self._types.append(data)
        return known

    def reserve(self) -> int:
        """An id for a type that is added later, and has to be."""
        self._types.append(b"")
        return len(self._types)

    def integer(self, size: int, signed: bool, name: str = "") -> int:
        """An integer of that many bytes; the name is made up if none is given."""
        name = name or f"{'s' if signed else 'u'}{8 * size}"
        # The number of bits has 8 bits itself, and is what nobody looks at.
        word = (k.INT_SIGNED if signed else 0) << 24 | min(8 * size, 128)
        return self.add(k.KIND_INT, name, size, [word])

    def array(self, element_id: int, elements: int) -> int:
        """An array; what counts its elements is an integer of 4 bytes."""
        return self.add(k.KIND_ARRAY, words=[element_id, self.integer(4, signed=False), elements])

    def composite(
        self, kind: int, name: str, size: int, members: List[MemberSpec], reserved: int = 0
    ) -> int:
        """A struct or union of that many bytes, at the `reserved` id if given."""
        has_bitfields = any(member[3] for member in members)
        words: List[int] = []
        for text, type_id, offset, bits in members:
            place = bits << 24 | offset if has_bitfields else offset
            words += [self._name(text), type_id, place]
        return self.add(
            kind, name, size, words, vlen=len(members), flag=has_bitfields, reserved=reserved
        )

    def enum(
        self,
        name: str,
        size: int,
        signed: bool,
        values: Sequence[Tuple[str, int]],
        reserved: int = 0,
    ) -> int:
        """An enum of values that are 64 bits wide; of the 64-bit kind only where they need it."""
        wide = size > 4 or any(0x80000000 <= value < (1 << 64) - 0x80000000 for _, value in values)
        words: List[int] = []
        for text, value in values:
            words += [self._name(text), value & 0xFFFFFFFF]
            if wide:
                words.append(value >> 32)
        kind = k.KIND_ENUM64 if wide else k.KIND_ENUM
        size = size or (8 if wide else 4)
        return self.add(kind, name, size, words, vlen=len(values), flag=signed, reserved=reserved)

    def build(self) -> bytes:
        """The image: header, types, names."""
        types = b"".join(self._types)
        size, names = len(types), bytes(self._strings)
        return HEADER.pack(MAGIC, 1, 0, HEADER.size, 0, size, size, len(names)) + types + names

    def _name(self, text: str) -> int:
        offset = self._names.get(text)
        if offset is None:
            offset = self._names[text] = len(self._strings)
            self._strings += text.encode("utf-8", "surrogateescape") + b"\0"
        return offset
