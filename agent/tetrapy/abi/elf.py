# SPDX-License-Identifier: Apache-2.0
"""A reader of little-endian ELF64 files: sections, symbols, relocations.

It reads the BPF objects of the bundle, and finds the `.BTF` section of kernel images.  The format
is that of the System V ABI, chapter 4, "Object Files" (also elf(5)).  Nothing but the section
headers is read at opening, so a kernel image of hundreds of megabytes costs a few small reads.
`ElfError` is raised for whatever is damaged.
"""

from __future__ import annotations

import os
from struct import Struct
from typing import Dict, List, Optional, Sequence, Union

from tetrapy.errors import ElfError
from tetrapy.named import NamedTuple

EM_BPF = 247
EM_X86_64 = 62
EM_AARCH64 = 183

SHT_SYMTAB = 2
SHT_RELA = 4
SHT_NOBITS = 8
SHT_REL = 9
SHF_EXECINSTR = 4
SHF_COMPRESSED = 0x800

STB_GLOBAL = 1
STT_FUNC = 2

STV_HIDDEN = 2

_HEADER = Struct("<16sHHIQQQIHHHHHH")
_SECTION = Struct("<IIQQQQIIQQ")
_SYMBOL = Struct("<IBBHQQ")
_SIZE_AT, _SIZE_END = 32, 40  # the size in a section header
_REL = Struct("<QQ")
_RELA = Struct("<QQq")

_IDENT = b"\x7fELF\x02\x01\x01"
_MAX_NAME = 4096
# Far above any kernel image, so that a damaged header does not make the reader fill the memory.
_MAX_SECTIONS = 1 << 16
_MAX_SECTION_NAMES = 16 << 20
# Extended numbering: the count is in the first section header.
_XINDEX = 0xFFFF


class Section(NamedTuple):
    """A section header; `size` and `offset` are bytes in the file."""

    number: int
    name: str
    type: int
    flags: int
    offset: int
    size: int
    link: int
    info: int
    entry_size: int
    address: int = 0


class Symbol(NamedTuple):
    """A symbol; `section` is an index into the sections, or 0 (undefined) or above 0xff00."""

    name: str
    value: int
    size: int
    type: int
    binding: int
    visibility: int
    section: int


class Relocation(NamedTuple):
    """A relocation of the byte `offset` in its target section; `addend` is 0 for REL entries."""

    offset: int
    type: int
    symbol: int
    addend: int


class FileBytes:
    """An open file that can be sliced like bytes without being read whole.

    The file descriptor stays its caller's.
    """

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._size = os.fstat(fd).st_size

    def __len__(self) -> int:
        return self._size

    def __getitem__(self, span: slice) -> bytes:
        start, stop, _ = span.indices(self._size)
        return os.pread(self._fd, max(stop - start, 0), start)


class Elf:
    """The sections of an ELF file, given as bytes or as `FileBytes`."""

    def __init__(self, data: Union[bytes, FileBytes]) -> None:
        self._data = data
        header = data[0 : _HEADER.size]
        if len(header) < _HEADER.size or not header.startswith(_IDENT):
            raise ElfError("no little-endian ELF64 file")
        fields = _HEADER.unpack(header)
        self.type: int = fields[1]
        self.machine: int = fields[2]
        self._headers: int = fields[6]
        self.sections = self._read_sections(fields[6], *fields[11:14])
        self._symbols: Dict[int, List[Symbol]] = {}

    def section(self, name: str) -> Optional[Section]:
        """The first section of that name, or None."""
        return next((found for found in self.sections if found.name == name), None)

    def data(self, section: Section) -> bytes:
        """The bytes of a section; none for sections that take no space in the file."""
        return self.part(section, 0, section.size)

    def part(self, section: Section, start: int, size: int) -> bytes:
        """So many of them from `start` on, or those that are left."""
        if section.type == SHT_NOBITS:
            return b""
        if section.flags & SHF_COMPRESSED:
            raise ElfError(f"section {section.name} is compressed")
        size = min(size, section.size - start)
        return self._read(section.offset + start, size, f"section {section.name}")

    def symbols(self) -> List[Symbol]:
        """All symbols, in the order that relocations count them; none if there is no table."""
        table = next((found for found in self.sections if found.type == SHT_SYMTAB), None)
        return self._read_symbols(table) if table else []

    def relocations(self, target: Section) -> List[Relocation]:
        """The relocations of a section, in the order of the file."""
        found: List[Relocation] = []
        for section in self.sections:
            if section.type in (SHT_REL, SHT_RELA) and section.info == target.number:
                found += self._read_relocations(section)
        return found

    def put_relocations(
        self, changed: bytearray, target: Section, relocations: Sequence[Relocation]
    ) -> None:
        """Leave a section of REL relocations only these of what it has, in a copy of the file."""
        for section in self.sections:
            if section.type == SHT_REL and section.info == target.number:
                entries = [
                    _REL.pack(one.offset, one.symbol << 32 | one.type) for one in relocations
                ]
                size = _REL.size * len(entries)
                changed[section.offset : section.offset + size] = b"".join(entries)
                header = self._headers + section.number * _SECTION.size
                changed[header + _SIZE_AT : header + _SIZE_END] = size.to_bytes(8, "little")

    def _read_relocations(self, section: Section) -> List[Relocation]:
        entry = _REL if section.type == SHT_REL else _RELA
        data = self.data(section)
        if len(data) % entry.size:
            raise ElfError(f"section {section.name} has {len(data)} bytes, not whole relocations")
        return [
            Relocation(fields[0], fields[1] & 0xFFFFFFFF, fields[1] >> 32, *fields[2:] or (0,))
            for fields in entry.iter_unpack(data)
        ]

    def _read_symbols(self, table: Section) -> List[Symbol]:
        if table.number not in self._symbols:
            data = self.data(table)
            if len(data) % _SYMBOL.size:
                raise ElfError(f"section {table.name} has {len(data)} bytes, not whole symbols")
            names = self.data(self._at(table.link))
            self._symbols[table.number] = [
                Symbol(_name(names, name), value, size, info & 15, info >> 4, other & 3, section)
                for name, info, other, section, value, size in _SYMBOL.iter_unpack(data)
            ]
        return self._symbols[table.number]

    def _read_sections(self, offset: int, entry_size: int, count: int, names: int) -> List[Section]:
        if not offset:
            return []
        if entry_size != _SECTION.size:
            raise ElfError(f"section headers of {entry_size} bytes, not {_SECTION.size}")
        if not count or names == _XINDEX:
            first = _SECTION.unpack(self._read(offset, _SECTION.size, "first section header"))
            count = count or first[5]
            names = first[6] if names == _XINDEX else names
        if count > _MAX_SECTIONS:
            raise ElfError(f"{count} sections are more than {_MAX_SECTIONS}")
        table = self._read(offset, count * _SECTION.size, "section headers")
        rows = list(_SECTION.iter_unpack(table))
        if names >= len(rows):
            raise ElfError(f"section {names} should hold the names, there are {len(rows)}")
        place, size = rows[names][4:6]
        if size > _MAX_SECTION_NAMES:
            raise ElfError(f"{size} bytes of section names are more than {_MAX_SECTION_NAMES}")
        strings = self._read(place, size, "names of the sections")
        sections = []
        for number, row in enumerate(rows):
            name, kind, flags, address, start, size, link, info, _align, entry = row
            name = _name(strings, name)
            sections.append(
                Section(number, name, kind, flags, start, size, link, info, entry, address)
            )
        return sections

    def _at(self, index: int) -> Section:
        if index >= len(self.sections):
            raise ElfError(f"section {index} does not exist, there are {len(self.sections)}")
        return self.sections[index]

    def _read(self, offset: int, size: int, what: str) -> bytes:
        if offset + size > len(self._data):
            raise ElfError(
                f"{what}: ends at byte {offset + size}, the file at byte {len(self._data)}"
            )
        data = self._data[offset : offset + size]
        if len(data) != size:
            raise ElfError(f"{what}: {len(data)} bytes could be read instead of {size}")
        return data


def section_data(data: Union[bytes, FileBytes], name: str) -> bytes:
    """The bytes of one named section of an ELF file; ElfError if there is none."""
    elf = Elf(data)
    section = elf.section(name)
    if section is None:
        listed = [found.name for found in elf.sections if found.name]
        raise ElfError(f"no section {name} (has {', '.join(listed[:40]) or 'none'})")
    return elf.data(section)


def _name(strings: bytes, offset: int) -> str:
    end = strings.find(b"\0", offset, offset + _MAX_NAME)
    if end < 0:
        raise ElfError(f"name offset {offset} in {len(strings)} bytes of names")
    return strings[offset:end].decode("utf-8", "backslashreplace")
