# SPDX-License-Identifier: Apache-2.0
"""Reading a compressed file from its start; every step past the end is an DecompressError."""

from __future__ import annotations

from tetrapy.errors import DecompressError
from tetrapy.kernel.decompress.library import address_of


class Cursor:
    """A position in the bytes of a file of a format."""

    def __init__(self, data: bytes, name: str) -> None:
        self.data = bytes(data)
        self.name = name
        self.position = 0
        self._address = address_of(self.data)

    @property
    def left(self) -> int:
        """How many bytes follow."""
        return len(self.data) - self.position

    def skip(self, size: int) -> int:
        """Go `size` bytes on; returns the address of the first of them. Raises DecompressError."""
        if size > self.left:
            raise self.damaged(f"cut short: {size} bytes should follow, {self.left} do")
        start = self.address(self.position)
        self.position += size
        return start

    def address(self, position: int) -> int:
        """Where the byte at a position lies; valid as long as the cursor is kept."""
        return self._address + position

    def take(self, size: int) -> bytes:
        """The next `size` bytes. Raises DecompressError when there are not as many."""
        self.skip(size)
        return self.data[self.position - size : self.position]

    def little(self, size: int) -> int:
        """The next number of `size` bytes, the least significant one first. Raises
        DecompressError.
        """
        return int.from_bytes(self.take(size), "little")

    def big(self, size: int) -> int:
        """The next number of `size` bytes, the most significant one first. Raises
        DecompressError.
        """
        return int.from_bytes(self.take(size), "big")

    def peek_little(self) -> int:
        """The next four bytes as a number, not taken yet; 0 where fewer follow."""
        following = self.data[self.position : self.position + 4]
        return int.from_bytes(following, "little") if len(following) == 4 else 0

    def damaged(self, what: str) -> DecompressError:
        """The error that tells what is wrong at this place."""
        return DecompressError(f"{self.name}: byte {self.position} of {len(self.data)}: {what}")
