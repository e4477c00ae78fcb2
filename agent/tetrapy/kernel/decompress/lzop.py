# SPDX-License-Identifier: Apache-2.0
"""Files of lzop, which the kernel's build compresses with for CONFIG_KERNEL_LZO.

The format has no description but its readers: lib/decompress_unlzo.c of Linux, src/lzop.c of lzop.
Numbers have their most significant byte first.
"""

from __future__ import annotations

import ctypes
import zlib
from contextlib import closing
from typing import Callable, List, Tuple

from tetrapy.errors import DecompressError
from tetrapy.kernel.decompress.cursor import Cursor
from tetrapy.kernel.decompress.library import Output, library

_MAGIC = b"\x89LZO\x00\r\n\x1a\n"

# Since lzop 0.940 the header has the version needed, the level and a 64-bit time.
_LONG_HEADER = 0x0940

# LZO1X-1, LZO1X-1(15), LZO1X-999: three compressors, one format.
_METHODS = (1, 2, 3)

# Flags. The first four: blocks have checksums of their contents (D) or of what is stored (C).
_ADLER32_D, _ADLER32_C = 0x0001, 0x0002
_CRC32_D, _CRC32_C = 0x0100, 0x0200
_EXTRA_FIELD = 0x0040
_MULTIPART = 0x0400
_FILTER = 0x0800
_HEADER_CRC32 = 0x1000

_BLOCK_MAX = 64 << 20  # lzop's own limit; what it writes is 256 KiB

# No byte of compressed data stands for more than 255 bytes.
_RATIO = 255

_Checksum = Callable[[bytes], int]
_Checksums = List[_Checksum]


def decompress_lzo(data: bytes, limit: int) -> bytes:
    """The contents of the lzop file that `data` (any bytes-like object) starts with.

    What follows its end mark is ignored. Raises DecompressError when it is no such file, is damaged
    or cut short, or becomes larger than `limit` bytes.
    """
    source = Cursor(data, "lzop")
    if not source.data.startswith(_MAGIC):
        raise DecompressError(f"not lzop: it starts with {source.data[:9].hex() or 'nothing'}")
    source.skip(len(_MAGIC))
    contents_sums, stored_sums = _header(source)
    with closing(Output(min(limit, _RATIO * len(source.data)))) as output:
        size = 0
        while True:
            length = source.big(4)
            if not length:
                return output.part(0, size)
            if length > limit - size and length <= _BLOCK_MAX:
                raise DecompressError(
                    f"lzop: decompressed data is larger than the limit, {limit} bytes"
                )
            _block(source, output, size, length, contents_sums, stored_sums)
            size += length


def _header(source: Cursor) -> Tuple[_Checksums, _Checksums]:
    """Read the header; returns which checksums each block has: of its contents, as stored."""
    start = source.position
    version = source.big(2)
    source.skip(2)  # the version of the library
    if version >= _LONG_HEADER:
        source.skip(2)  # the version needed to read the file
    method = source.big(1)
    if version >= _LONG_HEADER:
        source.skip(1)  # the level
    flags = source.big(4)
    filtered = source.big(4) if flags & _FILTER else 0
    source.skip(4 + (8 if version >= _LONG_HEADER else 4))  # mode and time of the file
    source.skip(source.big(1))  # the name of the file
    checksum: _Checksum = zlib.crc32 if flags & _HEADER_CRC32 else zlib.adler32
    header = source.data[start : source.position]
    if checksum(header) != source.big(4):
        raise source.damaged("the header does not match its checksum")
    if method not in _METHODS or filtered or flags & _MULTIPART:
        raise source.damaged(
            f"method {method}, filter {filtered}, flags {flags:#x}: only LZO1X without filter in"
            " one part can be read"
        )
    if flags & _EXTRA_FIELD:
        source.skip(source.big(4))
        source.skip(4)  # its checksum
    contents: _Checksums = []
    stored: _Checksums = []
    for flag, sums, function in (
        (_ADLER32_D, contents, zlib.adler32),
        (_CRC32_D, contents, zlib.crc32),
        (_ADLER32_C, stored, zlib.adler32),
        (_CRC32_C, stored, zlib.crc32),
    ):
        if flags & flag:
            sums.append(function)
    return contents, stored


def _block(
    source: Cursor,
    output: Output,
    at: int,
    length: int,
    contents_sums: _Checksums,
    stored_sums: _Checksums,
) -> None:
    """Decode the block whose `length` was read to its place in the output."""
    packed = source.big(4)
    if packed > length or length > min(_BLOCK_MAX, output.capacity - at):
        raise source.damaged(f"a block of {packed} bytes cannot hold {length}")
    expected = [(function, source.big(4)) for function in contents_sums]
    if packed < length:
        stored = [(function, source.big(4)) for function in stored_sums]
        address = source.skip(packed)
        if stored:
            _verify(source, stored, source.data[source.position - packed : source.position])
        written = ctypes.c_size_t(length)
        code = library().lzo1x_decompress_safe(
            address, packed, output.address + at, ctypes.byref(written), None
        )
        if code or written.value != length:
            raise source.damaged(f"the block of {packed} bytes before here is damaged")
    else:
        output.write(at, source.take(packed))
    if expected:
        _verify(source, expected, output.part(at, length))


def _verify(source: Cursor, expected: List[Tuple[_Checksum, int]], data: bytes) -> None:
    for function, value in expected:
        if function(data) != value:
            raise source.damaged("a block does not match its checksum")
