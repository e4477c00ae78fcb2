# SPDX-License-Identifier: Apache-2.0
"""Memory that programs in the kernel use at the same time: how it is mapped, read and written.

One load, one store: an item of a memoryview in a native format ("I", "Q") is copied with a memcpy
of that size, which compilers turn into one aligned load or store (mov; ldr, str). struct's formats
with "=" or "<" go byte by byte, and a copy of any length may go in any order: the kernel once read
a position of which a part was still zero, and took the buffer for full.

Order: x86_64 keeps loads in their order and stores behind all that came before them. arm64 does
not, and Python has no word for it. What does it there is a lock: to give it up is a release, to
take it is an acquire, and an acquire stays behind the release before it; `Fence` does both. A
reader needs one between a position (or a record's header) and the data that it speaks of, and one
between the data and the position that gives its place back.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import threading
from struct import Struct
from typing import Any, Tuple

# Other machines may let loads overtake each other.
LOADS_IN_ORDER = os.uname().machine == "x86_64"

PAGE = mmap.PAGESIZE


def map_memory(fd: int, size: int, offset: int = 0, writable: bool = False) -> mmap.mmap:
    """Pages of what `fd` stands for; `size` and `offset` in bytes. Raises OSError."""
    access = mmap.PROT_READ | (mmap.PROT_WRITE if writable else 0)
    return mmap.mmap(fd, size, mmap.MAP_SHARED, access, offset=offset)


def at_address(address: int, size: int) -> memoryview:
    """Bytes that are mapped already, e.g. by libbpf, and stay so while the view is used."""
    return memoryview((ctypes.c_ubyte * size).from_address(address)).cast("B")


def words32(memory: Any) -> memoryview:
    """All of a mapping as 32-bit words: an item is one load."""
    return memoryview(memory).cast("B").cast("I")


class Word:
    """An aligned word: each access is one load or one store."""

    def __init__(self, memory: Any, offset: int, size: int) -> None:
        """`offset` and `size` (4 or 8) in bytes."""
        if offset % size:
            raise ValueError(f"a word of {size} bytes at offset {offset} is not aligned")
        part = memoryview(memory).cast("B")[offset : offset + size]
        self._cell = part.cast("Q" if size == ctypes.sizeof(ctypes.c_uint64) else "I")

    def load(self) -> int:
        """The value that the cell has now."""
        return int(self._cell[0])

    def store(self, value: int) -> None:
        """Replace what it holds."""
        self._cell[0] = value

    def release(self) -> None:
        """Let go of the mapping, which can be closed then."""
        self._cell.release()


class Fields:
    """Neighbouring members, several stores or loads in no order.

    Only for memory that the other side leaves alone meanwhile: its program runs in this thread, at
    its request, or has said that it is done.
    """

    def __init__(self, layout: Struct, memory: Any, offset: int) -> None:
        self._layout, self._memory, self._offset = layout, memory, offset

    def write(self, *values: Any) -> None:
        """Set all members of the structure, in their order."""
        self._layout.pack_into(self._memory, self._offset, *values)

    def read(self) -> Tuple[Any, ...]:
        """The values of all members of the structure, in their order."""
        return self._layout.unpack_from(self._memory, self._offset)


class Fence:
    """Keeps what comes after a call behind all that came before, for other CPUs too."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._lock.acquire()

    def __call__(self) -> None:
        """Not for two threads at once."""
        self._lock.release()
        self._lock.acquire()
