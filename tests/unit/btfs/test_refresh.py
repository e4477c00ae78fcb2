# SPDX-License-Identifier: Apache-2.0
"""Making the archive: what it takes, what it refuses, and that it repeats."""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from threading import Barrier

import pytest

from btfs import corpus as corpora
from btfs import reduce, refresh
from btfs.corpus import Corpus
from tests.support.builders import EXIT, BtfBuilder, Symbol, elf
from tests.support.paths import ROOT
from tests.unit.abi.test_core_relocs import extension
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_compat import essential_name
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.abi.kinds import KIND_PTR, KIND_STRUCT
from tetrapy.btf import packing
from tetrapy.btf.archive import Archive
from tools.errors import BuildError

pytestmark = pytest.mark.slow

OBJECTS = sorted((ROOT / "build/bundle/bpf").glob("*.bpf.o"))


def test_the_committed_archive_comes_out_of_the_corpus_again() -> None:
    """Refreshing gives the committed archive and index, byte for byte."""
    assert OBJECTS, "the BPF objects are not built: make build"
    archive, index = refresh.make(corpora.reduced(), OBJECTS)
    assert index == (ROOT / "btfs/INDEX.tsv").read_text()
    assert archive == (ROOT / "btfs/archive.xz").read_bytes()


def test_full_kernels_have_the_facts_of_the_committed_archive() -> None:
    """A sixteenth of those that are there, of all distributions; else of the reduced ones."""
    directory = corpora.full() if corpora.has_full() else corpora.reduced().path
    sources = packing.shard(packing.find_sources([str(directory)]), 0, 16)
    queries = CoreQueries(path.read_bytes() for path in OBJECTS)
    found = packing.answers_of_all(sources, queries, os.cpu_count() or 1)
    assert not found.failed
    assert found.kernels
    committed = Archive((ROOT / "btfs/archive.xz").read_bytes())
    known = {name: committed.layouts[committed.kernels[name]] for name in found.kernels}
    assert found.kernels == known


def test_one_process_unpacks_for_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who comes while another unpacks waits for it; who comes later finds what it made."""
    monkeypatch.setattr(corpora, "cache_dir", lambda: tmp_path)
    packed = tmp_path / "packed"
    packed.write_bytes(b"all")
    both, made = Barrier(2), []

    def unpack(scratch: Path) -> None:
        made.append(scratch)
        (scratch / "one").write_bytes(packed.read_bytes())

    def unpacked(_: int) -> Path:
        both.wait()
        return corpora._unpacked(packed, unpack)

    with ThreadPoolExecutor(2) as pool:
        first, second = pool.map(unpacked, range(2))
    assert first == second == corpora._unpacked(packed, unpack)
    assert (first / "one").read_bytes() == b"all"
    assert len(made) == 1


def test_the_reduced_corpus_is_small() -> None:
    """Everybody who clones the repository has it."""
    assert corpora.PACKED.stat().st_size < 1_500_000


def test_the_reduced_corpus_has_what_programs_read() -> None:
    """Each structure that the objects ask about is kept whole, so its other members are there."""
    roots = {
        essential_name(question.local.type(question.relocation.type_id).name)
        for question in CoreQueries(path.read_bytes() for path in OBJECTS).questions()
    }
    assert roots <= reduce.STRUCTURES == corpora.reduced().structures


def test_the_reduced_corpus_is_made_of_full_kernels() -> None:
    """Reducing a kernel gives the bytes that are committed, which reduce to themselves."""
    packed = corpora.reduced()
    best = list(corpora.files().items())
    for name, path in [*best[:: len(best) // 3], best[-1]]:
        committed = (packed.path / name).read_bytes()
        assert reduce.reduced(Btf(path.read_bytes())) == committed
        assert reduce.reduced(Btf(committed)) == committed


def unpacked(packed: bytes, path: Path, monkeypatch: pytest.MonkeyPatch) -> Corpus:
    """A reduced corpus as the repository's is read."""
    path.mkdir()
    (path / "corpus.tar.xz").write_bytes(packed)
    monkeypatch.setattr(corpora, "PACKED", path / "corpus.tar.xz")
    monkeypatch.setattr(corpora, "cache_dir", lambda: path)
    return corpora.reduced.__wrapped__()


def test_kernels_are_added_to_the_reduced_corpus(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Others stay; digests are those of the full BTFs, also of what was reduced before."""
    older, newer = "d/1/arm64/6.1", "d/1/arm64/6.2"
    one = corpus_of(tmp_path / "one", {older: ("a",), "other/vendor/4.18.x86_64": ("a",)})
    two = corpus_of(tmp_path / "two", {newer: ("b",)})
    expected = {
        key: sha256((made.path / f"{key}.btf").read_bytes()).hexdigest()
        for key, made in ((older, one), (newer, two))
    }
    first = unpacked(reduce.pack(one.path), tmp_path / "first", monkeypatch)
    both = unpacked(reduce.pack(two.path, first), tmp_path / "both", monkeypatch)
    assert both.digests == expected
    names = {str(path.relative_to(both.path)) for path in both.path.rglob("*.btf")}
    assert names == {f"{older}.btf", f"{newer}.btf", "other/vendor/4.18.x86_64.btf"}
    dropped = unpacked(reduce.pack(two.path), tmp_path / "dropped", monkeypatch)
    assert dropped.digests == {newer: expected[newer]}


def test_a_kernel_that_lacks_a_new_structure_is_not_kept(tmp_path: Path) -> None:
    """It would say of the structure that the kernel has none."""
    old = corpus_of(tmp_path / "old", {"d/1/arm64/6.1": ("a",)})
    new = corpus_of(tmp_path / "new", {"d/1/arm64/6.2": ("a",)})
    kept = old._replace(structures=reduce.STRUCTURES - {"sock"})
    with pytest.raises(BuildError, match=r"1 kernels are not in .* lack sock: .*--drop"):
        reduce.pack(new.path, kept)
    assert reduce.pack(old.path, kept) == reduce.pack(old.path)


def test_a_reduced_kernel_keeps_members_and_names() -> None:
    """Listed structures whole, small ones inside them too, of large ones and pointers the name."""
    b = BtfBuilder()
    word = b.integer("int", 4)
    small = b.composite("small", 8, [("a", word, 0), ("b", word, 32)])
    large = b.composite("large", 400, [("a", word, 0)])
    pointer = b.add(KIND_PTR, ref=large)
    members = [("small", small, 0), ("large", large, 64), ("p", pointer, 3264)]
    b.composite("cred", 416, members)
    b.composite("unrelated", 4, [("a", word, 0)])
    found = Btf(reduce.reduced(Btf(b.build())))
    kept = {t.name: [m.name for m in found.members(t)] for t in found if t.kind == KIND_STRUCT}
    assert kept == {"small": ["a", "b"], "large": [], "cred": ["small", "large", "p"]}
    assert {found.type(t.ref).name for t in found if t.kind == KIND_PTR} == {"large"}
    assert [t.ref for t in found if t.name == "large" and t.kind == KIND_STRUCT] == [400]


def corpus_of(root: Path, kernels: dict[str, tuple[str, ...]]) -> Corpus:
    """A corpus: place -> fields of struct s; `kind` is an enum, all others are integers."""
    for place, fields in kernels.items():
        b = BtfBuilder()
        types = {"kind": b.enum("kind", {"ONE": 1})}
        word = b.integer("int", 4)
        b.composite("s", 12, [(name, types.get(name, word), 0) for name in fields])
        path = root / f"{place}.btf"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b.build())
    return Corpus(root, {}, frozenset())


def object_of(path: Path, *fields: str) -> list[Path]:
    """An object that reads these fields of struct s, all of them declared int."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    s = b.composite("s", 12, [(name, integer, 32 * at) for at, name in enumerate(fields)])
    ext = extension(b, [(at, s, f"0:{at}", 0) for at in range(len(fields))])
    sections = {"prog": EXIT * len(fields), ".BTF": b.build(), ".BTF.ext": ext}
    path.write_bytes(elf(sections, [Symbol("f", "prog", 0, 8 * len(fields))]))
    return [path]


def test_a_relocation_that_resolves_nowhere_is_found(tmp_path: Path) -> None:
    """A field declared int where the kernel has an enum, and one only the other machine has."""
    kernels = {"d/1/x86_64/6.1": ("a", "kind"), "d/1/arm64/6.1": ("a", "arm")}
    corpus = corpus_of(tmp_path, kernels)
    expected = (
        "arm64: offset struct s.kind int; x86_64: offset struct s.arm int;"
        " x86_64: offset struct s.kind int"
    )
    with pytest.raises(BuildError, match=expected):
        refresh.make(corpus, object_of(tmp_path / "o", "a", "kind", "arm"))


def test_a_kernel_without_a_name_answers_too(tmp_path: Path) -> None:
    """A field of old kernels is known by a BTF that does not get into the archive."""
    kernels = {"d/1/x86_64/6.1": ("a",), "other/vendor/4.18.x86_64": ("old",)}
    corpus = corpus_of(tmp_path, kernels)
    packed, index = refresh.make(corpus, object_of(tmp_path / "o", "a", "old"))
    assert Archive(packed).kernels == {"d/1/x86_64/6.1": 0}
    assert index.count("\n") == 2


def test_a_damaged_kernel_is_named(tmp_path: Path) -> None:
    """What is no BTF is an error with the file's name."""
    corpus = corpus_of(tmp_path, {"d/1/x86_64/6.1": ("a",)})
    (corpus.path / "d/1/x86_64/6.2.btf").write_bytes(b"rubbish")
    with pytest.raises(BuildError, match=r"6\.2\.btf: holds no BTF"):
        refresh.make(corpus, object_of(tmp_path / "o", "a"))


def test_a_corpus_without_names_is_refused(tmp_path: Path) -> None:
    """An archive needs kernels that can be found in it."""
    corpus = corpus_of(tmp_path, {"other/vendor/4.18.x86_64": ("a",)})
    with pytest.raises(BuildError, match="holds no ID/VERSION_ID"):
        refresh.make(corpus, object_of(tmp_path / "o", "a"))
