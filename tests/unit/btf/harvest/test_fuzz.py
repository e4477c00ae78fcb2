# SPDX-License-Identifier: Apache-2.0
"""The readers of kernels and packages survive arbitrary bytes.

Whatever they are given, they return or raise FormatError, in memory that the input's size and the
limits bound.
"""

from __future__ import annotations

import io
import struct
import tarfile
import tracemalloc
from collections.abc import Callable
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import harvest_builders as b
from tests.support.packed import zstd_frame
from tests.unit.abi.test_fuzz import flipped
from tetrapy.btf.harvest import cpio, deb, limits, rpm, tar, verify
from tetrapy.btf.harvest.compression import unpacked_reader
from tetrapy.btf.harvest.extract import kind_of
from tetrapy.btf.harvest.identity import Evidence, identify
from tetrapy.btf.harvest.images import read_image
from tetrapy.btf.harvest.options import Options
from tetrapy.btf.harvest.package import Package, kernel_of
from tetrapy.btf.harvest.stream import LimitedStream
from tetrapy.errors import FormatError

pytestmark = pytest.mark.slow

PATH = f"boot/vmlinuz-{b.RELEASE}"
FILES = {"usr/lib/" + "n" * 120: b"12345", PATH: b.vmlinuz("gzip")}
MIB = 1 << 20

# Stored and weakly packed, so that a changed byte gets past the decompressor.
IMAGES = [
    b.vmlinux(),
    b.bz_image(b.COMPRESSORS["zstd"](b.vmlinux())),
    b.bz_image(b.COMPRESSORS["lzo"](b.vmlinux())),
    b.arm64_image(),
    b.zboot(b.COMPRESSORS["lz4"](b.arm64_image())),
    b.COMPRESSORS["zstd"](b.tar({"6.1.btf": b.kernel_btf()})),
    *(b.vmlinuz(name) for name in ("gzip", "bzip2", "lzma", "xz")),
]


def image(data: bytes) -> None:
    """Read, verify and name an image, as a worker does."""
    try:
        found = read_image(data, b.UNPACKERS)
        checked = verify.check(found.btf)
        evidence = Evidence("x", found.name, found.arch, checked.arch, banner=found.banner)
        key, _notes = identify(evidence, Options(id="a", version_id="1"))
    except FormatError:
        return
    assert ".." not in key
    assert str(key).count("/") == 3


def package(opened: Callable[[], Package]) -> None:
    """Read a package up to its kernel, and that."""
    try:
        kernel = kernel_of(opened())
        if kernel:
            kernel.entry.content(limits.KERNEL)
    except FormatError:
        pass


def any_package(data: bytes) -> None:
    package(lambda: deb.open_deb(io.BytesIO(data), b.UNPACKERS))
    package(lambda: rpm.open_rpm(io.BytesIO(data), b.UNPACKERS))


@given(st.binary(max_size=2000))
def test_arbitrary_bytes(data: bytes) -> None:
    """No bytes make a reader do anything but return or raise FormatError."""
    assert kind_of(data) in {"", "deb", "rpm", "image"}
    image(data)
    any_package(data)
    for start in (b"!<arch>\ndebian-binary", rpm.MAGIC, b"\xfd7zXZ\0", b"\x1f\x8b\x08", b"]\0\0"):
        image(start + data)
        any_package(start + data)


@given(st.sampled_from(IMAGES).flatmap(flipped))
def test_changed_images(data: bytes) -> None:
    """An image with a few bytes changed is read or refused."""
    image(data)


@given(flipped(b.deb(FILES, "")) | flipped(b.deb(FILES, "gzip")) | flipped(b.deb(FILES, "zstd")))
def test_changed_debs(data: bytes) -> None:
    """A .deb with a few bytes changed is read or refused."""
    any_package(data)


@given(flipped(b.rpm(FILES, "")) | flipped(b.rpm(FILES, "xz")) | flipped(b.rpm(FILES, "zstd")))
def test_changed_rpms(data: bytes) -> None:
    """An .rpm with a few bytes changed is read or refused."""
    any_package(data)


@given(flipped(b.tar(FILES, tarfile.PAX_FORMAT)) | flipped(b.tar(FILES, tarfile.GNU_FORMAT)))
def test_changed_tars(data: bytes) -> None:
    """A tar with pax headers, a few bytes changed and its checksums right, is read or refused."""
    fixed = bytearray(data)
    for at in range(0, len(fixed) - 511, 512):
        total = sum(fixed[at : at + 512]) - sum(fixed[at + 148 : at + 156]) + 256
        if fixed[at + 257 : at + 262] == b"ustar":
            fixed[at + 148 : at + 156] = b"%06o\0 " % total
    try:
        for entry in tar.entries(io.BytesIO(bytes(fixed)), MIB):
            entry.content(MIB)
    except FormatError:
        pass


@given(flipped(b.cpio(FILES)))
def test_changed_cpios(data: bytes) -> None:
    """A cpio with a few bytes changed is read or refused."""
    try:
        for entry in cpio.entries(io.BytesIO(data), MIB):
            entry.content(MIB)
    except FormatError:
        pass


def peak(work: Callable[[], object]) -> int:
    """The most memory in bytes that Python had while it worked."""
    tracemalloc.start()
    try:
        work()
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


def tar_header(kind: bytes, size: bytes) -> bytes:
    """A tar header of a kind and with a size field of its own, and little behind it."""
    block = bytearray(b.tar({PATH: b""})[:512])
    block[156:157] = kind
    block[124:136] = size
    block[148:156] = b"%06o\0 " % (sum(block) - sum(block[148:156]) + 256)
    return bytes(block) + bytes(2000)


def deb_of(data: bytes) -> bytes:
    control = b.tar({"control": b"Package: x\n"})
    return b.ar({"debian-binary": b"2.0\n", "control.tar": control, "data.tar": data})


HUGE = b"\x80" + b"\xff" * 11
LEAD = rpm.MAGIC + bytes(92)
HEADER = b"\x8e\xad\xe8\x01" + bytes(4)
EMPTY_HEADER = HEADER + bytes(8)


@pytest.mark.parametrize(
    "data",
    [
        deb_of(tar_header(b"x", HUGE)),
        deb_of(tar_header(b"L", b"77777777777\0")),
        deb_of(tar_header(b"0", HUGE)),
        deb_of(tar_header(b"g", b"77777777777\0")),
        b.ar({"debian-binary": b"2.0\n", "control.tar": b""})[:-12] + b"9999999999`\n",
        LEAD + HEADER + b"\xff" * 8,
        LEAD + EMPTY_HEADER + HEADER + b"\xff" * 8,
        LEAD + EMPTY_HEADER * 2 + b"070701" + b"ffffffff" * 13,
        LEAD + EMPTY_HEADER * 2 + b.cpio({PATH: b""}).replace(b"00000000", b"000081a4" * 2, 1),
    ],
)
def test_sizes_that_a_package_only_claims_cost_nothing(data: bytes) -> None:
    """A header that claims gigabytes is refused, or the data ends; the memory is not taken."""
    assert peak(lambda: any_package(data)) < 4 * MIB


def test_sizes_that_an_image_only_claims_cost_nothing() -> None:
    """The same for the fields of boot images and sections."""
    elf = bytearray(b.vmlinux())
    at = struct.unpack_from("<Q", elf, 40)[0] + 2 * 64 + 32
    struct.pack_into("<Q", elf, at, 1 << 62)
    boot = bytearray(b.vmlinuz())
    struct.pack_into("<I", boot, 0x24C, 0xFFFFFFFF)
    boot_zst = b"\x28\xb5\x2f\xfd\xe0" + b"\xff" * 8 + bytes(99)
    for data in (bytes(elf), bytes(boot), b.bz_image(boot_zst), b.zboot(b"")[:12] + b"\xff" * 60):
        with pytest.raises(FormatError):
            read_image(data, b.UNPACKERS)
        assert peak(lambda data=data: image(data)) < 4 * MIB  # type: ignore[misc]


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
def test_a_package_is_read_as_a_stream(compression: str) -> None:
    """Large files in front of the kernel pass through a small part of the memory."""
    zeros = {"usr/zeros": bytes(64 * MIB)}
    files = b.tar({**zeros, PATH: b.vmlinuz()})
    if compression == "zstd":
        blocks = [(0, len(part), part) for part in (files[:512], files[512 + 64 * MIB :])]
        packed = zstd_frame([blocks[0], *[(1, 1 << 17, b"\0")] * 512, blocks[1]])
    else:
        packed = b.COMPRESSORS[compression](files)
    data = deb_of(packed)
    del files
    kernels: list[object] = []

    def read() -> None:
        kernels.append(kernel_of(deb.open_deb(io.BytesIO(data), b.UNPACKERS)))

    assert peak(read) < 16 * MIB
    assert kernels[0] is not None


def test_a_bomb_takes_no_more_memory_than_the_limit() -> None:
    """Of a payload that unpacks to 64 MiB nothing beyond the limit is unpacked."""
    bomb = b.bz_image(b.COMPRESSORS["gzip"](bytes(64 * MIB)))
    with mock.patch.object(limits, "KERNEL", 2 * MIB):
        assert peak(lambda: image(bomb)) < 6 * MIB


def test_a_chain_of_tiny_pieces_has_an_end() -> None:
    """Compressed pieces one behind the other, each unpacking to nothing, are given up."""
    piece = b.COMPRESSORS["gzip"](b"")
    data = deb_of(piece * 40_000)
    with pytest.raises(FormatError, match="more than 16384 pieces"):
        kernel_of(deb.open_deb(io.BytesIO(data), b.UNPACKERS))


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz"])
@pytest.mark.parametrize("size", range(1, 12))
def test_pieces_are_joined_wherever_they_meet(compression: str, size: int) -> None:
    """Parallel compressors write piece after piece; a read may end anywhere between or in them."""
    pieces = [b.COMPRESSORS[compression](part) for part in (b"one ", b"two ", b"three")]
    padding = bytes(8) if compression == "xz" else b""

    class Slow(io.BytesIO):
        def read(self, limit: int | None = -1) -> bytes:
            return super().read(size if limit is None or limit < 0 else min(limit, size))

    reader = LimitedStream(unpacked_reader(Slow(padding.join(pieces) + padding), b.UNPACKERS), MIB)
    assert reader.up_to(MIB) == b"one two three"
