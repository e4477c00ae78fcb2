# SPDX-License-Identifier: Apache-2.0
"""Two builds from two checkouts give the same bytes, of tetrapy.pyz and of the executable."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import stat
import subprocess
import sys
import zipfile
from pathlib import Path

from tests.pyz.test_executable import ARCH, EXECUTABLE, whole
from tools.fetch import cache_dir

ROOT = Path(__file__).resolve().parents[2]
PYZ = ROOT / "dist" / "tetrapy.pyz"
LIMIT = 8 * 1024 * 1024
EXECUTABLE_BUILD = (("-m", "tools.interpreter", ARCH), EXECUTABLE.name)


def checkout(directory: Path, age: int) -> Path:
    """A copy of the tracked and the new files, `age` seconds old, without any build output."""
    command = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    listed = subprocess.run(command, check=True, cwd=ROOT, capture_output=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        source = ROOT / name
        if source.is_file():
            target = directory / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(source, target)
            os.utime(target, (10**9 - age, 10**9 - age))
    return directory


def build(
    directory: Path,
    umask: int,
    seed: str,
    cache: str | None = None,
    command: tuple[str, ...] = ("build_zipapp.py",),
    output: str = PYZ.name,
) -> bytes:
    """The packed file that a checkout gives, built under another umask and hash seed."""
    environment = {**os.environ, "PYTHONHASHSEED": seed, "PYTHONDONTWRITEBYTECODE": "1"}
    environment["TZ"] = f"UTC{seed}"
    if cache is not None:
        environment["TETRAPY_CACHE"] = cache
    done = subprocess.run(
        [sys.executable, *command],
        check=False,
        cwd=directory,
        env=environment,
        umask=umask,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return (directory / "dist" / output).read_bytes()


def assert_same(first: bytes, second: bytes, scratch: Path) -> None:
    """Name the members that differ before comparing the whole."""
    archives = []
    for name, data in (("first", first), ("second", second)):
        (scratch / name).write_bytes(data)
        with zipfile.ZipFile(scratch / name) as archive:
            archives.append({info.filename: archive.read(info) for info in archive.infolist()})
    one, other = archives
    assert sorted(one) == sorted(other)
    assert [name for name in one if one[name] != other[name]] == []
    assert first == second


def test_two_checkouts_give_the_same_bytes(tmp_path: Path):
    """Directory, dates, umask, hash seed and time zone do not reach the file."""
    shallow = checkout(tmp_path / "a", age=0)
    deep = checkout(tmp_path / "b" / "another" / "much deeper place", age=86_400)
    first = build(shallow, 0o022, "1")
    # Without the compiled objects of the first build: they are keyed by content, not by place.
    own = tmp_path / "cache"
    _share_cache(own)
    second = build(deep, 0o077, "2", str(own))
    assert_same(first, second, tmp_path)


def test_an_executable_is_linked_to_the_same_bytes(tmp_path: Path):
    """Nor do they, or the place of the cache, reach the executable; objects are compiled once."""
    data = whole()
    tree = checkout(tmp_path / "another" / "much deeper place", age=86_400)
    (tree / "dist").mkdir()
    shutil.copy(PYZ, tree / "dist")
    own = tmp_path / "cache"
    _share_cache(own, "interpreter-objects*", "runtime*")
    again = build(tree, 0o077, "2", str(own), *EXECUTABLE_BUILD)
    assert hashlib.sha256(again).hexdigest() == hashlib.sha256(data).hexdigest()


def _share_cache(own: Path, *built: str) -> None:
    """A cache with the downloads, the compiler and libraries of this user's, but no BPF objects."""
    own.mkdir()
    (own / "built").mkdir()
    shared = [found for name in ("lib*", *built) for found in cache_dir().glob(f"built/{name}")]
    for entry in [cache_dir() / "downloads", cache_dir() / "zig", *shared]:
        (own / entry.relative_to(cache_dir())).symlink_to(entry)


# Downloads and compiles everything again, which takes some minutes.
if os.environ.get("TETRAPY_FULL_BUILD") == "1":

    def test_empty_cache_gives_the_same_bytes(tmp_path: Path):
        """Downloading and compiling everything anew changes nothing."""
        tree, cache = checkout(tmp_path / "tree", age=0), str(tmp_path / "cache")
        again = build(tree, 0o022, "3", cache)
        assert_same(build(tree, 0o022, "0"), again, tmp_path)
        again = build(tree, 0o022, "3", cache, *EXECUTABLE_BUILD)
        assert hashlib.sha256(again).digest() == hashlib.sha256(whole()).digest()


def test_file_is_what_users_expect():
    """It is executable, starts Python alone, is small, and has sources for what is compiled."""
    assert PYZ.stat().st_mode & stat.S_IXOTH
    assert PYZ.read_bytes().startswith(b'#!/bin/sh\nexec python3 -IS "$0" "$@"\n')
    assert PYZ.stat().st_size <= LIMIT
    with zipfile.ZipFile(PYZ) as archive:
        assert archive.testzip() is None
        compiled = [name for name in archive.namelist() if name.endswith(".pyc")]
        assert {name[:-1] for name in compiled} <= set(archive.namelist())
        magic = {archive.read(name)[:8] for name in compiled}
        assert magic == {importlib.util.MAGIC_NUMBER + b"\1\0\0\0"}  # unchecked hash, PEP 552
        outside = (str(ROOT).encode(), str(cache_dir()).encode())
        for name in archive.namelist():
            assert not any(path in archive.read(name) for path in outside), name
