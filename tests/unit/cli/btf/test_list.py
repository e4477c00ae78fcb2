# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf list`: the kernels that are known."""

from __future__ import annotations

import json
import lzma
from pathlib import Path

import pytest

from tests.support import btf_kernels
from tests.support.btf_kernels import (
    ARM,
    LOCAL,
    ONE,
    THREE,
    TWO,
    answers,
    btf,
    foreign,
    queries,
)
from tetrapy.btf.pack import pack
from tetrapy.btf.store import LocalStore, host_of

btf_command, flags = btf_kernels.btf_command, btf_kernels.flags


@pytest.mark.slow
def test_list_all(btf_command, flags: list[str]) -> None:
    """Every kernel has a line with its layout, in natural order; the last line sums up."""
    done = btf_command("list", *flags)
    assert (done.code, done.err) == (0, "")
    rows = [line.split() for line in done.lines[1:-1]]
    assert [row[2] for row in rows] == [LOCAL, ONE, TWO, THREE, ARM]
    assert [row[1] for row in rows] == ["local", *["archive"] * 4]
    layouts = [row[0] for row in rows]
    assert layouts[0] == "other"
    assert layouts[1] == layouts[2]
    assert len(set(layouts)) == 4
    assert done.lines[-1].startswith("4 kernels, 3 layouts, ")
    assert "1 kernel in " in done.lines[-1]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["6.1.0-2"], [TWO]),
        (["debian/*-[12]-amd64"], [ONE, TWO]),
        (["6.1.0-[12]-*"], [ONE, TWO]),
        (["arm64/*"], [ARM]),
        (["--arch", "aarch64"], [ARM]),
        (["own"], [LOCAL]),
    ],
)
def test_list_some(btf_command, flags: list[str], words: list[str], found: list[str]) -> None:
    """A part of a name, a pattern or an architecture chooses kernels."""
    done = btf_command("list", *words, *flags, "--json")
    assert done.code == 0
    assert [row["key"] for row in json.loads(done.out)["kernels"]] == found


def test_list_nothing(btf_command, flags: list[str]) -> None:
    """When nothing matches, the exit code tells."""
    done = btf_command("list", "nothing-like-this", *flags)
    assert done.code == 1
    assert done.out.startswith("0 shown of 4 kernels")


@pytest.mark.slow
def test_a_local_kernel_with_a_known_layout(btf_command, flags: list[str], tmp_path: Path) -> None:
    """A kernel of the local store has the number of the archive's layout that equals it."""
    LocalStore(str(tmp_path / "store")).add(host_of(LOCAL), btf(1))
    rows = json.loads(btf_command("list", *flags, "--json").out)["kernels"]
    layouts = {row["key"]: row["layout"] for row in rows}
    assert layouts[LOCAL] == layouts[THREE]


def test_list_with_a_store_that_is_not_trusted(
    btf_command, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The archive is listed although the local store is refused, and the exit code is 1."""
    foreign(tmp_path / "store", monkeypatch)
    done = btf_command("list", *flags)
    assert done.code == 1
    assert "not trusted" in done.err
    assert ONE in done.out


@pytest.mark.parametrize(
    "data", [b"", b"no archive", lzma.compress(b"tetrapy-btf 99\n"), b"\xfd7zXZ\0" + bytes(99)]
)
def test_a_damaged_archive(btf_command, tmp_path: Path, data: bytes) -> None:
    """A damaged archive is named."""
    path = tmp_path / "damaged.xz"
    path.write_bytes(data)
    done = btf_command("list", "--archive", path, "--dir", tmp_path / "none")
    assert (done.code, done.out) == (1, "")
    assert str(path) in done.err


def test_an_archive_without_end(btf_command) -> None:
    """A device is not read for ever, and is named once."""
    done = btf_command("list", "--archive", "/dev/zero")
    assert done.code == 1
    assert done.err == "Error: /dev/zero: has more than 16 MiB, which no archive has\n"


def test_names_of_an_archive_are_escaped(btf_command, tmp_path: Path) -> None:
    """An archive's names do not move the cursor of the terminal."""
    path = tmp_path / "archive.xz"
    path.write_bytes(pack({"a/b/x86_64/\x1b[2J": answers()}, queries().names))
    done = btf_command("list", "--archive", path, "--dir", tmp_path / "none")
    assert "\x1b" not in done.out
    assert "\\x1b[2J" in done.out
