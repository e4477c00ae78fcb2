"""The archive of minimized BTFs: format, look-up, damage."""

from __future__ import annotations

import lzma
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.abi import core_relocs
from tetrapy.abi.btf import Btf
from tetrapy.btf import archive, pack
from tetrapy.errors import ArchiveError

ROOT = Path(__file__).resolve().parents[2]
SHIPPED = (ROOT / "btfs/archive.xz").read_bytes()
SAMPLE = (Path(__file__).parent / "data/sample.bpf.o").read_bytes()
KERNELS = {
    "debian/12/x86_64/6.1.0-9-amd64": b"one" * 100,
    "debian/12/x86_64/6.1.0-10-amd64": b"two" * 100,
    "debian/12/arm64/6.1.0-10-arm64": b"one" * 100,
    "debian//x86_64/7.0-amd64": b"",
}
PACKED = pack.pack(KERNELS, "digest")


def test_what_is_packed_is_found() -> None:
    """Each kernel has its bytes; kernels with equal bytes share them."""
    found = archive.Archive(PACKED)
    assert found.objects == "digest"
    assert {name: found.find(name) for name in found.kernels} == KERNELS
    assert len(found.blobs) == 3
    assert found.find("debian/12/x86_64/6.1.0-11-amd64") is None


def test_equal_input_gives_equal_bytes() -> None:
    """The order in which kernels are given does not matter."""
    assert pack.pack(dict(reversed(KERNELS.items())), "digest") == PACKED


def test_a_release_is_found_in_any_distribution() -> None:
    """Names and blobs of all kernels of an architecture and release, and of no other."""
    found = archive.Archive(PACKED)
    assert found.find_release("x86_64", "6.1.0-9-amd64") == [("debian/12/x86_64/6.1.0-9-amd64", 0)]
    assert found.find_release("x86_64", "9-amd64") == []


@pytest.mark.parametrize("name", ["a/b/c", "a/b/c/d/e", "a/b/c/d e", "a/b/c/d\n"])
def test_a_name_that_is_no_kernels_is_refused(name: str) -> None:
    """Names are ID/VERSION_ID/arch/release, without white space."""
    with pytest.raises(ArchiveError, match="is no kernel's name"):
        pack.pack({name: b""}, "digest")


def repacked(text: str, blobs: bytes = b"") -> bytes:
    """An archive with this index."""
    return lzma.compress(text.encode("latin-1") + b"\n\n" + blobs)


GOOD = "tetrapy-btf 1\nobjects x"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is empty"),
        (b"rubbish", "damaged"),
        (PACKED[:-1], "damaged"),
        (PACKED + b"x", "damaged"),
        (lzma.compress(b"no end"), "no end of its index"),
        (repacked("tetrapy-btf 2\nobjects x"), "starts with 'tetrapy-btf 2'"),
        (repacked("tetrapy-btf 1"), "no digest of the objects"),
        (repacked(GOOD + "\nblob 1 0"), "blobs of 1 bytes, 0 are there"),
        (repacked(GOOD + "\nblob -1 0"), "index"),
        (repacked(GOOD + "\nblob x 0"), "index"),
        (repacked(GOOD + "\nkernel 0 a/b/c/d"), "line 'kernel 0 a/b/c/d'"),
        (repacked(GOOD + "\nother 0 x"), "line 'other 0 x'"),
        (repacked(GOOD + "\nblob 1"), "index"),
        (repacked(GOOD + "\n\xff"), "index"),
    ],
)
def test_damage_is_an_archive_error(data: bytes, text: str) -> None:
    """What is no archive, of another version, cut short or inconsistent says so."""
    with pytest.raises(ArchiveError, match=text):
        archive.Archive(data)


def test_a_blob_with_another_digest_is_refused() -> None:
    """A blob is verified when it is taken, whatever the xz stream says."""
    found = archive.Archive(repacked(f"{GOOD}\nblob 4 {'0' * 16}\nkernel 0 a/b/c/d", b"blob"))
    with pytest.raises(ArchiveError, match="blob 0 is fa2c8cc4f28176bb, not 0000000000000000"):
        found.find("a/b/c/d")


@given(st.integers(0, len(PACKED) - 1), st.integers(0, 7))
def test_no_flipped_bit_is_believed(place: int, bit: int) -> None:
    """An archive with any bit changed is refused, or still gives every kernel's right bytes."""
    data = bytearray(PACKED)
    data[place] ^= 1 << bit
    try:
        found = archive.Archive(bytes(data))
        assert {name: found.find(name) for name in KERNELS} == KERNELS
    except ArchiveError:
        pass


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that unpacks to more than the limit ends there."""
    monkeypatch.setattr(archive, "MAX_UNPACKED", 1 << 20)
    with pytest.raises(ArchiveError, match="too large"):
        archive.Archive(lzma.compress(bytes(16 << 20)))


def test_a_decoder_that_wants_too_much_memory_is_refused() -> None:
    """A stream that names a dictionary of 512 MiB is not decoded."""
    large = [{"id": lzma.FILTER_LZMA2, "preset": 0, "dict_size": 512 << 20}]
    try:
        data = lzma.compress(b"x", lzma.FORMAT_XZ, filters=large)
    except MemoryError:
        pytest.skip("no memory to make such a stream")
    with pytest.raises(ArchiveError, match="damaged"):
        archive.Archive(data)


def test_the_archive_is_for_the_objects_or_refused() -> None:
    """The digest of the relocations ties archive and objects together."""
    archive.check_objects(pack.pack({}, core_relocs.digest([SAMPLE])), [SAMPLE])
    with pytest.raises(ArchiveError, match="made for other BPF objects"):
        archive.check_objects(PACKED, [SAMPLE])


def test_every_kernel_of_the_shipped_archive_has_btf() -> None:
    """Both architectures are there, and each entry is BTF with a task_struct in it."""
    found = archive.Archive(SHIPPED)
    assert {name.split("/")[2] for name in found.kernels} == {"x86_64", "arm64"}
    for number in range(len(found.blobs)):
        assert Btf(found.blob(number)).find("task_struct") is not None


def test_the_shipped_index_lists_the_shipped_archive() -> None:
    """btfs/INDEX.tsv says what is in btfs/archive.xz."""
    found = archive.Archive(SHIPPED)
    rows = [line.split("\t") for line in (ROOT / "btfs/INDEX.tsv").read_text().splitlines()[2:]]
    assert {row[0]: (int(row[1]), row[2]) for row in rows} == {
        name: (found.blobs[number].size, found.blobs[number].digest)
        for name, number in found.kernels.items()
    }


def test_the_shipped_archive_is_small() -> None:
    """A kernel costs at most 30 bytes, index included."""
    assert len(SHIPPED) <= 30 * len(archive.Archive(SHIPPED).kernels)
