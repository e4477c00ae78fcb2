# SPDX-License-Identifier: Apache-2.0
"""A file that refuses lines, or to be rotated."""

from __future__ import annotations

import errno
import itertools
import os
import resource
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.sink_tools import (
    Recorder,
    backups,
    everything,
    fill_disk,
    make_room,
    numbered,
    silent,
    sink_at,
)
from tetrapy.errors import ExportError
from tetrapy.sinks import file as module

LATER = time.monotonic() + 1e6  # when every pause is over


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.ESTALE])
def test_lines_wait_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int) -> None:
    """What was refused is written before what comes later, in one piece."""
    sink = sink_at(tmp_path / "x")
    fill_disk(monkeypatch, code)
    for lines in (b"one\n", b"two\n"):
        with pytest.raises(ExportError, match=rf"x: {os.strerror(code)}; \d bytes wait, 0 lines"):
            sink.write(lines)
    assert (sink.waiting, sink.failures, sink.lines) == (8, 1, 0)
    make_room(monkeypatch)
    sink.tick(LATER)
    assert (tmp_path / "x").read_bytes() == b"one\ntwo\n"
    sink.write(b"three\n")
    assert (tmp_path / "x").read_bytes() == b"one\ntwo\nthree\n"
    assert (sink.waiting, sink.lost, sink.lines, sink.bytes) == (0, 0, 3, 14)
    sink.close(silent)


def test_a_pause_between_attempts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that refuses is not asked at each batch; the pauses grow, up to a bound."""
    sink = sink_at(tmp_path / "x")
    clock = [100.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: clock[0])
    fill_disk(monkeypatch, errno.ENOSPC)
    attempts = []
    for _ in range(6000):
        before = sink.failures
        with pytest.raises(ExportError):
            sink.write(b"x\n")
        if sink.failures > before:
            attempts.append(clock[0])
        clock[0] += 0.01
    pauses = [round(b - a, 1) for a, b in itertools.pairwise(attempts)]
    assert pauses[:6] == [0.2, 0.5, 1.0, 2.0, 4.0, 5.0] or pauses[:6] == [0.3, 0.5, 1, 2, 4, 5]
    assert max(pauses) == 5.0
    make_room(monkeypatch)
    clock[0] += 5
    sink.write(b"x\n")
    sink.close(silent)
    assert len((tmp_path / "x").read_bytes()) == 2 * 6001


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO])
def test_a_write_that_stops_in_a_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    """The rest of the line follows, or the line comes again whole; no line is torn."""
    sink = sink_at(tmp_path / "x")
    fill_disk(monkeypatch, code, after=5)
    with pytest.raises(ExportError):
        sink.write(b"one\ntwo\n")
    there = b"one\nt" if code == errno.ENOSPC else b"one\n"
    assert (tmp_path / "x").read_bytes() == there
    assert sink.lines == 1
    make_room(monkeypatch)
    sink.tick(LATER)
    sink.write(b"three\n")
    assert (tmp_path / "x").read_bytes() == b"one\ntwo\nthree\n"
    assert sink.lines == 3
    sink.close(silent)


def test_a_part_of_a_line_at_the_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When there is no room to the last, the part is cut off and the line counted as lost."""
    sink = sink_at(tmp_path / "x")
    fill_disk(monkeypatch, errno.ENOSPC, after=5)
    with pytest.raises(ExportError):
        sink.write(b"one\ntwo\nthree\n")
    log = Recorder()
    sink.close(log)
    assert (tmp_path / "x").read_bytes() == b"one\n"
    assert [keys["lines"] for _, _, keys in log.lines if "lines" in keys] == [2]


def test_a_part_of_a_line_in_a_file_that_is_moved(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The part is cut off there, and the whole line goes into the new file."""
    path = tmp_path / "x"
    sink = sink_at(path, Recorder())
    fill_disk(monkeypatch, errno.ENOSPC, after=5)
    with pytest.raises(ExportError):
        sink.write(b"one\ntwo\n")
    make_room(monkeypatch)
    path.rename(tmp_path / "y")
    sink.tick(LATER)
    sink.close(silent)
    assert ((tmp_path / "y").read_bytes(), path.read_bytes()) == (b"one\n", b"two\n")


def test_a_part_of_a_line_in_a_file_that_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After copytruncate the line comes whole."""
    path = tmp_path / "x"
    sink = sink_at(path, Recorder())
    fill_disk(monkeypatch, errno.ENOSPC, after=5)
    with pytest.raises(ExportError):
        sink.write(b"one\ntwo\n")
    make_room(monkeypatch)
    os.truncate(path, 0)
    sink.tick(LATER)
    sink.close(silent)
    assert path.read_bytes() == b"two\n"


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit whole lines are dropped, the newest first, and counted."""
    monkeypatch.setattr(module, "_PENDING_LIMIT", 100)
    sink = sink_at(tmp_path / "x")
    fill_disk(monkeypatch, errno.ENOSPC)
    for number in range(50):
        with pytest.raises(ExportError):
            sink.write(b"line %04d\n" % number)
        assert sink.waiting <= 100
    assert sink.lost == 40
    make_room(monkeypatch)
    sink.tick(LATER)
    kept = b"".join(b"line %04d\n" % number for number in range(10))
    assert (tmp_path / "x").read_bytes() == kept
    log = Recorder()
    sink.close(log)
    assert log.lines == [("error", "Events are lost", {"file": str(tmp_path / "x"), "lines": 40})]


def test_a_limit_of_file_size(tmp_path: Path) -> None:
    """Where no file may grow that large (ulimit -f), files are rotated there; no line is torn."""
    path = tmp_path / "x"
    sink = sink_at(path, max_backups=0)
    former = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (110, former[1]))
    try:
        for n in range(0, 60, 3):
            sink.write(numbered(n, n + 3))
        with pytest.raises(ExportError, match="File too large"):
            sink.write(b"x" * 200 + b"\n")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, former)
    sink.tick(LATER)
    sink.close(silent)
    sizes = {file.stat().st_size for file in backups(path)}
    assert sizes == {100}
    assert everything(path) == [*numbered(0, 60).splitlines(), b"x" * 200]


def test_a_long_line_that_stops(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A line that is longer than a file, and of which the disk took a part, stays in one file."""
    path = tmp_path / "x"
    sink = sink_at(path, max_size=20)
    fill_disk(monkeypatch, errno.ENOSPC, after=30)
    with pytest.raises(ExportError):
        sink.write(b"x" * 50 + b"\n")
    make_room(monkeypatch)
    sink.tick(LATER)
    sink.close(silent)
    assert path.read_bytes() == b"x" * 50 + b"\n"
    assert backups(path) == []


# --- rotations that are refused --------------------------------------------------------------


@pytest.mark.parametrize("call", ["rename", "open"])
def test_a_rotation_that_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str
) -> None:
    """It is reported once, and lines go on into the same file; later it is tried again."""
    path = tmp_path / "x"
    log = Recorder()
    sink = sink_at(path, log, max_size=100)
    real = getattr(os, call)

    def refused(*words: Any, **options: Any) -> Any:
        if call == "rename" and words[0] != str(path):
            return real(*words, **options)
        raise OSError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(module.os, call, refused)
    sink.write(numbered(0, 20))
    now = time.monotonic()
    sink.tick(now)
    sink.write(numbered(20, 30))
    sink.tick(now + 30)
    sink.write(numbered(30, 40))
    assert sink.rotation_failures == 2
    monkeypatch.undo()
    assert [file.name for file in tmp_path.iterdir()] == ["x"]
    sink.tick(now + 60)
    sink.write(numbered(40, 41))
    sink.close(silent)
    assert path.read_bytes() == numbered(40, 41)
    assert everything(path) == numbered(0, 41).splitlines()
    assert log.lines == [
        (
            "warn",
            "Export file cannot be rotated, going on with it",
            {"file": str(path), "error": "Permission denied"},
        ),
        ("info", "Rotating JSON logs export works again", {"file": str(path)}),
    ]


def test_a_rotation_that_cannot_be_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """When somebody makes the new file first, theirs is kept and used."""
    path = tmp_path / "x"
    sink = sink_at(path, Recorder(), max_size=100)
    sink.write(numbered(0, 5))
    real = os.rename

    def rename(before: str, after: str) -> None:
        real(before, after)
        path.write_bytes(b"theirs\n")

    monkeypatch.setattr(module.os, "rename", rename)
    sink.write(numbered(5, 7))
    monkeypatch.undo()
    sink.tick(time.monotonic() + 30)
    sink.write(numbered(7, 8))
    sink.close(silent)
    assert path.read_bytes() == b"theirs\n" + numbered(7, 8)
    assert backups(path)[0].read_bytes() == numbered(0, 7)
