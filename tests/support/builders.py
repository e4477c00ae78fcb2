# SPDX-License-Identifier: Apache-2.0
"""Writers of small BTF images and ELF objects, so that a test can say exactly what it feeds in."""

from __future__ import annotations

import struct
from typing import NamedTuple

from tetrapy.abi import kinds as k

SHF_ALLOC_EXEC = 6


class BtfBuilder:
    """Collects types, whose ids count from 1 as they are added."""

    def __init__(self) -> None:
        self._types = b""
        self._strings = b"\0"
        self._count = 0

    def name(self, text: str) -> int:
        """The offset of a name in the string section."""
        if not text:
            return 0
        offset = len(self._strings)
        self._strings += text.encode() + b"\0"
        return offset

    def add(
        self,
        kind: int,
        name: str = "",
        ref: int = 0,
        body: list[int] | None = None,
        vlen: int = 0,
        flag: bool = False,
    ) -> int:
        """A type of any kind; `ref` is its size or type, `body` the words that follow."""
        info = flag << 31 | kind << 24 | vlen
        words = [self.name(name), info, ref, *(body or [])]
        self._types += struct.pack(f"<{len(words)}I", *words)
        self._count += 1
        return self._count

    def integer(self, name: str, size: int, encoding: int = 0) -> int:
        """An integer of `size` bytes."""
        return self.add(k.KIND_INT, name, size, [encoding << 24 | 8 * size])

    def array(self, element: int, count: int) -> int:
        """An array; its index type is id 1."""
        return self.add(k.KIND_ARRAY, body=[element, 1, count])

    def composite(
        self, name: str, size: int, members: list[tuple[str, int, int]], kind: int = k.KIND_STRUCT
    ) -> int:
        """A struct or union of (name, type id, bit offset)."""
        body = [word for text, *rest in members for word in (self.name(text), *rest)]
        return self.add(kind, name, size, body, len(members))

    def enum(self, name: str, values: dict[str, int], signed: bool = False) -> int:
        """An enum of 4 bytes."""
        body = [w for text, value in values.items() for w in (self.name(text), value & 0xFFFFFFFF)]
        return self.add(k.KIND_ENUM, name, 4, body, len(values), signed)

    def datasec(self, name: str, variables: list[tuple[str, int, int, int]]) -> int:
        """A data section of (name, type id, offset, size)."""
        body = []
        for text, type_id, offset, size in variables:
            body += [self.add(k.KIND_VAR, text, type_id, [1]), offset, size]
        return self.add(k.KIND_DATASEC, name, 0, body, len(variables))

    def uint(self, value: int) -> int:
        """The type that __uint(name, value) of bpf_helpers.h declares a map's member with."""
        return self.add(k.KIND_PTR, ref=self.array(1, value))

    def build(self) -> bytes:
        """The image: header, types, strings."""
        types, strings = len(self._types), len(self._strings)
        header = struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, types, types, strings)
        return header + self._types + self._strings


class Symbol(NamedTuple):
    """A function's or another symbol; `value` and `size` are bytes."""

    name: str
    section: str = ""
    value: int = 0
    size: int = 0
    kind: int = 2
    binding: int = 1
    visibility: int = 0


class Relocation(NamedTuple):
    """The byte of a section that refers to a symbol."""

    section: str
    offset: int
    symbol: str
    kind: int = 1


def elf(
    sections: dict[str, bytes], symbols: list[Symbol], relocations: list[Relocation] | None = None
) -> bytes:
    """A relocatable BPF object. Sections whose names start with a dot, but .text, hold no code."""
    names = ["", *sections]
    rows = [(1, SHF_ALLOC_EXEC if _is_code(name) else 2, data) for name, data in sections.items()]
    strings = b"\0" + b"".join(symbol.name.encode() + b"\0" for symbol in symbols)
    table = bytes(24)
    for symbol in symbols:
        section = names.index(symbol.section) if symbol.section else 0
        info = symbol.binding << 4 | symbol.kind
        place = strings.index(b"\0" + symbol.name.encode() + b"\0") + 1
        table += struct.pack(
            "<IBBHQQ", place, info, symbol.visibility, section, symbol.value, symbol.size
        )
    symtab = len(rows) + 1
    rows += [(2, 0, table), (3, 0, strings)]
    links = {symtab: (symtab + 1, 0, 24)}
    names += [".symtab", ".strtab"]
    for target in sections:
        entries = [found for found in relocations or [] if found.section == target]
        if entries:
            numbers = {symbol.name: number for number, symbol in enumerate(symbols, 1)}
            data = b"".join(
                struct.pack("<QQ", e.offset, numbers[e.symbol] << 32 | e.kind) for e in entries
            )
            rows.append((9, 0, data))
            names.append(".rel" + target)
            links[len(rows)] = (symtab, names.index(target), 16)
    names.append(".shstrtab")
    texts = b"\0".join(name.encode() for name in names) + b"\0"
    rows.append((3, 0, texts))
    headers, body = bytes(64), b""
    offset = 0
    for number, (kind, flags, data) in enumerate(rows, 1):
        link, info, entry = links.get(number, (0, 0, 0))
        place = sum(len(name) + 1 for name in names[:number])
        where = 64 + len(body)
        headers += struct.pack(
            "<IIQQQQIIQQ", place, kind, flags, 0, where, len(data), link, info, 8, entry
        )
        body += data + bytes(-len(data) % 8)
        offset = 64 + len(body)
    ident = b"\x7fELF\x02\x01\x01" + bytes(9)
    count = len(rows) + 1
    header = struct.pack(
        "<16sHHIQQQIHHHHHH", ident, 1, 247, 1, 0, 0, offset, 0, 64, 0, 0, 64, count, count - 1
    )
    return header + body + headers


def _is_code(name: str) -> bool:
    return name == ".text" or not name.startswith((".", "license"))


def instruction(
    code: int, immediate: int = 0, offset: int = 0, source: int = 0, target: int = 0
) -> bytes:
    """One 8-byte BPF instruction; `target` is the destination register."""
    return struct.pack("<BBhi", code, source << 4 | target, offset, immediate)


EXIT = instruction(0x95)
