# SPDX-License-Identifier: Apache-2.0
"""The archive of known kernels: format, look-up, damage."""

from __future__ import annotations

import lzma

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import ROOT
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf import archive, pack
from tetrapy.errors import ArchiveError

pytestmark = pytest.mark.slow

SHIPPED = (ROOT / "btfs/archive.xz").read_bytes()
OBJECTS = sorted((ROOT / "build/bundle/bpf").glob("*.bpf.o"))
QUERIES = ("offset struct a.b int", "type_size struct a")
KERNELS: dict[str, Answers] = {
    "debian/12/x86_64/6.1.0-9-amd64": (0, 8),
    "debian/12/x86_64/6.1.0-10-amd64": (32, 8),
    "debian/12/arm64/6.1.0-10-arm64": (0, 8),
    "debian//x86_64/7.0-amd64": (None, (1 << 64) - 1),
}
PACKED = pack.pack(KERNELS, QUERIES)


def known(found: archive.Archive) -> dict[str, Answers]:
    """Kernel -> answers."""
    return {name: found.layouts[number] for name, number in found.kernels.items()}


def test_what_is_packed_is_found() -> None:
    """Each kernel has its answers; kernels with equal answers share a layout."""
    found = archive.Archive(PACKED)
    assert found.queries == QUERIES
    assert known(found) == KERNELS
    assert len(found.layouts) == 3
    assert found.find("debian/12/x86_64/6.1.0-9-amd64") == found.find(
        "debian/12/arm64/6.1.0-10-arm64"
    )
    assert found.find("debian/12/x86_64/6.1.0-11-amd64") is None


def test_equal_input_gives_equal_bytes() -> None:
    """The order in which kernels are given does not matter."""
    assert pack.pack(dict(reversed(KERNELS.items())), QUERIES) == PACKED


def test_a_release_is_found_in_any_distribution() -> None:
    """Names and layouts of all kernels of an architecture and release, and of no other."""
    found = archive.Archive(PACKED)
    name = "debian/12/x86_64/6.1.0-9-amd64"
    assert found.find_release("x86_64", "6.1.0-9-amd64") == [(name, found.kernels[name])]
    assert found.find_release("x86_64", "9-amd64") == []


def test_layouts_by_architecture() -> None:
    """A layout belongs to each architecture that has a kernel of it."""
    found = archive.Archive(PACKED)
    assert {arch: set(answers) for arch, answers in found.by_arch().items()} == {
        "arm64": {(0, 8)},
        "x86_64": {(0, 8), (32, 8), (None, (1 << 64) - 1)},
    }


def test_a_need_without_an_answer_is_named_for_its_architecture() -> None:
    """A field that no kernel of an architecture has is misspelt, or of another kind."""
    kernels = {"x86_64": [(0, None), (None, None)], "arm64": [(None, 8)]}
    assert archive.unanswered(QUERIES, kernels) == [
        f"arm64: {QUERIES[0]}",
        f"x86_64: {QUERIES[1]}",
    ]


@pytest.mark.parametrize("name", ["a/b/c", "a/b/c/d/e", "a/b/c/d e", "a/b/c/d\n"])
def test_a_name_that_is_no_kernels_is_refused(name: str) -> None:
    """Names are ID/VERSION_ID/arch/release, without white space."""
    with pytest.raises(ArchiveError, match="is no kernel's name"):
        pack.pack({name: (0, 0)}, QUERIES)


def test_facts_of_other_needs_are_refused() -> None:
    """There are as many answers as queries."""
    with pytest.raises(ArchiveError, match=r"a/b/c/d: 1 answers to 2 queries"):
        pack.pack({"a/b/c/d": (0,)}, QUERIES)


def repacked(text: str) -> bytes:
    """An archive with this text."""
    return lzma.compress(text.encode("latin-1"))


GOOD = "tetrapy-btf 2\nneed x\n"


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "is empty"),
        (b"rubbish", "no xz file"),
        (PACKED[:-1], "cut short"),
        (PACKED + b"x", "other bytes follow"),
        (repacked("tetrapy-btf 1\n"), "starts with 'tetrapy-btf 1'"),
        (repacked(GOOD + "layout 1"), "does not end with a whole line"),
        (repacked(GOOD + "layout 1 2\n"), "a layout of 2 answers to 1 queries"),
        (repacked(GOOD + "layout x\n"), "damaged"),
        (repacked(GOOD + "kernel 0 a/b/c/d\n"), "line 'kernel 0 a/b/c/d'"),
        (repacked(GOOD + "layout 1\nkernel 1 a/b/c/d\n"), "line 'kernel 1 a/b/c/d'"),
        (repacked(GOOD + "layout 1\nkernel -1 a/b/c/d\n"), "line 'kernel -1 a/b/c/d'"),
        (repacked(GOOD + "layout 1\nkernel 0 a/b/c\n"), "line 'kernel 0 a/b/c'"),
        (repacked(GOOD + "layout 1\nneed y\n"), "line 'need y'"),
        (repacked(GOOD + "layout 1\nkernel 0 a/b/c/d\nlayout 2\n"), "line 'layout 2'"),
        (repacked(GOOD + "other 0 x\n"), "line 'other 0 x'"),
        (repacked(GOOD + "\xff\n"), "damaged"),
    ],
)
def test_damage_is_an_archive_error(data: bytes, text: str) -> None:
    """What is no archive, of another version, cut short or inconsistent says so."""
    with pytest.raises(ArchiveError, match=text):
        archive.Archive(data)


@given(st.integers(0, len(PACKED) - 1), st.integers(0, 7))
def test_no_flipped_bit_is_believed(place: int, bit: int) -> None:
    """An archive with any bit changed is refused, or still gives every kernel's right answers."""
    data = bytearray(PACKED)
    data[place] ^= 1 << bit
    try:
        assert known(archive.Archive(bytes(data))) == KERNELS
    except ArchiveError:
        pass


@given(st.text())
def test_any_text_is_an_archive_or_an_error(text: str) -> None:
    """Whatever the stream holds, the reader raises nothing but ArchiveError."""
    try:
        archive.Archive(lzma.compress(f"tetrapy-btf 2\n{text}\n".encode("utf-8", "replace")))
    except ArchiveError:
        pass


def test_a_bomb_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive that unpacks to more than the limit ends there."""
    monkeypatch.setattr(archive, "MAX_UNPACKED", 1 << 20)
    with pytest.raises(ArchiveError, match="holds more than 1 MiB"):
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
    """What the relocations ask for ties archive and objects together."""
    queries = CoreQueries([path.read_bytes() for path in OBJECTS])
    archive.check_queries(archive.Archive(SHIPPED), queries)
    for other in (queries.names[1:], (*queries.names, "offset struct a.b int")):
        answers = (0,) * len(other)
        with pytest.raises(ArchiveError, match="made for other BPF objects"):
            archive.check_queries(archive.Archive(pack.pack({"a/b/c/d": answers}, other)), queries)


def test_every_layout_of_the_shipped_archive_makes_btf() -> None:
    """Both architectures are there, and the BTF of each layout has just its answers."""
    found = archive.Archive(SHIPPED)
    assert set(found.by_arch()) == {"x86_64", "arm64"}
    queries = CoreQueries([path.read_bytes() for path in OBJECTS])
    for answers in found.layouts:
        assert queries.answers(Btf(minimal_btf(queries, answers))) == answers


def test_the_shipped_index_lists_the_shipped_archive() -> None:
    """btfs/INDEX.tsv says what is in btfs/archive.xz."""
    found = archive.Archive(SHIPPED)
    rows = [line.split("\t") for line in (ROOT / "btfs/INDEX.tsv").read_text().splitlines()[1:]]
    assert {row[0]: int(row[1]) for row in rows} == found.kernels


def test_the_shipped_archive_is_small() -> None:
    """A kernel costs at most 30 bytes, index included."""
    assert len(SHIPPED) <= 30 * len(archive.Archive(SHIPPED).kernels)
