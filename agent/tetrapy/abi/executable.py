# SPDX-License-Identifier: Apache-2.0
"""Where in the file of a program or library a function begins: what a uprobe is attached to.

A symbol has a virtual address; the program header of the segment that it is loaded with says where
in the file that address is. This holds for programs of fixed addresses (ET_EXEC) and for those that
are moved (ET_DYN) alike. Only these parts of the file are read, tables a piece at a time: whoever
owns the file chooses how large they are.
"""

from __future__ import annotations

from array import array
from struct import Struct
from typing import Dict, Iterator, List, Optional, Set, Tuple, Union

from tetrapy.abi import static_probes
from tetrapy.abi.elf import SHT_SYMTAB, STT_FUNC, Elf, FileBytes, Section
from tetrapy.abi.static_probes import StaticProbe
from tetrapy.errors import ElfError
from tetrapy.named import NamedTuple

_SHT_NOTE, _SHT_DYNSYM = 7, 11
_NT_GNU_BUILD_ID = 3
_STT_NOTYPE, _STT_GNU_IFUNC = 0, 10
_PT_LOAD, _PF_X = 1, 1
_ET_EXEC, _ET_DYN = 2, 3

_HEADER = Struct("<32xQ14xHH")  # offset, entry size and number of the program headers
_SEGMENT = Struct("<IIQQQQQ8x")
_SYMBOL = Struct("<IBBHQQ")
_NOTE = Struct("<III")  # bytes of the name and of what follows it, type
_MAX_NOTES = 1 << 20
_MAX_SEGMENTS = 256
_MAX_TABLE = 512 << 20  # bytes of a table of symbols or names
_SYMBOLS = 1 << 15  # that are looked at together
_NAMES = 1 << 20  # bytes of names that are looked at together
MAX_NAMED = 1 << 16
"""Symbols that end in one name, and that have it."""


class Segment(NamedTuple):
    """A part of the file that is loaded, and where."""

    offset: int
    address: int
    size: int  # bytes in the file
    is_code: bool


class Executable:
    """A program or library."""

    def __init__(self, data: Union[bytes, FileBytes]) -> None:
        """Raises ElfError for what is none, or is for another kind of machine."""
        self._data = data
        self._elf = Elf(data)
        if self._elf.type not in (_ET_EXEC, _ET_DYN):
            raise ElfError("an ELF file, but no program or library")
        self.machine = self._elf.machine
        self.segments = self._read_segments()
        # The segment with code, should another one cover an address too.
        self._code_first = sorted(self.segments, key=lambda one: not one.is_code)

    def offset_of_address(self, address: int) -> int:
        """The offset in the file of a virtual address. Raises ElfError where none is there."""
        for segment in self._code_first:
            if segment.address <= address < segment.address + segment.size:
                return address - segment.address + segment.offset
        raise ElfError(f"address {address:#x} is in no segment of the file")

    def address_of_offset(self, offset: int) -> int:
        """The virtual address of an offset in the file. Raises ElfError where it is not loaded."""
        for segment in self._code_first:
            if segment.offset <= offset < segment.offset + segment.size:
                return offset - segment.offset + segment.address
        raise ElfError(f"offset {offset:#x} is in no segment of the file")

    def offset_of_symbol(self, name: str) -> int:
        """The offset in the file of a function. Raises ElfError when there is no such symbol.

        A default version is of the symbol without one (`read@@GLIBC_2.2.5` is `read`); that of a
        symbol table is part of the name there.
        """
        wanted = name.encode("utf-8", "surrogateescape")
        found = False
        for table in self._tables():
            for address in self._addresses(table, wanted):
                found = True
                try:
                    return self.offset_of_address(address)
                except ElfError:
                    continue
        what = f"symbol {name} is in no segment" if found else f"there is no symbol {name}"
        if not self._tables():
            what = f"{what}: the file has no symbols (stripped)"
        raise ElfError(what)

    def offset_of_data(self, address: int) -> int:
        """The same of a variable. Raises ElfError where the file has none there."""
        for segment in sorted(self.segments, key=lambda one: one.is_code):
            if segment.address <= address < segment.address + segment.size:
                return address - segment.address + segment.offset
        raise ElfError(f"address {address:#x} is in no segment of the file")

    def static_probes(self) -> Iterator[StaticProbe]:
        """All places of static probes, in the order of their notes. Raises FormatError."""
        section = self._elf.section(static_probes.SECTION)
        if section is None:
            return
        if section.size > static_probes.MAX_SECTION:
            raise ElfError(f"{section.name} has more than {static_probes.MAX_SECTION} bytes")
        base = self._elf.section(static_probes.BASE_SECTION)
        yield from static_probes.read_notes(self._elf.data(section), base and base.address)

    def build_id(self) -> Optional[str]:
        """What the linker calls this build, in hexadecimal digits; None where it has no name."""
        for section in self._elf.sections:
            if section.type == _SHT_NOTE and section.size <= _MAX_NOTES:
                data = self._elf.data(section)
                at = 0
                while at + _NOTE.size <= len(data):
                    name, size, kind = _NOTE.unpack_from(data, at)
                    begin = at + _NOTE.size + (name + 3 & ~3)
                    if kind == _NT_GNU_BUILD_ID and data[at + _NOTE.size :][:name] == b"GNU\0":
                        return data[begin : begin + size].hex()
                    at = begin + (size + 3 & ~3)
        return None

    def functions(self) -> List[str]:
        """The names of its functions, each once. Raises ElfError."""
        names: Dict[str, None] = {}
        for table in self._tables():
            strings, data = self._contents(table)
            for name, info, _other, _section, value, _size in _SYMBOL.iter_unpack(data):
                if info & 15 == STT_FUNC and value:
                    end = strings.find(b"\0", name)
                    names[strings[name:end].decode("utf-8", "surrogateescape")] = None
        return list(names)

    def _tables(self) -> List[Section]:
        """That of all symbols first: what a library exports is in both."""
        kinds = (SHT_SYMTAB, _SHT_DYNSYM)
        found = [section for section in self._elf.sections if section.type in kinds]
        return sorted(found, key=lambda one: kinds.index(one.type))

    def _addresses(self, table: Section, wanted: bytes) -> Iterator[int]:
        # The name may be the end of a longer one, which share their bytes; so all places count.
        places = self._places(self._names_of(table), wanted)
        weak: List[int] = []
        for info, section, value in self._named(table, places) if places else ():
            if not section or not value:
                continue
            kind = info & 15
            if kind == STT_FUNC:
                yield value
            elif kind in (_STT_NOTYPE, _STT_GNU_IFUNC):
                weak.append(value)
        yield from weak

    def _named(self, table: Section, places: Set[int]) -> Iterator[Tuple[int, int, int]]:
        """Type, section and value of the symbols whose names are at these places."""
        count = 0
        step = _SYMBOLS * _SYMBOL.size
        for at in range(0, table.size, step):
            data = self._elf.part(table, at, step)
            data = data[: len(data) // _SYMBOL.size * _SYMBOL.size]
            # Twenty times as fast as to unpack all of them.
            names = array("I", data)[:: _SYMBOL.size // 4]
            if places.isdisjoint(names):
                continue
            for number, name in enumerate(names):
                if name in places:
                    count += 1
                    if count > MAX_NAMED:
                        raise ElfError(f"more than {MAX_NAMED} symbols have the name")
                    row = _SYMBOL.unpack_from(data, number * _SYMBOL.size)
                    yield row[1], row[3], row[4]

    def _places(self, names: Section, wanted: bytes) -> Set[int]:
        """Where the name ends with a zero byte: also as the end of other names.

        A name of .symtab may have a version behind it (`read@@GLIBC_2.2.5`).
        """
        places: Set[int] = set()
        endings = (wanted + b"\0", wanted + b"@@")
        for start in range(0, names.size, _NAMES):
            data = self._elf.part(names, start, _NAMES + len(wanted) + 1)
            for ending in endings:
                at = data.find(ending)
                while at >= 0:
                    places.add(start + at)
                    if len(places) > MAX_NAMED:
                        raise ElfError(f"more than {MAX_NAMED} symbols end in the name")
                    at = data.find(ending, at + 1)
        return places

    def _names_of(self, table: Section) -> Section:
        """The names that a table of symbols refers to."""
        if table.link >= len(self._elf.sections):
            raise ElfError(f"section {table.name} has no names")
        names = self._elf.sections[table.link]
        if max(table.size, names.size) > _MAX_TABLE:
            raise ElfError(f"section {table.name} has more than {_MAX_TABLE} bytes")
        return names

    def _contents(self, table: Section) -> Tuple[bytes, bytes]:
        """The names that a table of symbols refers to, and the table, in whole symbols."""
        names = self._names_of(table)
        data = self._elf.data(table)
        return self._elf.data(names), data[: len(data) // _SYMBOL.size * _SYMBOL.size]

    def _read_segments(self) -> List[Segment]:
        header = self._data[0 : _HEADER.size]
        if len(header) < _HEADER.size:
            raise ElfError("the ELF header is cut short")
        offset, size, count = _HEADER.unpack(header)
        if size != _SEGMENT.size and count:
            raise ElfError(f"program headers of {size} bytes, not {_SEGMENT.size}")
        if count > _MAX_SEGMENTS:
            raise ElfError(f"{count} program headers are more than {_MAX_SEGMENTS}")
        data = self._data[offset : offset + count * _SEGMENT.size]
        if len(data) != count * _SEGMENT.size:
            raise ElfError("the program headers are cut short")
        return [
            Segment(start, address, in_file, bool(flags & _PF_X))
            for kind, flags, start, address, _physical, in_file, _memory in _SEGMENT.iter_unpack(
                data
            )
            if kind == _PT_LOAD
        ]
