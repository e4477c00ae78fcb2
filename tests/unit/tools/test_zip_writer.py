# SPDX-License-Identifier: Apache-2.0
"""The packed file's bytes follow from its members alone, and Python reads it."""

from __future__ import annotations

import io
import os
import random
import stat
import subprocess
import sys
import zipfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tools.errors import BuildError
from tools.zip_writer import packed_size, replace_file, zip_bytes

NAMES = st.from_regex(r"[a-zä_][a-z0-9_]{0,8}(/[a-z_][a-z0-9_.]{0,8}){0,3}\.py", fullmatch=True)
MEMBERS = st.dictionaries(NAMES, st.binary(max_size=300), max_size=8)


@pytest.mark.slow
@given(MEMBERS, st.randoms(use_true_random=False))
def test_order_of_members_does_not_matter(members: dict[str, bytes], rng: random.Random):
    """The same members in another order give the same bytes."""
    shuffled = list(members.items())
    rng.shuffle(shuffled)
    assert zip_bytes(members, "#!x") == zip_bytes(dict(shuffled), "#!x")


@pytest.mark.slow
@given(MEMBERS)
def test_members_come_back(members: dict[str, bytes]):
    """Every member is found again, in sorted order, with the fixed date and mode."""
    with zipfile.ZipFile(io.BytesIO(zip_bytes(members, "#!/usr/bin/env python3"))) as archive:
        infos = archive.infolist()
        assert [info.filename for info in infos] == sorted(members)
        assert {name: archive.read(name) for name in members} == members
    for info in infos:
        assert info.date_time == (1980, 1, 1, 0, 0, 0)
        assert info.external_attr >> 16 == stat.S_IFREG | 0o644
        assert info.compress_size == packed_size(members[info.filename])


def test_what_does_not_shrink_is_stored():
    """Random bytes are stored, text is deflated."""
    members = {"noise": random.Random(1).randbytes(4096), "text": b"a" * 4096}
    with zipfile.ZipFile(io.BytesIO(zip_bytes(members))) as archive:
        assert archive.getinfo("noise").compress_type == zipfile.ZIP_STORED
        assert archive.getinfo("text").compress_type == zipfile.ZIP_DEFLATED


@pytest.mark.parametrize("name", ["", "/etc/passwd", "a//b", "../up", "a/./b", "a/"])
def test_names_stay_inside(name: str):
    """A name that leads elsewhere, or is a directory, is refused."""
    with pytest.raises(BuildError, match="no name"):
        zip_bytes({name: b""})


def test_python_runs_it_by_its_first_line(tmp_path):
    """The written file is executable by its first line, and modules inside import each other."""
    members = {"__main__.py": b"import pkg.one", "pkg/__init__.py": b"", "pkg/one.py": b"print(1)"}
    path = tmp_path / "run.pyz"
    replace_file(path, zip_bytes(members, f"#!{sys.executable}"), 0o755)
    assert subprocess.run([path], check=True, capture_output=True).stdout == b"1\n"


def test_file_is_replaced_as_a_whole(tmp_path):
    """Who has the old file open keeps it; the directory holds the new one alone, umask or not."""
    path = tmp_path / "out" / "file"
    old_mask = os.umask(0o077)
    try:
        replace_file(path, b"old", 0o644)
        with path.open("rb") as still_open:
            replace_file(path, b"new", 0o755)
            assert still_open.read() == b"old"
    finally:
        os.umask(old_mask)
    assert [path] == list(path.parent.iterdir())
    assert stat.S_IMODE(path.stat().st_mode) == 0o755
    assert path.read_bytes() == b"new"
