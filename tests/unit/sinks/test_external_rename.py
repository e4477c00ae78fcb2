# SPDX-License-Identifier: Apache-2.0
"""A file that others move, delete or cut while it is written to."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path

import pytest

from tests.support.sink_tools import (
    Recorder,
    fill_disk,
    make_room,
    numbered,
    silent,
    sink_at,
)
from tetrapy.errors import ExportError
from tetrapy.sinks import file as module

LATER = time.monotonic() + 1e6  # when every pause is over


def test_a_file_that_is_deleted(tmp_path: Path) -> None:
    """It is reported and made anew; what was written since the last look comes again."""
    path = tmp_path / "x"
    log = Recorder()
    sink = sink_at(path, log)
    sink.write(numbered(0, 10))
    sink.tick(0.0)
    path.unlink()
    sink.write(numbered(10, 20))
    sink.tick(0.0)
    sink.write(numbered(20, 30))
    assert path.read_bytes() == numbered(10, 30)
    assert (sink.lost, sink.lines, sink.bytes) == (0, 30, 600)
    sink.close(silent)
    assert log.lines == [("warn", "Export file was deleted", {"file": str(path)})]


def test_a_deleted_file_with_much_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is more than may wait is counted as lost."""
    path = tmp_path / "x"
    monkeypatch.setattr(module, "_PENDING_LIMIT", 100)
    sink = sink_at(path, Recorder())
    sink.tick(0.0)
    path.unlink()
    sink.write(numbered(0, 20))
    sink.tick(0.0)
    assert path.read_bytes() == numbered(0, 5)
    assert (sink.lost, sink.lines) == (15, 5)
    sink.close(Recorder())


def test_a_directory_that_is_removed(tmp_path: Path) -> None:
    """It is made again; where that is not possible, lines wait until it is."""
    path = tmp_path / "a/b/x"
    sink = sink_at(path, Recorder())
    sink.write(b"one\n")
    sink.tick(0.0)
    path.unlink()
    path.parent.rmdir()
    path.parent.parent.rmdir()
    (tmp_path / "a").touch()
    sink.write(b"two\n")
    with pytest.raises(ExportError, match="Not a directory; 4 bytes wait"):
        sink.tick(0.0)
    with pytest.raises(ExportError, match="Not a directory; 10 bytes wait"):
        sink.write(b"three\n")
    (tmp_path / "a").unlink()
    sink.tick(LATER)
    assert path.read_bytes() == b"two\nthree\n"
    sink.close(silent)


def test_a_file_that_others_moved_and_made_anew(tmp_path: Path) -> None:
    """logrotate's `create`: what it made is used, with its mode."""
    path = tmp_path / "x"
    log = Recorder()
    sink = sink_at(path, log)
    sink.write(b"one\n")
    path.rename(tmp_path / "x.1")
    path.touch(mode=0o640)
    sink.write(b"two\n")
    sink.tick(0.0)
    sink.write(b"three\n")
    sink.close(silent)
    assert (tmp_path / "x.1").read_bytes() == b"one\ntwo\n"
    assert path.read_bytes() == b"three\n"
    assert log.messages[0] == "Export file was moved"


def test_a_file_that_is_cut(tmp_path: Path) -> None:
    """logrotate's copytruncate: the next line is at the beginning, whence the size counts."""
    path = tmp_path / "x"
    sink = sink_at(path, max_size=100)
    sink.write(numbered(0, 4))
    os.truncate(path, 0)
    sink.tick(0.0)
    sink.write(numbered(4, 9))
    assert path.read_bytes() == numbered(4, 9)
    assert sink.rotations == 0
    sink.close(silent)


def test_a_size_rotation_of_a_moved_file(tmp_path: Path) -> None:
    """The file that somebody put there meanwhile is not rotated, and no line is lost."""
    path = tmp_path / "x"
    sink = sink_at(path, Recorder(), max_size=100)
    sink.write(numbered(0, 3))
    path.rename(tmp_path / "y")
    path.write_bytes(b"theirs\n")
    sink.write(numbered(3, 9))
    assert path.read_bytes() == b"theirs\n"
    sink.tick(time.monotonic())
    sink.write(numbered(9, 12))
    sink.close(silent)
    assert (tmp_path / "y").read_bytes() == numbered(0, 9)
    assert path.read_bytes() == b"theirs\n" + numbered(9, 12)


def test_something_else_in_its_place(tmp_path: Path) -> None:
    """A directory there is reported, and lines wait until it is gone."""
    path = tmp_path / "x"
    sink = sink_at(path, Recorder())
    sink.write(b"one\n")
    path.rename(tmp_path / "y")
    path.mkdir()
    with pytest.raises(ExportError, match="Is a directory"):
        sink.tick(0.0)
    with pytest.raises(ExportError):
        sink.write(b"two\n")
    path.rmdir()
    sink.tick(LATER)
    sink.close(silent)
    assert ((tmp_path / "y").read_bytes(), path.read_bytes()) == (b"one\n", b"two\n")


def test_a_file_that_is_deleted_while_lines_wait(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was written to it since comes before what waits; a part of a line comes whole."""
    path = tmp_path / "x"
    sink = sink_at(path, Recorder())
    sink.tick(0.0)
    path.unlink()
    sink.write(b"one\n")
    fill_disk(monkeypatch, errno.ENOSPC, after=5)
    with pytest.raises(ExportError):
        sink.write(b"two\nthree\n")
    make_room(monkeypatch)
    sink.tick(LATER)
    assert path.read_bytes() == b"one\ntwo\nthree\n"
    assert (sink.lines, sink.bytes, sink.lost) == (3, 14, 0)
    sink.close(silent)


def test_a_file_that_is_deleted_after_a_part_of_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The look that saw half of a line there does not count that half as read."""
    path = tmp_path / "x"
    sink = sink_at(path, Recorder())
    fill_disk(monkeypatch, errno.ENOSPC, after=5)
    with pytest.raises(ExportError):
        sink.write(b"one\ntwo\n")
    make_room(monkeypatch)
    sink.tick(LATER)  # a look, then the rest of the line
    path.unlink()
    sink.write(b"three\n")
    sink.tick(LATER)
    sink.close(silent)
    assert path.read_bytes() == b"two\nthree\n"
