# SPDX-License-Identifier: Apache-2.0
"""Decompression of kernel images: golden files, the tools' own output, damage and limits."""

from __future__ import annotations

import os
import shutil
import subprocess

import pytest

from tests.support.packed import (
    CONTENTS,
    GOLDEN,
    golden,
    lz4_legacy,
    lz4_literals,
    lz4_run,
    lzo_run,
    lzop,
    zstd_frame,
    zstd_skippable,
)
from tests.support.paths import ROOT
from tetrapy.errors import DecompressError
from tetrapy.kernel.decompress import (
    decompress_lz4_legacy,
    decompress_lzo,
    decompress_zstd,
    decompressors,
)

AGENT = ROOT / "agent"
MIB = 1 << 20
FULL = 8 * MIB  # a legacy frame of LZ4 has blocks of this size
RUN = 131072  # the largest block of zstd


def compressed(command: list[str], data: bytes) -> bytes:
    """What a compressor on this machine makes of data."""
    if shutil.which(command[0]) is None:
        pytest.skip(f"needs {command[0]}: make setup")
    return subprocess.run(command, check=True, input=data, capture_output=True).stdout


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_golden(name: str, kind: type):
    """Files of the kernel's compressors are read from any bytes-like object."""
    assert decompressors()[GOLDEN[name]](kind(golden(name)), len(CONTENTS)) == CONTENTS


@pytest.mark.parametrize("name", GOLDEN)
@pytest.mark.parametrize("behind", ["size", "zeros", "text"])
def test_what_follows_is_ignored(name: str, behind: str):
    """Behind the compressed data of an image stand its size, padding, or another section."""
    size = len(CONTENTS).to_bytes(4, "little")
    following = {"size": size, "zeros": bytes(5000), "text": b"setup code\n" * 99}[behind]
    assert decompressors()[GOLDEN[name]](golden(name) + following, MIB) == CONTENTS


@pytest.mark.parametrize("name", GOLDEN)
def test_limit(name: str):
    """The limit is the size that is allowed; one byte less, or nonsense, is an error naming it."""
    unpack = decompressors()[GOLDEN[name]]
    for limit in (len(CONTENTS) - 1, 100, 0, -1, -(2**70)):
        with pytest.raises(DecompressError, match=f"larger than the limit, {limit} bytes"):
            unpack(golden(name), limit)
    assert unpack(golden(name), 2**70) == CONTENTS


@pytest.mark.slow
@pytest.mark.parametrize("name", sorted(set(GOLDEN) - {"kernel.lz4"}))
def test_every_cut_is_noticed(name: str):
    """A file that ends early anywhere is an error, never a shorter result."""
    data, unpack = golden(name), decompressors()[GOLDEN[name]]
    for size in range(len(data)):
        with pytest.raises(DecompressError):
            unpack(data[:size], MIB)


def test_cut_legacy_frame():
    """A legacy frame has no end mark: a cut within a block is an error, one before it is none."""
    data = golden("kernel.lz4")
    for size in range(9, len(data)):
        with pytest.raises(DecompressError):
            decompress_lz4_legacy(data[:size], MIB)
    assert decompress_lz4_legacy(data[:7], MIB) == b""


@pytest.mark.slow
@pytest.mark.parametrize("name", ["linked.lz4", "kernel.lzo", "adler32.lzo", "crc32.lzo"])
def test_every_flipped_byte_is_noticed(name: str):
    """With checksums a changed byte is an error, or a byte whose meaning is not used."""
    data, unpack = golden(name), decompressors()[GOLDEN[name]]
    for at in range(len(data)):
        flipped = bytearray(data)
        flipped[at] ^= 0x10
        try:
            found = unpack(flipped, MIB)
        except DecompressError:
            continue
        # A stored checksum of an LZ4 frame or of a block is compared; nothing else may pass.
        assert found == CONTENTS, at


@pytest.mark.parametrize("key", ["zstd", "lz4", "lzo"])
@pytest.mark.parametrize("data", [b"", b"\x28", b"\x7fELF" + bytes(99), b"\xfd7zXZ\x00"])
def test_other_formats(key: str, data: bytes):
    """Data of another kind is told by how it starts."""
    with pytest.raises(DecompressError, match=r"^not \w+: it starts with (nothing|[0-9a-f]+)$"):
        decompressors()[key](data, MIB)


@pytest.mark.slow
@pytest.mark.parametrize("data", [os.urandom(3 * MIB), b"", b"x", bytes(20 * MIB), CONTENTS * 40])
@pytest.mark.parametrize(
    ("command", "key"),
    [
        (["zstd", "-q", "-19"], "zstd"),
        (["zstd", "-q", "-1", "--no-check", "--long=30"], "zstd"),
        (["lz4", "-q", "-l", "-9"], "lz4"),
        (["lz4", "-q", "-1"], "lz4"),
        (["lz4", "-q", "-9", "-B4", "-BD", "-BX"], "lz4"),
        (["lz4", "-q", "-B7", "--no-frame-crc"], "lz4"),
    ],
    ids=" ".join,
)
def test_round_trip(command: list[str], key: str, data: bytes):
    """What the tools of this machine compress comes back: random, empty, one byte, zeros, text."""
    assert decompressors()[key](compressed(command, data), len(data)) == data


class TestZstd:
    def test_several_frames(self):
        """Frames in a row, skippable ones among them, give their contents in a row."""
        frame = golden("kernel.zst")
        data = zstd_skippable(b"note", 15) + frame + zstd_skippable(b"") + frame + bytes(9)
        assert decompress_zstd(data, MIB) == CONTENTS * 2
        with pytest.raises(DecompressError, match="larger than the limit"):
            decompress_zstd(data, 2 * len(CONTENTS) - 1)

    def test_nothing_but_skippable_frames(self):
        """Frames without contents have none."""
        assert decompress_zstd(zstd_skippable(b"note"), 0) == b""

    def test_size_that_is_not_stated(self):
        """A frame without its size in the header has the size of its blocks."""
        frame = zstd_frame([(0, 5, b"Linux"), (1, RUN, b"!"), (0, 1, b"\n")])
        assert decompress_zstd(frame, MIB) == b"Linux" + b"!" * RUN + b"\n"

    def test_large_window(self):
        """A window of 2 GiB is no matter when all is in memory anyway."""
        assert decompress_zstd(zstd_frame([(0, 5, b"Linux")], window_log=31), 5) == b"Linux"

    def test_damage_is_reported(self):
        """The reason is zstd's own."""
        with pytest.raises(DecompressError, match="zstd: the frame at byte 0 of 10: Src size"):
            decompress_zstd(golden("kernel.zst")[:10], MIB)
        with pytest.raises(DecompressError, match="corrupt"):
            decompress_zstd(zstd_frame([(3, 1, b"x")]), MIB)


class TestLz4:
    def test_full_blocks(self):
        """Blocks of 8 MiB follow each other; the first shorter one is the last."""
        blocks = [lz4_run(FULL), lz4_run(FULL), lz4_literals(b"end"), lz4_literals(b"behind")]
        assert decompress_lz4_legacy(lz4_legacy(blocks), 20 * MIB) == bytes(2 * FULL) + b"end"

    def test_only_full_blocks(self):
        """Behind a last block that is full, the size of the image or zeros are no block."""
        frame = lz4_legacy([lz4_run(FULL)] * 2)
        for behind in (b"", bytes(4), (2 * FULL).to_bytes(4, "little"), b"\xff" * 9, b"\x01\0"):
            assert decompress_lz4_legacy(frame + behind, 2 * FULL) == bytes(2 * FULL)

    def test_frames_in_a_row(self):
        """Frames of either kind in a row give their contents in a row."""
        data = golden("kernel.lz4") + golden("linked.lz4") + golden("kernel.lz4") + bytes(9)
        assert decompress_lz4_legacy(data, MIB) == CONTENTS * 3
        full = lz4_legacy([lz4_run(FULL)])
        assert decompress_lz4_legacy(full + full, 2 * FULL) == bytes(2 * FULL)

    def test_block_larger_than_allowed(self):
        """A block of a legacy frame holds 8 MiB and not a byte more."""
        with pytest.raises(DecompressError, match="before here is damaged"):
            decompress_lz4_legacy(lz4_legacy([lz4_run(FULL + 1)]), 64 * MIB)

    def test_damaged_block(self):
        """A match that reaches before the start is damage."""
        with pytest.raises(
            DecompressError, match="byte 14 of 14: the block of 6 bytes before here is"
        ):
            decompress_lz4_legacy(lz4_legacy([b"\x10A\x09\x00\x10B"]), MIB)

    @pytest.mark.parametrize(
        ("at", "value", "complaint"),
        [
            (4, 0x80, "unknown frame flags"),  # a version that is not there yet
            (4, 0x62, "unknown frame flags"),  # a bit that is reserved
            (5, 0x30, "unknown frame flags"),  # blocks of 16 KiB
            (4, 0x61, "needs a dictionary"),
            (6, 0x00, "header does not match"),
        ],
    )
    def test_frame_header(self, at: int, value: int, complaint: str):
        """Frames that cannot be read are told by what is in the way."""
        data = bytearray(golden("linked.lz4"))
        data[at] = value
        with pytest.raises(DecompressError, match=complaint):
            decompress_lz4_legacy(data, MIB)


class TestLzo:
    @pytest.mark.parametrize("version", [0x0900, 0x0940, 0x1040])
    @pytest.mark.parametrize("flags", [0, 0x1000, 0x0040, 0x0300000C])
    def test_headers(self, version: int, flags: int):
        """Old and new headers, either checksum, extra fields; stored blocks beside compressed."""
        blocks = [(5, b"Linux"), (300_000, lzo_run(300_000)), (1, b"\n")]
        data = lzop(blocks, version=version, flags=flags)
        assert decompress_lzo(data, MIB) == b"Linux" + bytes(300_000) + b"\n"

    @pytest.mark.parametrize(
        ("data", "complaint"),
        [
            (lzop([], method=0x80), "method 128"),
            (lzop([], flags=0x0400), "in one part"),
            (lzop([], flags=0x0800), "filter 1"),
            (lzop([(4, b"Linux")]), "a block of 5 bytes cannot hold 4"),
            (lzop([(65 * MIB, lzo_run(65 * MIB))]), "cannot hold"),
            (lzop([(0xFFFFFFFF, b"")]), "cannot hold"),
            (lzop([(5, b"")]), "the block of 0 bytes before here is damaged"),
            (lzop([(500, lzo_run(400))]), "is damaged"),
            (lzop([(400, lzo_run(500))]), "is damaged"),
            (lzop([(5, b"Linux")], flags=1), "cut short|checksum"),
        ],
    )
    def test_refused(self, data: bytes, complaint: str):
        """What is no LZO1X, or does not hold what it says, is reported."""
        with pytest.raises(DecompressError, match=complaint):
            decompress_lzo(data, 128 * MIB)
