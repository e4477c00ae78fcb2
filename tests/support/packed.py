# SPDX-License-Identifier: Apache-2.0
"""Compressed files of the tests, and writers of the simplest valid ones by the formats' own rules.

data/unpack was made once from `CONTENTS` on standard input, with the commands of the kernel's
build: `zstd -19` (1.5.4), `lz4 -l -9` (1.9.4), `lzop -9` (1.04); and `lz4 -9 -B4 -BD -BX` (blocks
that refer to each other, all checksums), `lzop -1 -CC` of a named file, and
`lzop -1 -C -C --crc32 --crc32` (checksums of either kind on both sides).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from collections.abc import Sequence

from tests.support.paths import DATA

_DATA = DATA / "unpack"

# More than the 256 KiB of lzop's blocks; bytes with an entropy of their own, and runs.
CONTENTS = b"".join(hashlib.sha256(bytes([i])).hexdigest().encode() for i in range(32)) + b"".join(
    b"%d: what the build of a kernel wrote\n" % (i // 500) for i in range(7300)
)

# File -> the key in `decompressors()` that reads it.
GOLDEN = {
    "kernel.zst": "zstd",
    "kernel.lz4": "lz4",
    "linked.lz4": "lz4",
    "kernel.lzo": "lzo",
    "adler32.lzo": "lzo",
    "crc32.lzo": "lzo",
}


def golden(name: str) -> bytes:
    """One of the files of data/unpack."""
    return (_DATA / name).read_bytes()


def zstd_frame(blocks: Sequence[tuple[int, int, bytes]], window_log: int = 20) -> bytes:
    """A frame (RFC 8878, 3.1.1) of blocks (type, size, bytes); 0 is stored, 1 a byte repeated."""
    frame = struct.pack("<IBB", 0xFD2FB528, 0, (window_log - 10) << 3)
    for number, (kind, size, data) in enumerate(blocks, 1):
        header = size << 3 | kind << 1 | (number == len(blocks))
        frame += header.to_bytes(3, "little") + data
    return frame


def zstd_skippable(data: bytes, kind: int = 0) -> bytes:
    """A frame that decoders skip (RFC 8878, 3.1.2)."""
    return struct.pack("<II", 0x184D2A50 + kind, len(data)) + data


def lz4_literals(data: bytes) -> bytes:
    """A block of LZ4 (doc/lz4_Block_format.md) that is nothing but literals."""
    extra = len(data) - 15
    if extra < 0:
        return bytes([len(data) << 4]) + data
    return b"\xf0" + b"\xff" * (extra // 255) + bytes([extra % 255]) + data


def lz4_run(length: int) -> bytes:
    """A block of LZ4 with that many zeros: one literal, a match with it, five literals."""
    extra = length - 6 - 19
    match = b"\x1f\x00\x01\x00" + b"\xff" * (extra // 255) + bytes([extra % 255])
    return match + b"\x50" + bytes(5)


def lz4_legacy(blocks: Sequence[bytes]) -> bytes:
    """A legacy frame of compressed blocks."""
    return b"\x02\x21\x4c\x18" + b"".join(struct.pack("<I", len(b)) + b for b in blocks)


def lzop(
    blocks: Sequence[tuple[int, bytes]], *, version: int = 0x1040, method: int = 3, flags: int = 0
) -> bytes:
    """A file of lzop with blocks (size, bytes as stored), by default without checksums of them."""
    new = version >= 0x0940
    header = struct.pack(">HH", version, 0x20A0) + (struct.pack(">H", 0x0940) if new else b"")
    header += bytes([method]) + (b"\x09" if new else b"") + struct.pack(">I", flags)
    if flags & 0x0800:
        header += struct.pack(">I", 1)  # a filter
    header += struct.pack(">II", 0o100644, 0) + (bytes(4) if new else b"") + b"\x05Image"
    checksum = zlib.crc32 if flags & 0x1000 else zlib.adler32
    file = b"\x89LZO\x00\r\n\x1a\n" + header + struct.pack(">I", checksum(header))
    if flags & 0x0040:
        file += struct.pack(">I", 3) + b"abc" + bytes(4)  # an extra field and its checksum
    for size, stored in blocks:
        file += struct.pack(">II", size, len(stored)) + stored
    return file + bytes(4)


def lzo_run(length: int) -> bytes:
    """A block of LZO1X with that many zeros: four literals, a match of distance 1, the end mark."""
    extra = length - 4 - 33
    # M3: 0b001LLLLL, L = 0: the length goes on in zeros of 255 each; then the distance minus one.
    match = b"\x20" + bytes(extra // 255) + bytes([extra % 255])
    if not extra % 255:
        raise ValueError("a length that ends in a zero byte cannot be told")
    return b"\x15" + bytes(4) + match + b"\x00\x00" + b"\x11\x00\x00"
