# SPDX-License-Identifier: Apache-2.0
"""The functions of libunpack.so, and the memory that they write to."""

from __future__ import annotations

import ctypes
import mmap
from ctypes import POINTER, c_char_p, c_int, c_size_t, c_uint, c_ulonglong, c_void_p
from typing import Any, Optional

from tetrapy.errors import DecompressError
from tetrapy.kernel.native import load_unpack

# <asm-generic/mman-common.h>; Python's mmap has the name since 3.11 only.
_MAP_NORESERVE = 0x4000


class ZstdBuffer(ctypes.Structure):
    """ZSTD_inBuffer and ZSTD_outBuffer of zstd.h: address, size and position reached, in bytes."""

    _fields_ = (("address", c_void_p), ("size", c_size_t), ("position", c_size_t))


PROTOTYPES = {
    # name: (result, arguments)
    "LZ4_decompress_safe_usingDict": (c_int, [c_void_p, c_void_p, c_int, c_int, c_void_p, c_int]),
    "XXH32": (c_uint, [c_void_p, c_size_t, c_uint]),
    "ZSTD_createDCtx": (c_void_p, []),
    "ZSTD_decompressBound": (c_ulonglong, [c_void_p, c_size_t]),
    "ZSTD_decompressDCtx": (c_size_t, [c_void_p, c_void_p, c_size_t, c_void_p, c_size_t]),
    "ZSTD_decompressStream": (c_size_t, [c_void_p, POINTER(ZstdBuffer), POINTER(ZstdBuffer)]),
    "ZSTD_findFrameCompressedSize": (c_size_t, [c_void_p, c_size_t]),
    "ZSTD_freeDCtx": (c_size_t, [c_void_p]),
    "ZSTD_getErrorName": (c_char_p, [c_size_t]),
    "ZSTD_isError": (c_uint, [c_size_t]),
    "lzo1x_decompress_safe": (
        c_int,
        [c_void_p, c_size_t, c_void_p, POINTER(c_size_t), c_void_p],
    ),
}

_library: Optional[ctypes.CDLL] = None


def library() -> Any:
    """The loaded library, its functions typed; loaded at the first call. Raises NativeCodeError."""
    global _library
    if _library is None:
        loaded = load_unpack()
        for name, (result, arguments) in PROTOTYPES.items():
            function = getattr(loaded, name)
            function.restype = result
            function.argtypes = arguments
        _library = loaded
    return _library


def address_of(data: bytes) -> int:
    """Where the bytes of an object lie; it has to be kept as long as the address is used."""
    return ctypes.cast(c_char_p(data), c_void_p).value or 0


class Output:
    """Room for `capacity` bytes, of which only what is written to takes memory.

    So that the room may be as large as the caller's limit, however little comes out.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = max(capacity, 0)
        flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
        try:
            self._memory = mmap.mmap(-1, self.capacity or 1, flags)
        except (OSError, OverflowError) as err:
            raise DecompressError(
                f"no memory for {capacity} bytes of decompressed data: {err}"
            ) from err
        self._start: Optional[ctypes.c_char] = ctypes.c_char.from_buffer(self._memory)
        self.address = ctypes.addressof(self._start)

    def part(self, position: int, size: int) -> bytes:
        """A copy of `size` bytes of what was written."""
        return self._memory[position : position + size]

    def write(self, position: int, data: bytes) -> None:
        """Put bytes at a position; the caller has seen that they fit."""
        self._memory[position : position + len(data)] = data

    def close(self) -> None:
        """Give the memory back."""
        self._start = None  # a memory that is pointed to cannot be unmapped
        self._memory.close()
