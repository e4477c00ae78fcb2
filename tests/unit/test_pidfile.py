# SPDX-License-Identifier: Apache-2.0
"""The pid file: one instance a machine."""

from __future__ import annotations

import fcntl
import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from tetrapy import pidfile
from tetrapy.errors import AlreadyRunningError, TetrapyError
from tetrapy.pidfile import PidFile

HOLD = """
import sys
from tetrapy.pidfile import PidFile
PidFile(sys.argv[1])
print("held", flush=True)
sys.stdin.read()
"""


def test_it_holds_the_pid(tmp_path: Path) -> None:
    """Decimal, without a line feed, as Tetragon's; removed at the end."""
    held = PidFile(str(tmp_path / "a/run"))
    path = tmp_path / "a/run/tetrapy.pid"
    assert held.path == str(path)
    assert path.read_text() == str(os.getpid())
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    held.remove()
    assert not path.exists()


def test_a_second_instance_is_reported_who_runs(tmp_path: Path) -> None:
    """Tetragon's words, and the pid of the first; the file stays the first one's."""
    command = [sys.executable, "-c", HOLD, str(tmp_path)]
    agent = str(Path(pidfile.__file__).parents[1])
    with subprocess.Popen(
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": agent},
    ) as first:
        assert first.stdout
        assert first.stdout.readline() == "held\n"
        text = (
            rf"failed to create pid file '{tmp_path}/tetrapy.pid', another tetrapy instance seems "
            rf"to be up and running: process is already running \(pid {first.pid}\)"
        )
        with pytest.raises(AlreadyRunningError, match=text):
            PidFile(str(tmp_path))
        assert (tmp_path / "tetrapy.pid").read_text() == str(first.pid)
        first.kill()
    again = PidFile(str(tmp_path))  # what a killed instance leaves behind hinders nobody
    assert (tmp_path / "tetrapy.pid").read_text() == str(os.getpid())
    again.remove()


def test_a_longer_pid_left_behind(tmp_path: Path) -> None:
    """Nothing of a former content stays."""
    (tmp_path / "tetrapy.pid").write_text("4194304\n4194304\n")
    held = PidFile(str(tmp_path))
    assert (tmp_path / "tetrapy.pid").read_text() == str(os.getpid())
    held.remove()


def test_a_file_that_is_removed_while_it_is_taken(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When the former holder removes the file between opening and locking, a new one is made."""
    path = tmp_path / "tetrapy.pid"
    real = fcntl.flock
    calls = []

    def flock(fd: int, how: int) -> None:
        if not calls:
            path.unlink()
        calls.append(fd)
        real(fd, how)

    monkeypatch.setattr(pidfile.fcntl, "flock", flock)
    held = PidFile(str(tmp_path))
    assert len(calls) == 2
    assert path.read_text() == str(os.getpid())
    held.remove()


@pytest.mark.parametrize("kind", ["fifo", "directory", "link"])
def test_what_is_no_regular_file(tmp_path: Path, kind: str) -> None:
    """A FIFO, a directory or a symbolic link in the file's place is refused by name."""
    path = tmp_path / "tetrapy.pid"
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "directory":
        path.mkdir()
    else:
        path.symlink_to(tmp_path / "elsewhere")
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(TetrapyError, match=str(path)):
        PidFile(str(tmp_path))
    assert len(os.listdir("/proc/self/fd")) == before
    assert not (tmp_path / "elsewhere").exists()


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    """The path is named."""
    (tmp_path / "file").touch()
    with pytest.raises(TetrapyError, match=f"pid file {tmp_path}/file/tetrapy.pid"):
        PidFile(str(tmp_path / "file"))


def test_a_file_that_somebody_else_removed(tmp_path: Path) -> None:
    """Giving up a file that is gone is no error."""
    held = PidFile(str(tmp_path))
    (tmp_path / "tetrapy.pid").unlink()
    held.remove()
