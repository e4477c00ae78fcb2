# SPDX-License-Identifier: Apache-2.0
"""LZ4 files: the legacy frames of the kernel's build, and the frames that `lz4` writes otherwise.

Both are described in doc/lz4_Frame_format.md of lz4's sources.
"""

from __future__ import annotations

from contextlib import closing

from tetrapy.errors import DecompressError
from tetrapy.kernel.decompress.cursor import Cursor
from tetrapy.kernel.decompress.library import Output, library

_LEGACY = 0x184C2102
_FRAME = 0x184D2204

_LEGACY_BLOCK = 8 << 20
# LZ4_compressBound(): more than a block that cannot be compressed takes.
_LEGACY_COMPRESSED = _LEGACY_BLOCK + _LEGACY_BLOCK // 255 + 16

# No byte of a sequence stands for more than 255 bytes of output.
_RATIO = 255

# Blocks of a frame refer to what is at most so far before them.
_DICTIONARY = 64 << 10


def decompress_lz4_legacy(data: bytes, limit: int) -> bytes:
    """The contents of all LZ4 frames that `data` (any bytes-like object) starts with.

    A legacy frame ends where no block can follow; what is there is ignored, as is what follows the
    last frame of the other kind: kernel images have the decompressed size there, or padding.
    Raises DecompressError when there is no frame, one is damaged or cut short, or becomes larger
    than `limit` bytes.
    """
    source = Cursor(data, "lz4")
    if source.peek_little() not in (_LEGACY, _FRAME):
        raise DecompressError(f"not lz4: it starts with {source.data[:4].hex() or 'nothing'}")
    # Each block has the room that it may take, so one that fails is damaged, not too large.
    with closing(Output(max(min(limit, _RATIO * len(source.data)), 0) + _LEGACY_BLOCK)) as output:
        decoder = _Decoder(source, output, limit)
        while True:
            magic = source.peek_little()
            if magic == _LEGACY:
                decoder.legacy_frame()
            elif magic == _FRAME:
                decoder.frame()
            else:
                return output.part(0, decoder.size)


class _Decoder:
    """Decodes frame after frame; `size` bytes have been written."""

    def __init__(self, source: Cursor, output: Output, limit: int) -> None:
        self._source = source
        self._output = output
        self._limit = limit
        self._lz4 = library()
        self.size = 0

    def legacy_frame(self) -> None:
        source = self._source
        source.skip(4)
        written = _LEGACY_BLOCK
        # All blocks but the last are full. Behind it stand another frame's magic number, the
        # decompressed size or zeros, of which none is the size of a block.
        while written == _LEGACY_BLOCK and 0 < source.peek_little() <= _LEGACY_COMPRESSED:
            written = self._block(source.little(4), _LEGACY_BLOCK, 0)

    def frame(self) -> None:
        source = self._source
        source.skip(4)
        descriptor = source.position
        flags, block_code = source.take(2)
        block_max = 1 << (8 + 2 * (block_code >> 4))
        if flags & 0xC2 != 0x40 or block_code & 0x8F or not 4 <= block_code >> 4 <= 7:
            raise source.damaged(f"unknown frame flags {flags:02x} {block_code:02x}")
        if flags & 0x01:
            raise source.damaged("the frame needs a dictionary")
        if flags & 0x08:
            source.skip(8)  # the size of the contents
        checksum = self._xxh32(source, descriptor)
        if source.take(1)[0] != checksum >> 8 & 0xFF:
            raise source.damaged("the frame's header does not match its checksum")
        start = self.size
        while True:
            size = source.little(4)
            if not size:
                break
            block = source.position
            if size & 0x80000000:
                self._stored(size & 0x7FFFFFFF, block_max)
            else:
                independent = flags & 0x20
                self._block(size, block_max, 0 if independent else self.size - start)
            if flags & 0x10 and self._xxh32(source, block) != source.little(4):
                raise source.damaged("a block does not match its checksum")
        if flags & 0x04:
            found = self._lz4.XXH32(self._output.address + start, self.size - start, 0)
            if found != source.little(4):
                raise source.damaged("the contents do not match their checksum")

    def _block(self, size: int, block_max: int, before: int) -> int:
        """Decode a block that may refer to the `before` bytes before it; returns its size."""
        address = self._source.skip(size)
        to = self._output.address + self.size
        room = min(block_max, self._output.capacity - self.size)
        before = min(before, _DICTIONARY)
        written = self._lz4.LZ4_decompress_safe_usingDict(
            address, to, size, room, to - before, before
        )
        if written < 0:
            raise self._source.damaged(f"the block of {size} bytes before here is damaged")
        self._count(written)
        return int(written)

    def _stored(self, size: int, block_max: int) -> None:
        if size > block_max:
            raise self._source.damaged(f"a block of {size} bytes; {block_max} are allowed")
        self._output.write(self.size, self._source.take(size))
        self._count(size)

    def _count(self, size: int) -> None:
        self.size += size
        if self.size > self._limit:
            raise DecompressError(
                f"lz4: decompressed data is larger than the limit, {self._limit} bytes"
            )

    def _xxh32(self, source: Cursor, start: int) -> int:
        """The checksum of what was read since `start`."""
        return int(self._lz4.XXH32(source.address(start), source.position - start, 0))
