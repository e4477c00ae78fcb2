# SPDX-License-Identifier: Apache-2.0
"""Names of the functions of a program or library, by where in the file they are."""

from __future__ import annotations

from array import array
from bisect import bisect_right
from typing import List, Tuple, Union

from tetrapy.abi.elf import SHT_SYMTAB, STT_FUNC, Elf, FileBytes, Section
from tetrapy.abi.executable import Executable
from tetrapy.errors import ElfError

MAX_SYMBOLS = 1 << 18
MAX_NAMES = 16 << 20  # bytes of a table of names
_SHT_DYNSYM = 11
_STT_GNU_IFUNC = 10
_SYMBOL_BYTES = 24
_WORDS = 3  # of 8 bytes in a symbol: name, type and section; address; size


class FunctionNames:
    """A table of the functions of one file; the file is not needed any more."""

    def __init__(self, data: Union[bytes, FileBytes]) -> None:
        """Raises ElfError for what is no program or library, or has too many symbols."""
        self._segments = Executable(data).segments
        self._addresses: array[int] = array("Q")
        self._sizes: array[int] = array("Q")
        self._names: array[int] = array("I")
        self._text = b""
        elf = Elf(data)
        for kind in (SHT_SYMTAB, _SHT_DYNSYM):  # what a library exports is in both
            tables = [section for section in elf.sections if section.type == kind]
            if tables:
                self._read(elf, tables[0])
                break

    @property
    def size(self) -> int:
        """Bytes that the tables take in memory, roughly."""
        return len(self._text) + 20 * len(self._addresses) + 64 * len(self._segments)

    def find(self, offset: int) -> str:
        """The function that has the byte at this offset of the file; empty where none has."""
        for segment in self._segments:
            if segment.offset <= offset < segment.offset + segment.size:
                return self._at(offset - segment.offset + segment.address)
        return ""

    def _at(self, address: int) -> str:
        at = bisect_right(self._addresses, address) - 1
        # One function may be inside another; the next one out may be a few entries before.
        for place in range(at, max(at - 8, -1), -1):
            if address < self._addresses[place] + self._sizes[place]:
                begin = self._names[place]
                end = self._text.find(b"\0", begin)
                return self._text[begin : end if end >= 0 else None].decode("utf-8", "replace")
        return ""

    def _read(self, elf: Elf, table: Section) -> None:
        if table.size > MAX_SYMBOLS * _SYMBOL_BYTES or table.link >= len(elf.sections):
            raise ElfError(f"section {table.name} has more than {MAX_SYMBOLS} symbols, or no names")
        names = elf.sections[table.link]
        if names.size > MAX_NAMES:
            raise ElfError(f"section {names.name} has more than {MAX_NAMES} bytes")
        data = elf.data(table)
        words = memoryview(data[: len(data) // _SYMBOL_BYTES * _SYMBOL_BYTES]).cast("Q")
        found: List[Tuple[int, int, int, int]] = []
        rows = zip(words[::_WORDS], words[1::_WORDS], words[2::_WORDS])
        for number, (first, address, size) in enumerate(rows):
            # Name in the low half, then the type and where it may be seen, then the section.
            if size and first >> 48 and first >> 32 & 15 in (STT_FUNC, _STT_GNU_IFUNC):
                # Of several names the first one counts, which is looked at first.
                found.append((address, -number, size, first & 0xFFFF_FFFF))
        found.sort()
        self._text = elf.data(names)
        self._addresses.extend(one[0] for one in found)
        self._sizes.extend(one[2] for one in found)
        self._names.extend(one[3] for one in found)
