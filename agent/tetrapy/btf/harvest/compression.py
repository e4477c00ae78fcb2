# SPDX-License-Identifier: Apache-2.0
"""Decompression of what kernels and packages are packed with, distinguished by magic numbers.

Sources of the magics: RFC 1952 (gzip), xz-file-format.txt, RFC 8878 (zstd), lz4_Frame_format.md
(its legacy frame is the one that kernels use), lzop; the kernel's lib/decompress.c has them too.
"""

from __future__ import annotations

import bz2
import io
import lzma
import zlib
from typing import Any, Callable, Dict, List

from tetrapy.btf.harvest import limits
from tetrapy.btf.harvest.options import Readable, Unpackers
from tetrapy.errors import DecompressError, FormatError

GZIP, BZIP2, LZMA, XZ, LZO, LZ4, ZSTD = "gzip", "bzip2", "lzma", "xz", "lzo", "lz4", "zstd"

_MAGICS = (
    (b"\x1f\x8b\x08", GZIP),
    (b"BZh", BZIP2),
    (b"]\0\0", LZMA),
    (b"\xfd7zXZ\0", XZ),
    (b"\x89LZO\0\r\n\x1a\n", LZO),
    (b"\x02\x21\x4c\x18", LZ4),
    (b"\x04\x22\x4d\x18", LZ4),
    (b"\x28\xb5\x2f\xfd", ZSTD),
)
_MAGIC_SIZE = 9
_CHUNK = 128 * 1024
# Each piece costs a copy of what follows it in its chunk.
_MAX_PIECES = 1 << 14


def compression_of(head: bytes) -> str:
    """The compression whose magic number starts these bytes, or ""."""
    return next((name for magic, name in _MAGICS if head.startswith(magic)), "")


def unpack(data: bytes, limit: int, unpackers: Unpackers) -> bytes:
    """The unpacked bytes of a compressed whole.

    FormatError: not compressed, damaged, cut short, more than `limit` bytes.
    """
    name = compression_of(data[:_MAGIC_SIZE])
    if name in unpackers.whole:
        try:
            return unpackers.whole[name](data, limit)
        except DecompressError as err:
            raise FormatError(str(err)) from err
    if name not in _DECOMPRESSORS:
        known = ", ".join(dict.fromkeys(name for _magic, name in _MAGICS))
        raise FormatError(f"begins with {data[:6].hex()}, which is none of {known}")
    reader = _Unpacked(io.BytesIO(data), name, many=False)
    parts: List[bytes] = []
    size = 0
    while True:
        part = reader.read(_CHUNK)
        size += len(part)
        if size > limit:
            raise FormatError(f"unpacks to more than {limit >> 20} MiB ({name})")
        if not part:
            return b"".join(parts)
        parts.append(part)


def unpacked_reader(file: Readable, unpackers: Unpackers) -> Readable:
    """A reader of what a compressed file holds; of the file itself if it is not compressed."""
    head = _begun(file)
    name = compression_of(head)
    whole = Joined(head, file)
    if name in _DECOMPRESSORS:
        return _Unpacked(whole, name, many=True)
    if name == ZSTD:
        return _Zstd(unpackers.open_zstd(whole))
    if name:
        raise FormatError(f"is packed with {name}, which no package is")
    return whole


def _begun(file: Readable, head: bytes = b"", padding: bytes = b"") -> bytes:
    """`head` and what follows it in a file, enough to tell the compression, less at the end."""
    while len(head) < _MAGIC_SIZE:
        more = file.read(_CHUNK)
        if not more:
            break
        head = (head + more).lstrip(padding) if padding else head + more
    return head


class Joined:
    """A file with bytes in front of it that were read from it before."""

    def __init__(self, head: bytes, file: Readable) -> None:
        self._head = head
        self._file = file

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, fewer than there are only at the seam."""
        if self._head:
            part, self._head = self._head[:size], self._head[size:]
            return part
        return self._file.read(size)

    def put_back(self, data: bytes) -> None:
        """Let these bytes be read next, before what is left."""
        self._head = data + self._head


class _Zstd:
    """A reader of zstd frames whose errors are those of the other readers."""

    def __init__(self, file: Readable) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end; FormatError for damage and a cut end."""
        try:
            return self._file.read(size)
        except DecompressError as err:
            raise FormatError(str(err)) from err


class _Zlib:
    """zlib's decompressor with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, limit: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, limit)


_DECOMPRESSORS: Dict[str, Callable[[], Any]] = {
    GZIP: _Zlib,
    BZIP2: bz2.BZ2Decompressor,
    LZMA: lambda: lzma.LZMADecompressor(lzma.FORMAT_ALONE, limits.XZ_MEMORY),
    XZ: lambda: lzma.LZMADecompressor(lzma.FORMAT_XZ, limits.XZ_MEMORY),
}


class _Unpacked:
    """The unpacked bytes of a file, never more than asked for at once.

    `many`: compressed pieces may follow each other, as parallel compressors write them.  If not,
    what follows the first is ignored: the kernel's build appends the unpacked size to its payload
    (size_append in scripts/Makefile.lib).
    """

    def __init__(self, file: Readable, name: str, many: bool) -> None:
        self._file = Joined(b"", file)
        self._name = name
        self._many = many
        self._pieces = 1
        self._decompressor = _DECOMPRESSORS[name]()

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end; FormatError for damage and a cut end."""
        while size > 0:
            if self._decompressor.eof and not self._next_piece():
                break
            data = b""
            if self._decompressor.needs_input:
                data = self._file.read(_CHUNK)
                if not data:
                    raise FormatError(f"the {self._name} data is cut short")
            part = self._decompress(data, size)
            if part:
                return part
        return b""

    def _decompress(self, data: bytes, size: int) -> bytes:
        try:
            part: bytes = self._decompressor.decompress(data, size)
        except (zlib.error, lzma.LZMAError, OSError, ValueError) as err:
            raise FormatError(f"the {self._name} data is damaged: {str(err).lower()}") from err
        return part

    def _next_piece(self) -> bool:
        if not self._many:
            return False
        # xz pads its streams with zeros.
        rest = _begun(self._file, self._decompressor.unused_data.lstrip(b"\0"), padding=b"\0")
        if compression_of(rest[:_MAGIC_SIZE]) != self._name:
            return False
        self._pieces += 1
        if self._pieces > _MAX_PIECES:
            raise FormatError(f"the {self._name} data is in more than {_MAX_PIECES} pieces")
        self._file.put_back(rest)
        self._decompressor = _DECOMPRESSORS[self._name]()
        return True
