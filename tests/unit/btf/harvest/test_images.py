# SPDX-License-Identifier: Apache-2.0
"""Kernel images of every form and compression -> BTF."""

from __future__ import annotations

import lzma
import struct

import pytest

from tests.support.harvest_builders import (
    ARM_BANNER,
    BANNER,
    COMPRESSORS,
    UNPACKERS,
    arm64_image,
    bz_image,
    kernel_btf,
    tar,
    vmlinux,
    vmlinuz,
    zboot,
)
from tetrapy.btf.harvest import limits
from tetrapy.btf.harvest.images import Image, NoBtfError, read_image
from tetrapy.errors import ElfError, FormatError

X86 = Image(kernel_btf(), "x86_64", BANNER.rstrip("\n"))
ARM = Image(kernel_btf("arm64"), "arm64", ARM_BANNER.rstrip("\n"))


def read(data: bytes) -> Image:
    return read_image(data, UNPACKERS)


def test_a_vmlinux_is_read() -> None:
    """The .BTF section and the banner of an ELF kernel are found, its machine is reported."""
    assert read(vmlinux()) == X86


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_a_bzimage_of_every_compression_is_read(compression: str) -> None:
    """The payload of an x86 kernel is unpacked whatever packed it, its trailing size left out."""
    assert read(vmlinuz(compression)) == X86


@pytest.mark.parametrize("compression", COMPRESSORS)
def test_a_packed_arm64_image_is_read(compression: str) -> None:
    """Image.gz and its kin, and EFI zboot images, give what the plain Image gives."""
    packed = COMPRESSORS[compression](arm64_image())
    assert read(packed) == ARM
    assert read(zboot(packed)) == ARM


def test_a_plain_arm64_image_is_read() -> None:
    """Among bytes that look like the header of BTF, the BTF is the one that can be read."""
    assert read(arm64_image()) == ARM


def test_an_arm64_image_keeps_the_layout_section_of_its_btf() -> None:
    """The longer header that describes the layout of kinds is part of what is cut out."""
    old = kernel_btf("arm64")
    sizes = struct.unpack_from("<IIII", old, 8)
    layout = bytes(range(8))
    head = struct.pack("<HBBIIIIIII", 0xEB9F, 1, 0, 32, *sizes, sizes[2] + sizes[3], len(layout))
    new = head + old[24:] + layout
    assert read(arm64_image(new)).btf == new


@pytest.mark.parametrize("compression", ["gzip", "xz", "zstd"])
def test_a_btfhub_file_is_read(compression: str) -> None:
    """A .btf.tar.xz holds one .btf; its name is reported."""
    packed = COMPRESSORS[compression](tar({"5.4.0-1-generic.btf": kernel_btf()}))
    assert read(packed) == Image(kernel_btf(), name="5.4.0-1-generic.btf")


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "begins with nothing: no ELF file, bzImage"),
        (b"GIF89a" + bytes(99), "begins with 474946"),
        (b"\x7fELF\x01" + bytes(99), "no little-endian ELF64"),
        (vmlinux(machine=243), "machine 243"),
        (bz_image(b"", protocol=0x205), "boot protocol 2.05 does not tell"),
        (vmlinuz()[:0x450], "bzImage is cut short"),
        (zboot(bytes(100))[:100], "zboot image is cut short"),
        (zboot(b"")[:15], "begins with 4d5a00007a696d67"),
        (bz_image(b"nothing"), "the bzImage's payload: begins with 6e6f"),
        (bz_image(COMPRESSORS["gzip"](vmlinux())[:90]), "gzip data is cut short"),
        (bz_image(COMPRESSORS["xz"](vmlinux())[:90]), "xz data is cut short"),
        (bz_image(COMPRESSORS["zstd"](vmlinux())[:90]), "payload: zstd"),
        (COMPRESSORS["bzip2"](vmlinux())[:60] + bytes(99), "bzip2 data is damaged"),
        (COMPRESSORS["xz"](COMPRESSORS["gzip"](b"text")), "begins with 74657874"),
        (COMPRESSORS["xz"](tar({"README": b""})), "no .btf file in it but README"),
    ],
)
def test_what_is_wrong_with_an_image_is_reported(data: bytes, text: str) -> None:
    """Each kind of damage is a FormatError that says what was found where."""
    with pytest.raises(FormatError, match=text):
        read(data)


def test_images_inside_images_have_an_end() -> None:
    """A file that is packed again and again is refused, not followed."""
    data = vmlinux()
    for _ in range(limits.NESTING + 1):
        data = COMPRESSORS["gzip"](data)
    with pytest.raises(FormatError, match="packed more than"):
        read(data)


def test_a_kernel_without_btf_is_distinguished_from_a_damaged_one() -> None:
    """No .BTF section is an error of its own, which knows whether there is DWARF instead."""
    with pytest.raises(NoBtfError) as caught:
        read(vmlinux({".rodata": BANNER.encode()}))
    assert not caught.value.dwarf
    with pytest.raises(NoBtfError) as caught:
        read(vmlinux({".debug_info": b"x"}))
    assert caught.value.dwarf
    with pytest.raises(NoBtfError, match="arm64 kernel has no BTF"):
        read(arm64_image(b""))


def test_a_compressed_section_is_an_error_with_a_remedy() -> None:
    """SHF_COMPRESSED on .BTF is reported, with the command that undoes it."""
    with pytest.raises(FormatError, match="objcopy --decompress-debug-sections"):
        read(vmlinux(flags=0x800))


def test_a_cut_vmlinux_is_an_error() -> None:
    """A vmlinux whose section table is missing is no kernel without BTF, but damaged."""
    with pytest.raises(ElfError, match="ends at byte"):
        read(vmlinux()[:-10])


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "lzma", "xz"])
def test_a_bomb_is_refused_at_the_limit(monkeypatch: pytest.MonkeyPatch, compression: str) -> None:
    """What unpacks to more than a kernel's limit is given up at the limit."""
    monkeypatch.setattr(limits, "KERNEL", 1 << 20)
    with pytest.raises(FormatError, match="unpacks to more than 1 MiB"):
        read(COMPRESSORS[compression](bytes(3 << 20)))


def test_a_zstd_bomb_is_refused_at_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit reaches the decompressors that the caller brings along."""
    monkeypatch.setattr(limits, "KERNEL", 1000)
    for compression in ("zstd", "lz4", "lzo"):
        with pytest.raises(FormatError, match="larger than the limit"):
            read(COMPRESSORS[compression](bytes(3000)))


def test_the_dictionary_of_an_xz_file_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that asks for more memory than any kernel's does is refused before it gets it."""
    monkeypatch.setattr(limits, "XZ_MEMORY", 8 << 20)
    filters = [{"id": lzma.FILTER_LZMA2, "dict_size": 64 << 20}]
    with pytest.raises(FormatError, match="memory usage limit"):
        read(lzma.compress(vmlinux(), filters=filters))


def test_too_much_btf_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit of BTF holds for each form."""
    monkeypatch.setattr(limits, "BTF", len(kernel_btf()) - 1)
    packed = tar({"x.btf": kernel_btf()})
    for data in (vmlinux(), kernel_btf(), COMPRESSORS["xz"](packed)):
        with pytest.raises(FormatError, match="the limit is"):
            read(data)
    with pytest.raises(NoBtfError):
        read(arm64_image(kernel_btf("arm64")))


def test_many_impostors_are_given_up() -> None:
    """An image full of headers of BTF costs no more than a limited number of looks."""
    with pytest.raises(FormatError, match="too many places"):
        read(arm64_image(b"\x9f\xeb\x01\0\x18\0\0\0" * 1000))
