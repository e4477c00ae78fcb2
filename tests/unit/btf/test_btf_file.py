# SPDX-License-Identifier: Apache-2.0
"""BTF in files that nobody vouches for: what is read, and that nothing else happens."""

from __future__ import annotations

import io
import lzma
import tarfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.builders import BtfBuilder, elf
from tetrapy.btf import btf_file, xz
from tetrapy.btf.btf_file import read_btf
from tetrapy.errors import FormatError

MODES = ("raw", "elf", "xz", "tar")


def small_btf() -> bytes:
    builder = BtfBuilder()
    builder.composite("s", 8, [("a", builder.integer("int", 4), 0)])
    return builder.build()


def tar_of(data: bytes, *, before: bytes = tarfile.DIRTYPE) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as writer:
        directory = tarfile.TarInfo("dir")
        directory.type = before
        writer.addfile(directory)
        member = tarfile.TarInfo("dir/x.btf")
        member.size = len(data)
        writer.addfile(member, io.BytesIO(data))
    return target.getvalue()


def form(mode: str) -> bytes:
    data = small_btf()
    if mode == "elf":
        return elf({".text": b"", ".BTF": data}, [])
    return tar_of(data) if mode == "tar" else data


def packed(mode: str, data: bytes) -> bytes:
    return lzma.compress(data) if mode in {"xz", "tar"} else data


@pytest.mark.parametrize("mode", MODES)
def test_forms(tmp_path: Path, mode: str) -> None:
    """Raw BTF, BTF in an ELF file, packed by xz, and in a tar of BTFHub give the same bytes."""
    path = tmp_path / "file"
    path.write_bytes(packed(mode, form(mode)))
    assert read_btf(str(path)) == small_btf()


@pytest.fixture(scope="module")
def scratch(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("btf") / "file"


@pytest.mark.slow
@given(data=st.data(), mode=st.sampled_from(MODES))
def test_damage(scratch: Path, data: st.DataObject, mode: str) -> None:
    """Whatever bytes are changed, inside the packing or outside, BTF or a FormatError comes out."""
    content = bytearray(form(mode))
    for _ in range(data.draw(st.integers(1, 8))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    end = data.draw(st.integers(0, len(content)) | st.just(len(content)))
    scratch.write_bytes(packed(mode, bytes(content[:end])))
    try:
        found = read_btf(str(scratch))
    except FormatError:
        return
    assert len(found) <= end


@pytest.mark.slow
@given(st.binary(max_size=2000), st.sampled_from([b"", b"\x7fELF\x02\x01\x01", xz.MAGIC]))
def test_any_bytes(scratch: Path, data: bytes, head: bytes) -> None:
    """Bytes that do not begin as BTF are a FormatError."""
    scratch.write_bytes(head + b"\0" + data)
    with pytest.raises(FormatError):
        read_btf(str(scratch))


@pytest.mark.parametrize("mode", ["raw", "xz"])
def test_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str) -> None:
    """What is larger than the limit, packed or not, is refused before it is in memory."""
    monkeypatch.setattr(btf_file, "MAX_SIZE", 1 << 20)
    path = tmp_path / "file"
    for size in (1 << 20, (1 << 20) + 1):
        data = b"\x9f\xeb" + bytes(size - 2)
        path.write_bytes(lzma.compress(data) if mode == "xz" else data)
        if size == 1 << 20:
            assert read_btf(str(path)) == data
        else:
            with pytest.raises(FormatError, match="more than 1 MiB"):
                read_btf(str(path))


def test_a_section_that_is_too_large(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A .BTF section above the limit is refused by its header."""
    monkeypatch.setattr(btf_file, "MAX_SIZE", 16)
    path = tmp_path / "file"
    path.write_bytes(elf({".BTF": small_btf()}, []))
    with pytest.raises(FormatError, match="which no kernel's has"):
        read_btf(str(path))


def test_a_tar_without_files(tmp_path: Path) -> None:
    """A tar of directories and links holds no BTF."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w") as writer:
        link = tarfile.TarInfo("x.btf")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        writer.addfile(link)
    path = tmp_path / "file"
    path.write_bytes(lzma.compress(target.getvalue()))
    with pytest.raises(FormatError, match="holds no file"):
        read_btf(str(path))


def test_xz_round_trip() -> None:
    """What is packed comes out again, and one byte more than the limit does not."""
    data = bytes(range(256)) * 100
    assert xz.unpack(xz.pack(data), len(data)) == data
    with pytest.raises(FormatError, match="more than"):
        xz.unpack(xz.pack(data), len(data) - 1)
