# SPDX-License-Identifier: Apache-2.0
"""A guest that comes to nothing is ended and told of within bounds."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tools.guest import qemu

SPIN = ["sh", "-c", "while :; do :; done"]
SLEEP = ["sleep", "1000"]


def test_an_empty_disk_is_no_result(tmp_path: Path) -> None:
    """The disk of a guest that never ran is read no further than its start."""
    disk = tmp_path / "disk"
    disk.touch()
    os.truncate(disk, qemu.RESULT_DISK_BYTES)
    assert qemu.read_result(disk) == {}


@pytest.mark.parametrize("packed", [bytes, gzip.compress], ids=["disk", "serial"])
def test_a_result_is_read(tmp_path: Path, packed: Callable[[bytes], bytes]) -> None:
    """Plain on a disk with nothing behind it, compressed through a serial port; a part is none."""
    disk, plain = tmp_path / "disk", io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        info = tarfile.TarInfo("result/exit_code")
        info.size = 2
        tar.addfile(info, io.BytesIO(b"0\n"))
    disk.write_bytes(packed(plain.getvalue()))
    assert qemu.read_result(disk) == {"exit_code": b"0\n"}
    disk.write_bytes(disk.read_bytes()[:20])
    assert qemu.read_result(disk) == {}


@pytest.mark.parametrize(
    ("command", "cpu", "timeout", "end"),
    [
        (SPIN, 0.1, 900.0, "was ended after 0 s of CPU time"),
        (SLEEP, 200.0, 0.1, "was ended after 0 s"),
        (["true"], 200.0, 900.0, "powered off without a result"),
    ],
)
def test_a_boot_is_bounded(
    command: list[str],
    cpu: float,
    timeout: float,
    end: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    """Whether it spins, sleeps or ends: it is tried once more, and then its end is reported."""
    monkeypatch.setattr(qemu, "BOOT_BOUND", cpu)
    life = qemu.live("6.1", command, tmp_path / "console", timeout)
    assert (life.reached_init, life.end) == (False, end)
    assert capfd.readouterr().err == f"guest 6.1 {end} before init ran: once more\n"
