# SPDX-License-Identifier: Apache-2.0
"""Zstandard frames (RFC 8878): whole in memory, or as a file that is decompressed while read."""

from __future__ import annotations

import ctypes
import io
from contextlib import closing
from typing import Any, BinaryIO

from tetrapy.errors import DecompressError
from tetrapy.kernel.decompress.library import Output, ZstdBuffer, address_of, library

# Bytes read at once: one block and its header, as ZSTD_DStreamInSize() recommends.
INPUT_CHUNK = (128 << 10) + 3

_MAGIC = 0xFD2FB528
_SKIPPABLE = 0x184D2A50  # the last four bits are the user's

# zstd_errors.h: ZSTD_error_dstSize_tooSmall. Functions return errors as negative size_t.
_DESTINATION_TOO_SMALL = 2**64 - 70


def decompress_zstd(data: bytes, limit: int) -> bytes:
    """The contents of all frames that `data` (any bytes-like object) starts with.

    What follows the last frame is ignored, since kernel images are padded. Raises DecompressError
    when there is no frame, one is damaged or cut short, or `limit` bytes do not hold the contents.
    """
    source = bytes(data)
    zstd = library()
    address = address_of(source)
    end, bound = 0, 0
    while _is_frame(source, end):
        size = zstd.ZSTD_findFrameCompressedSize(address + end, len(source) - end)
        if zstd.ZSTD_isError(size):
            raise _damaged(zstd, size, f"the frame at byte {end} of {len(source)}")
        # As many blocks as the frame has, each as large as it may be, or what its header states.
        bound += zstd.ZSTD_decompressBound(address + end, size)
        end += size
    if not end:
        raise DecompressError(f"not zstd: it starts with {source[:4].hex() or 'nothing'}")
    context = _context(zstd)
    try:
        with closing(Output(min(bound, limit))) as output:
            size = zstd.ZSTD_decompressDCtx(context, output.address, output.capacity, address, end)
            if size == _DESTINATION_TOO_SMALL and limit < bound:
                raise DecompressError(
                    f"zstd: decompressed data is larger than the limit, {limit} bytes"
                )
            if zstd.ZSTD_isError(size):
                raise _damaged(zstd, size, f"{end} bytes in frames")
            return output.part(0, size)
    finally:
        zstd.ZSTD_freeDCtx(context)


class ZstdReader(io.RawIOBase):
    """What a binary file holds, decompressed as it is read; `file` needs no more than `read`.

    Takes the memory of the frame's window (zstd -19: 8 MiB) and refuses windows above 128 MiB, as
    zstd itself does. Every `read` may raise DecompressError: damage, a cut, bytes that are no
    frame.
    """

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._context: Any = None
        self._zstd = library()
        self._file = file
        self._context = _context(self._zstd)
        self._chunk = b""
        self._input = ZstdBuffer(None, 0, 0)
        self._inside = True  # of a frame: no file is without one
        self._pending = False  # the decoder may hold more than there was room for

    def readable(self) -> bool:
        """Always: that is what it is for."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill (a part of) a writable buffer; 0 at the end of the last frame."""
        if self.closed:
            raise ValueError("read of a closed ZstdReader")
        with memoryview(buffer) as view, view.cast("B") as room:
            if not room:
                return 0
            start = ctypes.c_char.from_buffer(room)
            output = ZstdBuffer(ctypes.addressof(start), len(room), 0)
            try:
                while not output.position and self._fed():
                    self._decode(output)
            finally:
                del start  # a buffer that is pointed to cannot be released
            return int(output.position)

    def close(self) -> None:
        """Give the decoder's memory back; the file stays open."""
        context, self._context = self._context, None
        if context:
            self._zstd.ZSTD_freeDCtx(context)
        super().close()

    def _fed(self) -> bool:
        """Whether the decoder has something to work on; False at the end of the file."""
        if self._pending or self._input.position < self._input.size:
            return True
        self._chunk = self._file.read(INPUT_CHUNK)
        self._input = ZstdBuffer(address_of(self._chunk), len(self._chunk), 0)
        if not self._chunk and self._inside:
            raise DecompressError("zstd: the data ends in the midst of a frame")
        return bool(self._chunk)

    def _decode(self, output: ZstdBuffer) -> None:
        wanted = self._zstd.ZSTD_decompressStream(
            self._context, ctypes.byref(output), ctypes.byref(self._input)
        )
        if self._zstd.ZSTD_isError(wanted):
            raise _damaged(self._zstd, wanted, "the file read so far")
        self._inside = wanted != 0
        self._pending = self._inside and output.position == output.size


def _is_frame(data: bytes, position: int) -> bool:
    magic = int.from_bytes(data[position : position + 4], "little")
    return magic == _MAGIC or magic & 0xFFFFFFF0 == _SKIPPABLE


def _context(zstd: Any) -> int:
    context = zstd.ZSTD_createDCtx()
    if not context:
        raise DecompressError("no memory for a zstd decoder")
    return int(context)


def _damaged(zstd: Any, code: int, what: str) -> DecompressError:
    return DecompressError(f"zstd: {what}: {zstd.ZSTD_getErrorName(code).decode()}")
