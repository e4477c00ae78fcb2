# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf verify`: which files serve, and which are refused."""

from __future__ import annotations

import io
import json
import lzma
import os
import tarfile
from pathlib import Path

import pytest

from tests.support import btf_kernels
from tests.support.btf_kernels import (
    THREE,
    answers,
    btf,
    examined,
)
from tests.support.builders import elf
from tetrapy.errors import KernelError

pytestmark = pytest.mark.slow

btf_command, flags = btf_kernels.btf_command, btf_kernels.flags


def packed_tar(data: bytes) -> bytes:
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w:xz") as writer:
        member = tarfile.TarInfo("5.4.0-1.btf")
        member.size = len(data)
        writer.addfile(member, io.BytesIO(data))
    return target.getvalue()


FORMS = {
    "raw": lambda data: data,
    "xz": lzma.compress,
    "elf": lambda data: elf({".BTF": data}, []),
    "elf-xz": lambda data: lzma.compress(elf({".BTF": data}, [])),
    "tar": packed_tar,
}


@pytest.mark.parametrize("form", FORMS)
def test_verify(btf_command, flags: list[str], tmp_path: Path, form: str) -> None:
    """A BTF in any form that is read serves, and is found among the archive's layouts."""
    path = tmp_path / "kernel"
    path.write_bytes(FORMS[form](btf(1)))
    done = btf_command("verify", path, *flags)
    assert (done.code, done.err) == (0, "")
    assert f"serves, answers {len(answers()) - 1} of {len(answers())} needs" in done.lines[0]
    assert THREE in done.lines[-1]
    (report,) = json.loads(btf_command("verify", "--json", path, *flags).out)
    assert report["serves"]
    assert report["kernels"] == [THREE]


def test_verify_another_layout(btf_command, flags: list[str], tmp_path: Path) -> None:
    """A BTF that serves need not be known."""
    path = tmp_path / "kernel"
    path.write_bytes(btf(9, "loginuid"))
    done = btf_command("verify", path, *flags)
    assert done.code == 0
    # The archive's path may need a line of its own.
    rows = [line for line in done.lines[1:] if not line.startswith("    ")]
    assert "is no kernel's" in rows[-1]
    assert {line.split()[0] for line in rows[:-1]} == {"absent"}
    assert sum("loginuid" in line for line in rows[:-1]) == 2


def test_verify_what_cannot_serve(btf_command, flags: list[str], tmp_path: Path) -> None:
    """What is missing is named, and the exit code is 1 although another file serves."""
    bad, good = tmp_path / "bad", tmp_path / "good"
    bad.write_bytes(btf(0, "mm_struct"))
    good.write_bytes(btf())
    done = btf_command("verify", bad, good, *flags)
    assert done.code == 1
    assert "CANNOT SERVE, lacks 4 needs" in done.lines[0]
    assert "  lacks   offset struct mm_struct.arg_end int" in done.lines
    assert f"{good}: serves" in done.out


HOSTILE = {
    "empty": b"",
    "text": b"hello world",
    "cut": btf_kernels.btf,
    "magic": b"\x9f\xeb\x01\0",
    "elf without": elf({".text": b"x"}, []),
    "elf head": b"\x7fELF",
    "xz head": b"\xfd7zXZ\0",
    "xz of nothing": lzma.compress(b""),
    "xz cut": lzma.compress(bytes(100))[:-9],
    "tar": lzma.compress(bytes(257) + b"ustar" + bytes(250)),
    "tar of nothing": lzma.compress(bytes(1024)),
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_verify_hostile_files(btf_command, flags: list[str], tmp_path: Path, kind: str) -> None:
    """A file that holds no BTF, or half of one, is refused with a line that names it."""
    path = tmp_path / "hostile"
    data = HOSTILE[kind]
    path.write_bytes(data()[:-10] if callable(data) else data)
    done = btf_command("verify", path, *flags)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith(f"Error: {path}: ")
    (report,) = json.loads(btf_command("verify", "--json", path, *flags).out)
    assert not report["serves"]
    assert report["error"]


@pytest.mark.parametrize("name", ["nowhere", "directory", "loop"])
def test_verify_what_is_no_file(btf_command, flags, tmp_path: Path, name: str) -> None:
    """A name that leads to no file is refused, and the files after it are verified."""
    (tmp_path / "directory").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    good = tmp_path / "good"
    good.write_bytes(btf())
    done = btf_command("verify", tmp_path / name, good, *flags)
    assert done.code == 1
    assert str(tmp_path / name) in done.err
    assert f"{good}: serves" in done.out


def test_verify_endless_files(btf_command, flags: list[str]) -> None:
    """A device that never ends is given up at the limit."""
    done = btf_command("verify", "/dev/zero", *flags)
    assert done.code == 1
    assert "more than 64 MiB" in done.err


def test_verify_a_pipe(btf_command, flags: list[str], tmp_path: Path) -> None:
    """A pipe, as of a shell's <(...), is read."""
    reader, writer = os.pipe()
    os.write(writer, btf())
    os.close(writer)
    try:
        assert btf_command("verify", f"/dev/fd/{reader}", *flags).code == 0
    finally:
        os.close(reader)


def test_verify_live(
    btf_command, flags: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--live asks the running kernel; what it contradicts is named, and the exit code is 1."""
    path = tmp_path / "kernel"
    path.write_bytes(btf(1))
    examined(monkeypatch)
    done = btf_command("verify", "--live", path, *flags)
    assert done.code == 0
    assert "is the running kernel's" in done.lines[0]
    examined(monkeypatch, "pid of three tasks")
    done = btf_command("verify", "--live", path, *flags)
    assert done.code == 1
    assert "IS NOT THE RUNNING KERNEL'S" in done.lines[0]
    assert "  wrong   pid of three tasks" in done.lines
    examined(monkeypatch, error=KernelError("no rights"))
    done = btf_command("verify", "--live", path, *flags)
    assert (done.code, done.err) == (255, "Error: no rights\n")
