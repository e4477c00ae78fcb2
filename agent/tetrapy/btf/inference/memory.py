# SPDX-License-Identifier: Apache-2.0
"""Kernel memory as numbers, pointers and strings; what was read once is not read again."""

from __future__ import annotations

from struct import Struct
from typing import Callable, Dict, List, Optional

_BLOCK = 512
_WORD = Struct("<Q")
_HALF = Struct("<I")
_WORDS = Struct(f"<{_BLOCK // 8}Q")

# Kernel addresses have their top bits set: 8 of them with five levels of page tables (x86_64) and
# 52-bit addresses (arm64), more elsewhere.  The last page holds error numbers (ERR_PTR).
_KERNEL = 0xFF00 << 48
_ERRORS = (1 << 64) - 4096


class Unreadable(Exception):
    """There is no memory at an address."""


class Memory:
    """Reads through `read(address, size)`, which returns None where nothing can be read.

    Blocks are aligned, so that none reaches from a page that is there into one that is not.
    """

    def __init__(self, read: Callable[[int, int], Optional[bytes]]) -> None:
        self._read = read
        self._blocks: Dict[int, Optional[bytes]] = {}
        self.reads = 0

    def forget(self) -> None:
        """Read everything anew from now on."""
        self._blocks = {}

    def u32(self, address: int) -> int:
        """The unsigned 32-bit number at a multiple of 4."""
        block = self._block(address)
        if address & 3:
            return int.from_bytes(self.read(address, 4), "little")
        return int(_HALF.unpack_from(block, address & (_BLOCK - 1))[0])

    def u64(self, address: int) -> int:
        """The unsigned 64-bit number at a multiple of 8."""
        block = self._block(address)
        if address & 7:
            return int.from_bytes(self.read(address, 8), "little")
        return int(_WORD.unpack_from(block, address & (_BLOCK - 1))[0])

    def pointer(self, address: int) -> int:
        """The kernel address at an address; Unreadable if there is another number."""
        value = self.u64(address)
        if not is_pointer(value):
            raise Unreadable
        return value

    def read(self, address: int, size: int) -> bytes:
        """Bytes at an address; Unreadable if one of them is missing."""
        found = b""
        while len(found) < size:
            at = address + len(found)
            part = self._block(at)[at & (_BLOCK - 1) :]
            found += part[: size - len(found)]
        return found

    def words(self, address: int, count: int) -> List[int]:
        """64-bit words from an address; Unreadable if one of them is missing."""
        if address & 7:
            return [self.u64(address + 8 * number) for number in range(count)]
        words = self.some_words(address, count)
        if len(words) < count:
            raise Unreadable
        return words

    def some_words(self, address: int, count: int) -> List[int]:
        """Up to `count` 64-bit words from a multiple of 8: as many as can be read."""
        words: List[int] = []
        try:
            while len(words) < count:
                at = address + 8 * len(words)
                found = _WORDS.unpack(self._block(at))
                words += found[(at & (_BLOCK - 1)) // 8 :]
        except Unreadable:
            pass
        return words[:count]

    def is_text(self, address: int, text: bytes) -> bool:
        """Whether these bytes and a closing zero byte are at an address."""
        try:
            return self.read(address, len(text) + 1) == text + b"\0"
        except Unreadable:
            return False

    def _block(self, address: int) -> bytes:
        start = address & -_BLOCK
        try:
            block = self._blocks[start]
        except KeyError:
            # What is no kernel address is not even tried.
            block = self._read(start, _BLOCK) if is_pointer(start) else None
            self._blocks[start] = block
            self.reads += 1
        if block is None or len(block) != _BLOCK:
            raise Unreadable
        return block


def is_pointer(value: int) -> bool:
    """Whether a 64-bit word may be a kernel address."""
    return _KERNEL <= value < _ERRORS
