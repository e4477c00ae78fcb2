# SPDX-License-Identifier: Apache-2.0
"""Reading the files of the bundle, packed and unpacked."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest

from tetrapy.errors import BundleError
from tetrapy.kernel import bundle
from tools.bundle import STAGED
from tools.xz_writer import packed
from tools.zip_writer import zip_bytes

AGENT = Path(bundle.__file__).parents[2]


def test_sources_read_what_the_build_staged(monkeypatch, tmp_path):
    """Unpacked, a name is a file below a link beside the module, to where the build stages it."""
    assert os.readlink(AGENT / "tetrapy/kernel/data") == "../../../build/bundle"
    assert (AGENT / "tetrapy/kernel/data").resolve(strict=False) == STAGED
    (tmp_path / "data/bpf").mkdir(parents=True)
    (tmp_path / "data/bpf/x.o").write_bytes(b"\x7fELF")
    monkeypatch.setattr(bundle, "_files", lambda _: tmp_path)
    assert bundle.read("bpf/x.o") == b"\x7fELF"


def test_absent_file_tells_name_and_remedy():
    """A name that the build does not stage is a BundleError with the name and the command."""
    with pytest.raises(BundleError, match=r"carries no no/such; .*build_zipapp\.py"):
        bundle.read("no/such")


def test_what_the_build_has_packed(monkeypatch, tmp_path):
    """It is read by its own name; a Python without lzma is named as the cause."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.o.xz").write_bytes(packed(b"\x7fELF" * 1000))
    monkeypatch.setattr(bundle, "_files", lambda _: tmp_path)
    assert bundle.read_packed("x.o") == b"\x7fELF" * 1000
    with pytest.raises(BundleError, match="this tetrapy carries no y"):
        bundle.read_packed("y.o")
    monkeypatch.setitem(sys.modules, "lzma", None)
    with pytest.raises(BundleError, match=r"this Python cannot unpack x\.o: it has no lzma"):
        bundle.read_packed("x.o")


def test_a_member_of_an_archive(monkeypatch, tmp_path):
    """Found behind others, of any size; what is not there is named, and so is a missing lzma."""
    sizes = {"a.so": 0, "b.so": 1, "c.so": 512, "d.so": 1300, "e.so": 7}
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, size in sizes.items():
            member = tarfile.TarInfo(name)
            member.size = size
            archive.addfile(member, io.BytesIO(name[:1].encode() * size))
    (tmp_path / "data").mkdir()
    (tmp_path / "data/x.tar.xz").write_bytes(packed(plain.getvalue()))
    monkeypatch.setattr(bundle, "_files", lambda _: tmp_path)
    for name, size in sizes.items():
        assert bundle.read_member("x.tar.xz", name) == name[:1].encode() * size
    with pytest.raises(BundleError, match=r"carries no f\.so in x\.tar\.xz"):
        bundle.read_member("x.tar.xz", "f.so")
    with pytest.raises(BundleError, match=r"carries no y\.tar\.xz"):
        bundle.read_member("y.tar.xz", "a.so")
    monkeypatch.setitem(sys.modules, "lzma", None)
    with pytest.raises(BundleError, match=r"this Python cannot unpack a\.so: it has no lzma"):
        bundle.read_member("x.tar.xz", "a.so")


def run_packed(tmp_path: Path, main: str) -> str:
    """Run `main` in a zip file with the bundle's reader and one file."""
    members = {}
    for name in (
        "__init__.py",
        "errors.py",
        "resources.py",
        "kernel/__init__.py",
        "kernel/bundle.py",
    ):
        members[f"tetrapy/{name}"] = (AGENT / "tetrapy" / name).read_bytes()
    members["tetrapy/kernel/data/btfs/archive.xz"] = bytes(range(256)) * 16
    members["__main__.py"] = main.encode()
    path = tmp_path / "packed.pyz"
    path.write_bytes(zip_bytes(members))
    assert zipfile.ZipFile(path).testzip() is None
    command = [sys.executable, "-I", str(path)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_packed_file_reads_resources(tmp_path):
    """Packed, a name lies beside the module that reads it."""
    main = """
from tetrapy.kernel import bundle
print(bundle.read("btfs/archive.xz") == bytes(range(256)) * 16)
"""
    assert run_packed(tmp_path, main) == "True\n"


def test_packed_file_tells_what_it_lacks(tmp_path):
    """A name that was not packed is a BundleError naming it."""
    main = """
from tetrapy.errors import BundleError
from tetrapy.kernel import bundle
try:
    bundle.read("bpf/none.o")
except BundleError as err:
    print(err)
"""
    assert "carries no bpf/none.o" in run_packed(tmp_path, main)


def test_resources_of_the_entry(tmp_path):
    """The reader of agent/__main__.py shows what importlib.resources' own shows."""
    main = """
import sys, zipimport
from importlib.resources import files
from tetrapy.resources import Reader
def shown(place):
    if place.is_file():
        return place.name, place.read_bytes(), place.open("rb").read()
    return place.name, place.is_dir(), sorted(map(shown, place.iterdir()))
archive = zipimport.zipimporter(sys.path[0])
ours = Reader(archive, "tetrapy/kernel").files()
theirs = files("tetrapy.kernel")
assert shown(ours) == shown(theirs), (shown(ours), shown(theirs))
assert (ours / "data" / "btfs" / "archive.xz").is_file()
assert not ours.joinpath("data", "none").is_dir() and not (ours / "data").is_file()
assert ours.joinpath("__init__.py").read_text() == ours.joinpath("__init__.py").open().read()
print("equal")
"""
    assert run_packed(tmp_path, main) == "equal\n"
