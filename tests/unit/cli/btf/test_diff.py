# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf diff`: what differs between kernels."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support import btf_kernels
from tests.support.btf_kernels import (
    ONE,
    THREE,
    TWO,
    answers,
    archive,
    btf,
    queries,
)
from tetrapy.btf.pack import pack

btf_command, flags = btf_kernels.btf_command, btf_kernels.flags


def test_diff_equal(btf_command, flags: list[str]) -> None:
    """Kernels that share a layout are equal."""
    done = btf_command("diff", ONE, "6.1.0-2-amd64", *flags)
    assert done.code == 0
    assert done.lines[-1] == f"equal in all of {len(answers())} needs"


def test_diff(btf_command, tmp_path: Path) -> None:
    """Each field that differs has a line below its struct, in bytes, or says `absent`."""
    one = list(answers(0, "loginuid"))
    two = list(answers(0, "memory_cgrp_id"))
    at = queries().names.index("offset struct task_struct.pid int")
    one[at], two[at] = 8 * 100, 8 * 108
    path = archive({ONE: tuple(one), TWO: tuple(two)}, tmp_path / "archive.xz")
    done = btf_command("diff", ONE, TWO, "--archive", path, "--dir", tmp_path / "none")
    assert done.code == 1
    assert done.lines[0].startswith(f"A  {ONE}  (layout ")
    rows = [line.split() for line in done.lines]
    assert ["pid", "100", "108"] in rows
    assert ["enum", "cgroup_subsys_id"] in rows
    assert any(row[:1] == ["memory_cgrp_id"] and row[-1] == "absent" for row in rows)
    assert any(row[:2] == ["loginuid.val", "absent"] for row in rows)
    assert done.lines[-1] == "4 differences in 2 types"
    document = json.loads(
        btf_command("diff", ONE, TWO, "--archive", path, "--dir", tmp_path, "--json").out
    )
    assert len(document["differences"]) == 4
    assert (document["a_layout"], document["b_layout"]) == (0, 1)


def test_diff_of_bitfields(btf_command, tmp_path: Path) -> None:
    """An offset in the midst of a byte is reported in bits."""
    at = queries().names.index("offset struct task_struct.pid int")
    two = (*answers()[:at], 803, *answers()[at + 1 :])
    path = archive({ONE: answers(), TWO: two}, tmp_path / "archive.xz")
    done = btf_command("diff", ONE, TWO, "--archive", path, "--dir", tmp_path / "none")
    assert ["pid", str(answers()[at]), "803", "bits"] in [line.split() for line in done.lines]


@pytest.mark.slow
def test_diff_takes_files_and_local_kernels(btf_command, flags: list[str], tmp_path: Path) -> None:
    """A file and a kernel of the local store can be compared with one of the archive."""
    path = tmp_path / "kernel"
    path.write_bytes(btf(1))
    assert btf_command("diff", THREE, path, *flags).code == 0
    assert btf_command("diff", "5.15.0-own", path, *flags).code == 1


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("amd64", "is no kernel"),
        ("6.9.9-amd64", "tetrapy btf list"),
        ("same", "may be any of"),
        ("damaged", "holds no BTF"),
    ],
)
def test_diff_trouble(btf_command, tmp_path: Path, monkeypatch, name: str, said: str) -> None:
    """A name that is none, or more than one, is trouble, 2."""
    kernels = {"a/1/x86_64/same": answers(), "b/1/x86_64/same": answers(1), ONE: answers()}
    path = archive(kernels, tmp_path / "archive.xz")
    monkeypatch.chdir(tmp_path)
    Path("damaged").write_text("damaged")
    done = btf_command("diff", ONE, name, "--archive", path, "--dir", tmp_path / "none")
    assert (done.code, done.out) == (2, "")
    assert said in done.err


@pytest.mark.slow
def test_diff_with_an_archive_for_other_objects(btf_command, tmp_path: Path) -> None:
    """An archive that answers other queries is not compared with a file."""
    path, file = tmp_path / "archive.xz", tmp_path / "kernel"
    path.write_bytes(pack({ONE: answers()[1:]}, queries().names[1:]))
    file.write_bytes(btf())
    done = btf_command("diff", ONE, file, "--archive", path, "--dir", tmp_path / "none")
    assert done.code == 2
    assert "other BPF objects" in done.err


def test_texts_of_an_archive_are_escaped(btf_command, tmp_path: Path) -> None:
    """The queries of an archive do not move the cursor of the terminal."""
    path = tmp_path / "archive.xz"
    path.write_bytes(pack({ONE: (8,), TWO: (16,)}, ["offset struct a\x1b.b\x1b int"]))
    done = btf_command("diff", ONE, TWO, "--archive", path, "--dir", tmp_path / "none")
    assert done.code == 1
    assert "\x1b" not in done.out
    done = btf_command("diff", ONE, "\x1b", "--archive", path, "--dir", tmp_path / "none")
    assert "\x1b" not in done.err
