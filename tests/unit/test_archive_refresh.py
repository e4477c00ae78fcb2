"""Making the archive: what it takes, what it refuses, and that it repeats."""

from __future__ import annotations

from pathlib import Path

import pytest

from btfs import refresh
from tests.unit.builders import EXIT, BtfBuilder, Symbol, elf
from tests.unit.test_abi_core_relocs import extension
from tetrapy.abi import core_relocs, core_resolve
from tetrapy.abi.btf import Btf
from tetrapy.btf.archive import Archive
from tools.errors import BuildError

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = ROOT / "build/bundle/bpf"
# A type's number is the image's own.
_ANSWERS_WITH_IDS = {"type_id_local", "type_id_target", "type_exists", "type_matches"}
KERNEL = refresh.Kernel("debian/12/x86_64/6.1.0-9-amd64", "x86_64", Path("kernel.btf"))


def inputs() -> tuple[Path, list[Path]]:
    """The shared corpus and the built objects; skips where one of them is missing."""
    if not (refresh.SHARED / "corpus.btfhash.zst").is_file():
        pytest.skip("the corpus of kernels, ../shared/btf, is not here")
    objects = sorted(OBJECTS.glob("*.bpf.o"))
    if not objects:
        pytest.skip("the BPF objects are not built: make build")
    return refresh.shared_corpus(), objects


def test_the_committed_archive_comes_out_of_the_corpus_again() -> None:
    """Refreshing from the corpus gives the committed archive and index, byte for byte."""
    corpus, objects = inputs()
    try:
        version = refresh.bpftool_version()
    except BuildError:
        pytest.skip("bpftool is not installed")
    listing = (ROOT / "btfs/INDEX.tsv").read_text()
    if not listing.startswith(f"# bpftool {version}\n"):
        pytest.skip(f"the archive was made by another bpftool than {version}")
    archive, index = refresh.make(corpus, objects, refresh.shared_digests())
    assert index == listing
    assert archive == (ROOT / "btfs/archive.xz").read_bytes()


def test_the_archive_answers_as_the_full_btf_does() -> None:
    """On every twelfth kernel, each relocation finds in the archive what the full BTF has."""
    corpus, objects = inputs()
    archive = Archive((ROOT / "btfs/archive.xz").read_bytes())
    parsed = [core_relocs.of_object(path.read_bytes()) for path in objects]
    for name in sorted(archive.kernels)[::12]:
        small = archive.find(name)
        assert small is not None
        whole, part = Btf((corpus / f"{name}.btf").read_bytes()), Btf(small)
        for local, relocations in parsed:
            for found in relocations:
                if core_relocs.KINDS[found.kind] in _ANSWERS_WITH_IDS:
                    continue
                expected = core_resolve.find(local, found, whole)
                answer = core_resolve.find(local, found, part)
                assert answer == expected, f"{name}: {core_relocs.describe(local, found)}"


def test_kernels_are_named_by_their_place(tmp_path: Path) -> None:
    """ID/VERSION_ID/arch/<uname -r>.btf has a key; BTFs elsewhere have an architecture only."""
    for place in (
        "debian/12/x86_64/6.1.0-9-amd64.btf",
        "debian/12/aarch64/6.1.0-9-arm64.btf",
        "other/android/a12-5.10-arm64.btf",
        "other/vendor/1/x86_64/4.19.btf",
        "debian/12/x86_64/6.1.0-9-amd64.txt",
    ):
        path = tmp_path / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"")
    assert {(kernel.name, kernel.arch) for kernel in refresh.kernels(tmp_path)} == {
        ("debian/12/x86_64/6.1.0-9-amd64", "x86_64"),
        ("debian/12/arm64/6.1.0-9-arm64", "arm64"),
        ("", "arm64"),
        ("", "x86_64"),
    }
    with pytest.raises(BuildError, match="holds no ID/VERSION_ID"):
        refresh.kernels(tmp_path / "other/android/nothing")


def test_a_relocation_that_resolves_nowhere_is_found() -> None:
    """A field declared int where the kernel has an enum, and one only the other machine has."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    s = b.composite("s", 12, [("a", integer, 0), ("kind", integer, 32), ("arm", integer, 64)])
    ext = extension(b, [(0, s, "0:0", 0), (1, s, "0:1", 0), (2, s, "0:2", 0)])
    image = elf(
        {"prog": EXIT * 3, ".BTF": b.build(), ".BTF.ext": ext}, [Symbol("f", "prog", 0, 24)]
    )

    def kernel(arch: str, *fields: str) -> refresh.Minimized:
        t = BtfBuilder()
        types = {"kind": t.enum("kind", {"ONE": 1})}
        word = t.integer("int", 4)
        t.composite("s", 12, [(name, types.get(name, word), 0) for name in fields])
        return refresh.Minimized(KERNEL._replace(arch=arch), t.build(), "")

    known = [kernel("x86_64", "a"), kernel("x86_64", "kind"), kernel("arm64", "a", "arm")]
    assert refresh.unresolved(known, [image]) == [
        "arm64: field_byte_offset struct s.kind int",
        "x86_64: field_byte_offset struct s.arm int",
        "x86_64: field_byte_offset struct s.kind int",
    ]


def test_a_damaged_kernel_is_named(tmp_path: Path) -> None:
    """What bpftool cannot read is an error with the file's name."""
    try:
        refresh.bpftool()
    except BuildError:
        pytest.skip("bpftool is not installed")
    path = tmp_path / "damaged.btf"
    path.write_bytes(b"rubbish")
    with pytest.raises(BuildError, match=r"damaged\.btf: bpftool: "):
        refresh.minimize(KERNEL._replace(path=path), [Path(__file__).parent / "data/sample.bpf.o"])
