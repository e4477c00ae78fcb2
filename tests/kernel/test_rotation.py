# SPDX-License-Identifier: Apache-2.0
"""Export files on disks that are really full, in directories that are really somebody else's."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.agent import ROOT, TIMEOUT, isolated
from tests.support.sink_tools import Recorder, backups, everything, numbered, silent, sink_at
from tetrapy.errors import ExportError
from tetrapy.sinks.open import open_file
from tetrapy.sinks.rules import FileRules

NOBODY = 65534

# Writes numbered lines to the file that it is given; each driver below begins with this.
BEGIN = """
import os, pathlib, sys, time
sys.path[:0] = sys.argv[1:3]
from tests.support.sink_tools import Recorder, everything, numbered, sink_at
from tetrapy.errors import ExportError
log = Recorder()
path = pathlib.Path(sys.argv[3])
LATER = time.monotonic() + 1e6
def attempt(call, *words):
    try:
        call(*words)
    except ExportError as err:
        return str(err)
"""


def drive(code: str, path: Path, prepare: str = "") -> None:
    """Run a driver in a mount namespace of its own; what it asserts is what is tested."""
    words = [sys.executable, "-c", BEGIN + code, str(ROOT), str(ROOT / "agent"), str(path)]
    done = subprocess.run(
        isolated(words, prepare), check=False, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr


FULL_DISK = """
sink = sink_at(path, log, max_size=150_000, max_backups=0, compress=%s)
filler = path.parent / "filler"
sent, refused, again = 0, 0, 0
for turn in range(6):
    filler.write_bytes(bytes(300_000))
    failing = 0
    while failing < 3:
        error = attempt(sink.write, numbered(sent, sent + 250, length=83))
        sent += 250
        if error:
            assert "No space left on device" in error, error
            failing += 1
    filler.unlink()
    assert attempt(sink.tick, LATER) is None
    assert sink.waiting == 0
    sink.rotation.wait()
    assert attempt(sink.tick, LATER + turn * 100) is None
    # Make room: what is rotated is somebody's to read and remove.
    kept = everything(path)
    seen = globals().setdefault("seen", [])
    seen += kept
    sink.rotate()
    sink.rotation.wait()
    for file in path.parent.iterdir():
        if file != path:
            file.unlink()
sink.close(log)
assert sink.lost == 0
assert seen == numbered(0, sent, length=83).splitlines()
"""


@pytest.mark.parametrize("compress", [False, True])
def test_a_full_disk(tmp_path: Path, compress: bool) -> None:
    """Time and again the disk is full and has room again: no line is lost, torn or out of order."""
    disk = tmp_path / "disk"
    disk.mkdir()
    prepare = f"mount -t tmpfs -o size=700k tmpfs {disk}"
    drive(FULL_DISK % compress, disk / "x.log", prepare)


STAYS_FULL = """
import tetrapy.sinks.file as module
module._PENDING_LIMIT = 100_000
sink = sink_at(path, log, max_size=10 << 20)
sent = 0
while sink.lost < 1000:
    attempt(sink.write, numbered(sent, sent + 300, length=83))
    sent += 300
sink.close(log)
found = everything(path)
assert len(found) + sink.lost == sent
assert found == numbered(0, len(found), length=83).splitlines()
assert log.messages == ["Writing events", "Events are lost"]
assert log.lines[-1][2]["lines"] == sink.lost
"""


def test_a_disk_that_stays_full(tmp_path: Path) -> None:
    """What waits is bounded; each line is in the file, whole, or counted as lost."""
    disk = tmp_path / "disk"
    disk.mkdir()
    drive(STAYS_FULL, disk / "x.log", f"mount -t tmpfs -o size=300k tmpfs {disk}")


READ_ONLY_DIRECTORY = """
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sink = sink_at(path, log, max_size=1000)
assert attempt(sink.write, numbered(0, 30)) is None
path.parent.chmod(0o555)
assert attempt(sink.write, numbered(30, 200)) is None
assert log.messages == ["Export file cannot be rotated, going on with it"], log.lines
assert log.lines[0][2]["error"] == "Permission denied"
path.parent.chmod(0o755)
assert attempt(sink.tick, LATER) is None
assert attempt(sink.write, numbered(200, 201)) is None
assert log.messages[1] == "Rotating JSON logs export works again"
path.parent.chmod(0o000)
error = attempt(sink.tick, LATER)
assert "Permission denied; 0 bytes wait" in error, error
assert "20 bytes wait" in attempt(sink.write, numbered(201, 202))
path.parent.chmod(0o755)
assert attempt(sink.tick, LATER) is None
sink.close(log)
assert sink.lost == 0
assert everything(path) == numbered(0, 202).splitlines()
"""


def test_a_directory_that_cannot_be_written(tmp_path: Path) -> None:
    """The file is gone on with; where it cannot even be seen, lines wait; both are reported."""
    (tmp_path / "logs").mkdir()
    os.chown(tmp_path / "logs", NOBODY, NOBODY)
    # The test's own directory is closed to others.
    prepare = f"mkdir /run/x && mount --bind {tmp_path}/logs /run/x"
    drive(READ_ONLY_DIRECTORY, Path("/run/x/x.log"), prepare)


# --- somebody else's files -------------------------------------------------------------------


def test_a_file_that_somebody_made_where_all_may_write(tmp_path: Path) -> None:
    """It is refused and not written to, before the start and while the agent runs."""
    tmp_path.chmod(0o1777)
    trap = tmp_path / "x.log"
    trap.touch()
    os.chown(trap, NOBODY, NOBODY)
    with pytest.raises(ExportError, match=r"belongs to user 65534 and lies where others may write"):
        open_file(str(trap), FileRules(), silent)
    other = tmp_path / "y.log"
    sink = sink_at(other, Recorder())
    other.unlink()
    trap.rename(other)
    with pytest.raises(ExportError, match="belongs to user 65534"):
        sink.tick(0.0)
    sink.close(Recorder())
    assert other.read_bytes() == b""


def test_a_link_that_somebody_made(tmp_path: Path) -> None:
    """It is refused wherever it lies: its maker may change where it leads to."""
    (tmp_path / "target").touch()
    link = tmp_path / "x.log"
    link.symlink_to("target")
    os.chown(link, NOBODY, NOBODY, follow_symlinks=False)
    for mode in (0o755, 0o1777):
        tmp_path.chmod(mode)
        with pytest.raises(ExportError, match="symbolic link"):
            open_file(str(link), FileRules(), silent)


def test_a_fifo_that_somebody_made_where_all_may_write(tmp_path: Path) -> None:
    """Its maker would read the events."""
    tmp_path.chmod(0o1777)
    os.mkfifo(tmp_path / "x.log")
    os.chown(tmp_path / "x.log", NOBODY, NOBODY)
    with pytest.raises(ExportError, match="belongs to user 65534"):
        open_file(str(tmp_path / "x.log"), FileRules(), silent)


def test_a_file_that_was_given_away(tmp_path: Path) -> None:
    """In a directory of root alone the operator gave it to somebody; rotation keeps that."""
    path = tmp_path / "x.log"
    path.touch(mode=0o600)
    os.chown(path, NOBODY, NOBODY)
    sink = sink_at(path, max_size=20, compress=True)
    sink.write(numbered(0, 3))
    sink.rotation.wait()
    sink.close(silent)
    assert everything(path) == numbered(0, 3).splitlines()
    assert {file.stat().st_uid for file in [path, *backups(path)]} == {NOBODY}
