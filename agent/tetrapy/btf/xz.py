# SPDX-License-Identifier: Apache-2.0
"""Unpacking of .xz data that nobody vouches for, bounded in memory and in what comes out."""

from __future__ import annotations

from tetrapy.errors import FormatError

MAGIC = b"\xfd7zXZ\0"
# The decoder's own memory: what `xz -9` needs, twice.
_MAX_DECODER_MEMORY = 128 << 20


def unpack(data: bytes, limit: int) -> bytes:
    """The contents of one .xz file, at most `limit` bytes.

    Raises FormatError for what is damaged, cut short, larger, or followed by other bytes, and where
    this Python was built without lzma.
    """
    try:
        import lzma
    except ImportError as err:
        raise FormatError(f"this Python cannot read xz: it has no lzma module, {err}") from err
    try:
        decoder = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MAX_DECODER_MEMORY)
        # One byte more than is allowed tells whether there is more.
        unpacked = decoder.decompress(data, max_length=limit + 1)
    except (lzma.LZMAError, EOFError) as err:
        raise FormatError(f"the xz data is damaged: {err}") from err
    if len(unpacked) > limit:
        raise FormatError(f"the xz data holds more than {limit >> 20} MiB")
    if not decoder.eof:
        raise FormatError("the xz data is cut short")
    if decoder.unused_data.strip(b"\0"):
        raise FormatError("other bytes follow the end of the xz data")
    return unpacked


def pack(data: bytes) -> bytes:
    """An .xz file of `data`, packed as `xz` does it, with a SHA-256 of the contents."""
    import lzma

    return lzma.compress(data, lzma.FORMAT_XZ, lzma.CHECK_SHA256)
