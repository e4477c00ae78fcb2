# SPDX-License-Identifier: Apache-2.0
"""The file formats that guests are made of: cpio, .deb, a patched vmlinux, the list."""

from __future__ import annotations

import io
import struct
import tarfile
from pathlib import Path

import pytest

from tests.vm.ways import WAYS
from tools.guest import deb, kernels, nobtf, pin
from tools.guest.cpio import CpioWriter

HEADER = 110  # bytes of a newc header


def read_cpio(data: bytes) -> list[tuple[str, int, bytes]]:
    """(name, mode, content) of each entry, read as the format's document says."""
    entries, at = [], 0
    while True:
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        name_size, size = fields[11], fields[6]
        name = data[at + HEADER : at + HEADER + name_size - 1].decode()
        start = (at + HEADER + name_size + 3) // 4 * 4
        entries.append((name, fields[1], data[start : start + size]))
        at = (start + size + 3) // 4 * 4
        if name == "TRAILER!!!":
            return entries


def test_cpio_entries() -> None:
    """Files, links and devices are read back; parents come first and once."""
    out = io.BytesIO()
    cpio = CpioWriter(out)
    cpio.file("/a/b/one", b"12345", 0o755)
    cpio.file("/a/b/two", b"")
    cpio.symlink("/a/link", "b/one")
    cpio.character_device("/dev/null", 1, 3, 0o666)
    cpio.close()
    assert read_cpio(out.getvalue()) == [
        ("a", 0o040755, b""),
        ("a/b", 0o040755, b""),
        ("a/b/one", 0o100755, b"12345"),
        ("a/b/two", 0o100644, b""),
        ("a/link", 0o120777, b"b/one"),
        ("dev", 0o040755, b""),
        ("dev/null", 0o020666, b""),
        ("TRAILER!!!", 0, b""),
    ]
    assert len(out.getvalue()) % 512 == 0


def test_deb_entries(tmp_path: Path) -> None:
    """The files of a package come out of the data member, whatever stands before it."""
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:xz") as tar:
        info = tarfile.TarInfo("./boot/vmlinuz")
        info.size = 3
        tar.addfile(info, io.BytesIO(b"abc"))
    members = [("debian-binary", b"2.0\n"), ("odd", b"x"), ("data.tar.xz", packed.getvalue())]
    package = tmp_path / "some.deb"
    with package.open("wb") as file:
        file.write(b"!<arch>\n")
        for name, content in members:
            file.write(f"{name:16}{0:<12}{0:<6}{0:<6}{100644:<8}{len(content):<10}`\n".encode())
            file.write(content + b"\n" * (len(content) % 2))
    found = [(path, content) for path, _, content in deb.entries(package)]
    assert found == [("/boot/vmlinuz", b"abc")]


@pytest.mark.parametrize(
    ("entry", "skipped"),
    [
        (b"\xf3\x0f\x1e\xfa\xe8\x01\x02\x03\x04", 9),
        (b"\xe8\x01\x02\x03\x04", 5),
        (b"\x0f\x1f\x44\x00\x00", 5),
        (b"\x55", 0),
    ],
)
def test_patched_functions_return_zero(entry: bytes, skipped: int) -> None:
    """A function returns 0 right behind what marks its entry; nothing else changes."""
    address, offset = 0xFFFFFFFF81000010, 0x1010
    elf = bytearray(0x2000)
    struct.pack_into("<Q", elf, 32, 64)
    struct.pack_into("<H", elf, 56, 1)
    struct.pack_into("<IIQQQQQQ", elf, 64, 1, 5, 0x1000, address - 0x10, 0, 0x1000, 0x1000, 0)
    elf[offset : offset + 32] = entry.ljust(32, b"\x90")
    patched = nobtf.patch(bytes(elf), [address])
    start = offset + skipped
    assert patched[start : start + 3] == b"\x31\xc0\xc3"
    assert patched[:start] + patched[start + 3 :] == bytes(elf[:start] + elf[start + 3 :])


def test_the_list_of_kernels() -> None:
    """Names are unique and begin with the series of the release; the archive knows whom it should.

    Every way of running the agent is used by a kernel, and `make test` boots one without BTF.
    """
    listed = kernels.load()
    assert len({kernel.name for kernel in listed}) == len(listed)
    for kernel in listed:
        assert kernel.release.startswith(kernel.name.partition("-")[0] + ".")
        assert kernel.release in kernel.package
        assert kernel.known == (kernel.release in pin.known_releases())
    assert {name for kernel in listed for name in kernel.sessions} == set(WAYS)
    assert {kernel.btf for kernel in listed if kernel.short} == {True, False}
