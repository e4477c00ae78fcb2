# SPDX-License-Identifier: Apache-2.0
"""When an export file is rotated, what the rotated files are called, and which are kept."""

from __future__ import annotations

import os
import re
import stat
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sink_tools import (
    Recorder,
    backups,
    everything,
    numbered,
    real_write,
    silent,
    sink_at,
)
from tetrapy.sinks import backups as names
from tetrapy.sinks import stream
from tetrapy.sinks.backups import STAMP, BackupNames

SECOND = 1_000_000_000


@pytest.mark.parametrize(
    ("name", "stem", "extension"),
    [
        ("tetrapy.log", "tetrapy", ".log"),
        ("events", "events", ""),
        ("a.b.json", "a.b", ".json"),
        ("x.gz", "x", ".gz"),
        ("[a].log", "[a]", ".log"),
    ],
)
def test_names(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, stem: str, extension: str
) -> None:
    """The time, in UTC and to the millisecond, stands before the extension."""
    monkeypatch.setattr(names.time, "time_ns", lambda: 1136214245_007_999_999)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    made = BackupNames().make(str(tmp_path / name))
    monkeypatch.undo()
    time.tzset()
    assert made == str(tmp_path / f"{stem}-2006-01-02T15-04-05.007{extension}")


def test_two_in_a_millisecond(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No name is given twice, nor one that a file has, compressed or not; later ones sort later."""
    monkeypatch.setattr(names.time, "time_ns", lambda: 1136214245_998_000_000)
    (tmp_path / "x-2006-01-02T15-04-05.999.log.gz").touch()
    (tmp_path / "x-2006-01-02T15-04-06.000.log").touch()
    maker = BackupNames()
    made = [Path(maker.make(str(tmp_path / "x.log"))).name for _ in range(3)]
    monkeypatch.setattr(names.time, "time_ns", lambda: 1136214240_000_000_000)  # set back
    made.append(Path(maker.make(str(tmp_path / "x.log"))).name)
    assert made == [
        "x-2006-01-02T15-04-05.998.log",
        "x-2006-01-02T15-04-06.001.log",
        "x-2006-01-02T15-04-06.002.log",
        "x-2006-01-02T15-04-06.003.log",
    ]


@given(st.integers(0, 253402300799))
def test_every_stamp_is_known_as_one(second: int) -> None:
    """The pattern by which backups are found fits all that are made."""
    assert re.fullmatch(STAMP, time.strftime("%Y-%m-%dT%H-%M-%S.123", time.gmtime(second)))


def test_by_size(tmp_path: Path) -> None:
    """A file is rotated before a line that would make it larger; each is as full as it can be."""
    path = tmp_path / "x.log"
    sink = sink_at(path, max_size=100)
    for n in range(12):
        sink.write(numbered(n, n + 1))
    assert [file.stat().st_size for file in [*backups(path), path]] == [100, 100, 40]
    assert sink.rotations == 2
    sink.close(silent)
    assert b"\n".join(everything(path)) + b"\n" == numbered(0, 12)


def test_a_batch_of_many_files(tmp_path: Path) -> None:
    """One batch is divided at line ends; the figures count each line once."""
    path = tmp_path / "x.log"
    sink = sink_at(path, max_size=110)
    sink.write(numbered(0, 3))
    sink.write(numbered(3, 23), 20)
    assert [file.stat().st_size for file in [*backups(path), path]] == [100] * 4 + [60]
    assert (sink.lines, sink.bytes) == (23, 23 * 20)
    sink.close(silent)
    assert b"\n".join(everything(path)) + b"\n" == numbered(0, 23)


def test_a_line_longer_than_a_file(tmp_path: Path) -> None:
    """It is not lost: it has a file of its own."""
    path = tmp_path / "x.log"
    sink = sink_at(path, max_size=50, max_backups=0)
    lines = [b"a\n", b"b" * 200 + b"\n", b"c\n", b"d\n", b"e" * 50 + b"\n", b"f" * 49 + b"\n"]
    sink.write(b"".join(lines))
    sink.close(silent)
    sizes = [file.stat().st_size for file in [*backups(path), path]]
    assert sizes == [2, 201, 4, 51, 50]
    assert everything(path) == [line[:-1] for line in lines]


def test_a_large_file_from_before(tmp_path: Path) -> None:
    """It is rotated before the first line."""
    path = tmp_path / "x.log"
    path.write_bytes(numbered(0, 100))
    path.chmod(0o600)
    sink = sink_at(path, max_size=100)
    sink.write(numbered(100, 101))
    sink.close(silent)
    assert path.read_bytes() == numbered(100, 101)
    assert backups(path)[0].read_bytes() == numbered(0, 100)


def test_the_new_file(tmp_path: Path) -> None:
    """It has the mode of the settings, and the owner of the file before it."""
    path = tmp_path / "x.log"
    sink = sink_at(path, mode=0o640, max_size=20)
    group = os.getgroups()[-1] if os.getgroups() else os.getgid()
    if os.geteuid() == 0:
        group = 12345
    os.chown(path, -1, group)
    sink.write(numbered(0, 2))
    sink.close(silent)
    for file in (path, *backups(path)):
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        assert file.stat().st_gid == group


def test_one_write_a_batch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a rotation a batch is one system call, and the loop's tick does not write."""
    sink = sink_at(tmp_path / "x.log")
    calls = []
    monkeypatch.setattr(
        stream.os, "write", lambda fd, data: calls.append(1) or real_write(fd, data)
    )
    for n in range(5):
        sink.write(numbered(n, n + 100), 100)
        sink.tick(0.0)
    assert len(calls) == 5
    sink.close(silent)


def test_by_time(tmp_path: Path) -> None:
    """At each interval a file that has lines is rotated, and the log says so."""
    path = tmp_path / "x.log"
    log = Recorder()
    now = time.monotonic()
    sink = sink_at(path, log, interval=60 * SECOND, max_backups=0)
    sink.write(numbered(0, 1))
    sink.tick(now + 59)
    assert log.lines == []
    sink.tick(now + 61)
    rotating = ("info", "Rotating JSON logs export", {"file": "x.log", "directory": str(tmp_path)})
    assert log.lines == [rotating]
    assert path.read_bytes() == b""
    sink.write(numbered(1, 2))
    sink.tick(now + 100)
    assert len(backups(path)) == 1
    sink.tick(now + 122)
    sink.tick(now + 200)  # nothing was written: no empty file
    assert len(backups(path)) == 2
    assert log.lines == [rotating] * 2
    sink.close(silent)


def test_by_hand(tmp_path: Path) -> None:
    """A signal or a call rotates at once; an empty file stays."""
    path = tmp_path / "x.log"
    log = Recorder()
    sink = sink_at(path, log)
    assert sink.rotate()
    assert backups(path) == []
    sink.write(numbered(0, 1))
    assert sink.rotate()
    sink.write(numbered(1, 2))
    sink.close(silent)
    assert log.messages == ["Rotating JSON logs export"]
    assert [file.read_bytes() for file in [*backups(path), path]] == [
        numbered(0, 1),
        numbered(1, 2),
    ]


def test_by_hand_after_a_move(tmp_path: Path) -> None:
    """logrotate's way: it moves the file and tells us; then there is nothing to be rotated."""
    path = tmp_path / "x.log"
    log = Recorder()
    sink = sink_at(path, log)
    sink.write(numbered(0, 1))
    path.rename(tmp_path / "x.log.1")
    sink.write(numbered(1, 2))
    assert sink.rotate()
    sink.write(numbered(2, 3))
    sink.close(silent)
    assert (tmp_path / "x.log.1").read_bytes() == numbered(0, 2)
    assert path.read_bytes() == numbered(2, 3)
    assert backups(path) == []
    assert log.lines == [("info", "Export file was moved", {"file": str(path)})]


def test_changes_at_run_time(tmp_path: Path) -> None:
    """Size, number and interval hold from the next tick on."""
    path = tmp_path / "x.log"
    now = time.monotonic()
    sink = sink_at(path, Recorder())
    rotation = sink.rotation
    sink.write(numbered(0, 100_000, length=30))
    rotation.follow(rotation.rules._replace(max_size=1 << 20))
    sink.tick(now)
    sink.write(numbered(0, 1))
    assert len(backups(path)) == 1
    rotation.follow(rotation.rules._replace(interval=SECOND))
    sink.tick(now + 3600)
    assert len(backups(path)) == 2
    sink.write(numbered(0, 1))
    rotation.follow(rotation.rules._replace(max_backups=1))
    sink.tick(now + 3600.5)
    rotation.wait()
    assert len(backups(path)) == 1
    assert (rotation.rules.max_size, rotation.rules.interval) == (1 << 20, SECOND)
    sink.close(silent)
