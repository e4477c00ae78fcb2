# SPDX-License-Identifier: Apache-2.0
"""Pinned downloads, the cache of built files, and the check of a finished library."""

from __future__ import annotations

import hashlib
import re
import struct
import sys
from pathlib import Path

import pytest

from tools import artifacts, contents, elf_check, fetch, shared_library, wheels
from tools.errors import BuildError

GOOD = b"the right bytes"
DIGEST = hashlib.sha256(GOOD).hexdigest()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path) -> Path:
    """An empty cache directory of the test's own."""
    monkeypatch.setenv("TETRAPY_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_download_is_kept_and_checked_at_each_use():
    """A cached file is not fetched twice, unless its bytes have changed since."""
    calls = []

    def download(path: Path) -> None:
        calls.append(path)
        path.write_bytes(GOOD)

    path = fetch.pinned("x.tar", DIGEST, download)
    assert fetch.pinned("x.tar", DIGEST, download) == path
    assert len(calls) == 1
    path.write_bytes(b"the wrong bytes")
    assert fetch.pinned("x.tar", DIGEST, download).read_bytes() == GOOD
    assert len(calls) == 2


def test_download_with_other_bytes_is_refused(cache: Path):
    """Bytes that the lock does not name are reported with both digests, and are not kept."""
    with pytest.raises(BuildError, match=f"{DIGEST}, downloaded: [0-9a-f]{{64}}"):
        fetch.pinned("x.tar", DIGEST, lambda path: path.write_bytes(b"forged"))
    assert [p for p in cache.rglob("*") if p.is_file()] == []


def test_built_files_are_kept_and_checked_at_each_use():
    """An entry is made once, made again when one of its files changed, and keyed by its digest."""
    calls = []

    def make(out: Path) -> None:
        calls.append(out)
        (out / "lib.so").write_bytes(GOOD)

    home = artifacts.built("lib", "0" * 64, make)
    assert artifacts.built("lib", "0" * 64, make) == home
    assert len(calls) == 1
    (home / "lib.so").write_bytes(b"damaged")
    assert (artifacts.built("lib", "0" * 64, make) / "lib.so").read_bytes() == GOOD
    assert artifacts.built("lib", "1" * 64, make) != home
    assert len(calls) == 3


def test_failed_build_leaves_no_entry(cache: Path):
    """What a failed recipe left behind is not taken for a result."""

    def fail(out: Path) -> None:
        (out / "half").write_bytes(b"")
        raise BuildError("no compiler")

    with pytest.raises(BuildError):
        artifacts.built("lib", "0" * 64, fail)
    assert list((cache / "built").iterdir()) == []


def test_digest_keeps_ingredients_apart():
    """Moving bytes from one ingredient to the next gives another key."""
    assert artifacts.digest(["ab", "c"]) != artifacts.digest(["a", "bc"])
    assert artifacts.digest(["ab"]) == artifacts.digest([b"ab"])


def test_every_pin_is_a_digest():
    """Each wheel and each source archive is pinned by a whole SHA-256."""
    projects = ["ziglang", *contents.PURE_PACKAGES, *contents.NATIVE_PACKAGES]
    digests = [wheel.sha256 for project in projects for wheel in wheels.locked(project)]
    for pin in fetch.source_pins().values():
        digests += [pin["sha256"], pin.get("upstream_sha256", pin["sha256"])]
    assert all(re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)


def elf(machine: int, libraries: list[str], versions: list[str]) -> bytes:
    """A shared library of nothing but a dynamic section: NEEDED entries and version needs."""
    strings = b"\0"
    offsets = {}
    for text in [*libraries, *versions]:
        offsets[text] = len(strings)
        strings += text.encode() + b"\0"
    dynamic_at = 64 + 2 * 56
    dynamic_size = 16 * (len(libraries) + 4)
    strings_at = dynamic_at + dynamic_size
    needs_at = strings_at + len(strings)
    queries = struct.pack("<HHIII", 1, len(versions), 0, 16, 0)
    for i, version in enumerate(versions):
        step = 16 if i + 1 < len(versions) else 0
        queries += struct.pack("<IHHII", 0, 0, 2, offsets[version], step)
    entries = [(1, offsets[name]) for name in libraries]
    entries += [(5, strings_at), (0x6FFFFFFE, needs_at), (0x6FFFFFFF, 1), (0, 0)]
    dynamic = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    size = needs_at + len(queries)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 3, machine, 1, 0, 64, 0, 0, 64, 56, 2, 64, 0, 0)
    load = struct.pack("<IIQQQQQQ", 1, 4, 0, 0, 0, size, size, 4096)
    pointer = struct.pack(
        "<IIQQQQQQ", 2, 4, dynamic_at, dynamic_at, dynamic_at, dynamic_size, dynamic_size, 8
    )
    return header + load + pointer + dynamic + strings + queries


def test_library_within_its_limits_passes():
    """Needing libc alone at glibc 2.17 or older is what the check wants."""
    image = elf(62, ["libc.so.6"], ["GLIBC_2.2.5", "GLIBC_2.17", "GLIBC_2.3"])
    shared_library.check("x.so", image, "x86_64")
    assert elf_check.queries(image).newest_glibc() == (2, 17)


@pytest.mark.parametrize("at", [0, 1])
def test_a_library_is_not_needed_any_more(at: int):
    """glibc's dynamic linker, which musl does not know by that name; all else stays."""
    names = ["libc.so.6"]
    names.insert(at, "ld-linux-x86-64.so.2")
    image = elf(62, names, ["GLIBC_2.2.5", "GLIBC_2.3"])
    with pytest.raises(BuildError, match="needs ld-linux"):
        shared_library.check("x.so", image, "x86_64")
    changed = elf_check.without(image, "ld-linux-x86-64.so.2")
    assert len(changed) == len(image)
    found = elf_check.queries(changed)
    assert found.libraries == {"libc.so.6"}
    assert found.versions == elf_check.queries(image).versions
    assert elf_check.without(changed, "ld-linux-x86-64.so.2") == changed


@pytest.mark.parametrize(
    ("image", "complaint"),
    [
        (elf(62, ["libc.so.6"], ["GLIBC_2.2.5", "GLIBC_2.18"]), "needs glibc 2.18"),
        (elf(62, ["libc.so.6", "libelf.so.1"], ["GLIBC_2.17"]), "needs libelf.so.1"),
        (elf(62, ["libc.so.6"], ["GLIBC_PRIVATE"]), "private glibc"),
        (elf(183, ["libc.so.6"], ["GLIBC_2.17"]), "is for aarch64"),
        (b"#!/bin/sh", "not a 64-bit"),
    ],
    ids=["newer", "library", "private", "machine", "script"],
)
def test_library_beyond_its_limits_is_refused(image: bytes, complaint: str):
    """A newer symbol, another library or another machine fails the build by name."""
    with pytest.raises(BuildError, match=complaint):
        shared_library.check("x.so", image, "x86_64")


def test_missing_pip_tells_the_command(monkeypatch):
    """Without pip and without venv the error is the one command that installs them."""
    wheels.pip.cache_clear()
    monkeypatch.setattr(wheels, "_works", lambda python: False)
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(BuildError, match="sudo apt-get install python3-venv"):
        wheels.pip()


def test_mirror_comes_from_apt(monkeypatch, tmp_path):
    """The archive that apt is configured for is used, the security archive only after it."""
    apt = tmp_path / "apt-get"
    lines = ["http://m.example/debian-security/ main", "http://m.example/debian/ main"]
    lines += ["http://other.example/apt/ main", "http://m.example/debian/ contrib"]
    apt.write_text(f"#!{sys.executable}\nprint({chr(10).join(lines)!r})\n")
    apt.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    expected = ["http://m.example/debian/", "http://m.example/debian-security/"]
    assert fetch.debian_mirrors() == expected
