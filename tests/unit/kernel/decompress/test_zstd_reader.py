# SPDX-License-Identifier: Apache-2.0
"""Zstandard as a file: read in pieces, from files that give little at once, inside tar archives."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.packed import CONTENTS, golden, zstd_frame, zstd_skippable
from tests.unit.kernel.decompress.test_decompress import compressed
from tetrapy.errors import DecompressError
from tetrapy.kernel.decompress import ZstdReader, open_zstd

FRAME = golden("kernel.zst")


class Dripping:
    """A file that can only be read, some bytes at a time, and knows how much it gave."""

    def __init__(self, data: bytes, step: int) -> None:
        self._file = io.BytesIO(data)
        self._step = step
        self.given = 0

    def read(self, size: int) -> bytes:
        data = self._file.read(min(size, self._step))
        self.given += len(data)
        return data


@pytest.mark.slow
@pytest.mark.parametrize("step", [1, 2, 100, 1 << 20])
@pytest.mark.parametrize("size", [1, 7, 4096, 131_072, 1 << 20])
def test_sizes_do_not_matter(step: int, size: int):
    """Whatever is given and asked for at once, the same bytes come."""
    reader = ZstdReader(Dripping(FRAME, step))
    found = b"".join(iter(lambda: reader.read(size), b""))
    assert found == CONTENTS
    assert reader.read(size) == b""


def test_several_frames():
    """Frames in a row are one file; empty and skippable ones do not end it."""
    data = zstd_skippable(b"note") + zstd_frame([(0, 0, b"")]) + FRAME + zstd_skippable(b"") + FRAME
    for step in (1, 1 << 20):
        assert open_zstd(Dripping(data, step)).read() == CONTENTS * 2


def test_any_buffer():
    """`readinto` fills buffers of any kind of item, and none that is empty."""
    words = memoryview(bytearray(64)).cast("I")
    assert ZstdReader(io.BytesIO(FRAME)).readinto(words) == 64
    assert words.tobytes() == CONTENTS[:64]
    assert ZstdReader(io.BytesIO(b"")).readinto(bytearray()) == 0


@pytest.mark.parametrize("size", [0, 1, 4, 9, 500, len(FRAME) - 1])
def test_cut(size: int):
    """A file that ends within a frame is an error, not an end; a file without a frame too."""
    with pytest.raises(DecompressError, match="ends in the midst of a frame"):
        open_zstd(io.BytesIO(FRAME[:size])).read()


def test_other_bytes():
    """What is no frame, at the start or behind one, is an error."""
    for data in (b"\x1f\x8b" + FRAME, FRAME + bytes(9)):
        with pytest.raises(DecompressError, match="Unknown frame descriptor"):
            open_zstd(io.BytesIO(data)).read()


def test_damage():
    """A changed byte is found by the frame's checksum at the latest; every read tells it again."""
    data = bytearray(FRAME)
    data[-1] ^= 1
    reader = ZstdReader(io.BytesIO(data))
    with pytest.raises(DecompressError, match="checksum"):
        reader.readall()
    with pytest.raises(DecompressError):
        reader.readall()


def test_window():
    """A window above 128 MiB is refused, since it is memory."""
    assert open_zstd(io.BytesIO(zstd_frame([(0, 5, b"Linux")], 27))).read() == b"Linux"
    with pytest.raises(DecompressError, match="too much memory"):
        open_zstd(io.BytesIO(zstd_frame([(0, 5, b"Linux")], 28))).read()


def test_closed():
    """Closing gives the decoder back, once; the file below stays open."""
    file = io.BytesIO(FRAME)
    reader = open_zstd(file)
    assert reader.read(5) == CONTENTS[:5]
    reader.close()
    reader.close()
    assert not file.closed
    with pytest.raises(ValueError, match="closed"):
        reader.read(1)
    raw = ZstdReader(file)
    raw.close()
    with pytest.raises(ValueError, match="closed"):
        raw.read(1)


def test_package(tmp_path: Path):
    """A file out of the data.tar.zst of a package comes before the rest of it is read."""
    kernel = os.urandom(1 << 20)
    (tmp_path / "vmlinuz").write_bytes(kernel)
    (tmp_path / "zz-rest").write_bytes(os.urandom(8 << 20))
    tar = subprocess.run(
        ["tar", "-C", str(tmp_path), "-c", "vmlinuz", "zz-rest"], check=True, capture_output=True
    )
    package = Dripping(compressed(["zstd", "-q", "-3"], tar.stdout), 1 << 20)
    with open_zstd(package) as file, tarfile.open(fileobj=file, mode="r|") as archive:
        member = archive.next()
        assert member.name == "vmlinuz"
        assert archive.extractfile(member).read() == kernel
        assert package.given < 2 << 20
        assert archive.next().name == "zz-rest"
