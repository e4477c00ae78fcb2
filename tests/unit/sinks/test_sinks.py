# SPDX-License-Identifier: Apache-2.0
"""Lines to standard output, FIFOs and devices, and to targets that refuse them."""

from __future__ import annotations

import errno
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sink_tools import Recorder, real_write, refuse, silent
from tetrapy.errors import ExportError
from tetrapy.sinks import open as opening
from tetrapy.sinks import stream
from tetrapy.sinks.open import open_file, open_sink
from tetrapy.sinks.rules import FileRules
from tetrapy.sinks.stream import LineSink


def test_a_fifo_without_a_reader(tmp_path: Path) -> None:
    """It is refused at once instead of waited for."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ExportError, match=r"fifo cannot be written.*FIFO that nobody reads"):
        opened(tmp_path / "fifo")


def opened(path: Path) -> LineSink:
    sink = open_file(str(path), FileRules(), silent)
    assert isinstance(sink, LineSink)
    return sink


def target(tmp_path: Path) -> LineSink:
    fd = os.open(tmp_path / "x", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    return LineSink(fd, str(tmp_path / "x"), owned=True)


@pytest.fixture
def fifo(tmp_path: Path) -> tuple[int, LineSink]:
    """The reader's end of a FIFO, and the sink at the other."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    return reader, opened(path)


def test_a_fifo(fifo: tuple[int, LineSink]) -> None:
    """Lines arrive at its reader."""
    reader, sink = fifo
    sink.write(b"one\n")
    assert os.read(reader, 100) == b"one\n"
    sink.close(silent)
    os.close(reader)


def test_a_reader_that_keeps_up_gets_all(fifo: tuple[int, LineSink]) -> None:
    """More than the pipe holds goes through while somebody reads."""
    reader, sink = fifo
    os.set_blocking(reader, True)
    lines = b"".join(b"line %d\n" % number for number in range(100_000))
    got = bytearray()

    def read() -> None:
        while piece := os.read(reader, 65536):
            got.extend(piece)

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    sink.write(lines)
    sink.close(silent)
    thread.join()
    os.close(reader)
    assert bytes(got) == lines


def test_a_reader_that_leaves(fifo: tuple[int, LineSink]) -> None:
    """The sink says so, so that the agent can stop, and raises no more."""
    reader, sink = fifo
    assert not sink.closed_by_reader
    os.close(reader)
    sink.write(b"one\n")
    assert sink.closed_by_reader
    sink.write(b"two\n")
    sink.close(silent)


def test_a_full_device() -> None:
    """No space is reported with the target's name and what waits."""
    sink = opened(Path("/dev/full"))
    with pytest.raises(ExportError, match="/dev/full: No space left on device; 4 bytes wait"):
        sink.write(b"one\n")
    log = Recorder()
    sink.close(log)
    assert log.lines[-1][0] == "error"
    assert log.lines[-1][2]["lines"] == 1


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit whole lines are dropped, the newest first, and counted."""
    monkeypatch.setattr(stream, "_PENDING_LIMIT", 100)
    sink = target(tmp_path)
    monkeypatch.setattr(stream.os, "write", refuse(errno.ENOSPC))
    for number in range(50):
        with pytest.raises(ExportError):
            sink.write(b"line %04d\n" % number)
        assert sink.waiting <= 100
    assert sink.lost == 40
    monkeypatch.setattr(stream.os, "write", real_write)
    sink.write(b"")
    kept = b"".join(b"line %04d\n" % number for number in range(10))
    assert (tmp_path / "x").read_bytes() == kept
    log = Recorder()
    sink.close(log)
    assert log.lines == [("error", "Events are lost", {"file": str(tmp_path / "x"), "lines": 40})]


def test_a_line_longer_than_the_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is kept whole, or dropped and counted; never torn, and no other error comes of it."""
    monkeypatch.setattr(stream, "_PENDING_LIMIT", 10)
    sink = target(tmp_path)
    monkeypatch.setattr(stream.os, "write", refuse(errno.ENOSPC))
    with pytest.raises(ExportError):
        sink.write(b"x" * 50 + b"\n")
    monkeypatch.setattr(stream.os, "write", real_write)
    sink.write(b"next\n")
    lines = (tmp_path / "x").read_bytes().splitlines()
    assert lines[-1] == b"next"
    assert set(lines[:-1]) <= {b"x" * 50}
    assert len(lines) + sink.lost == 2
    sink.close(Recorder())


def test_lines_that_never_found_room_are_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end the log has the number of all lines that are lost."""
    sink = target(tmp_path)
    monkeypatch.setattr(stream.os, "write", refuse(errno.ENOSPC))
    with pytest.raises(ExportError):
        sink.write(b"one\ntwo\nthree\n")
    log = Recorder()
    sink.close(log)
    assert [keys["lines"] for _, _, keys in log.lines if "lines" in keys] == [3]


def test_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptor is written to, and left open."""
    read, write = os.pipe()
    os.set_inheritable(write, True)  # as what an agent is started with
    monkeypatch.setitem(opening._STREAMS, "-", write)
    sink = open_sink(SimpleNamespace(export_filename="-"), silent)
    sink.write(b"one\n")
    sink.close(silent)
    os.write(write, b"still open\n")
    assert os.read(read, 100) == b"one\nstill open\n"
    os.close(read)
    os.close(write)


outcomes = st.lists(
    st.tuples(st.binary(max_size=12), st.lists(st.integers(-1, 30), max_size=5)), max_size=15
)


@pytest.mark.slow
@given(outcomes, st.integers(20, 60))
def test_any_course_of_a_target(course: list[tuple[bytes, list[int]]], limit: int) -> None:
    """However a target takes and refuses: whole lines, in order, and each lost one counted."""
    written = bytearray()
    replies: list[int] = []

    def write(_: int, data: bytes) -> int:
        reply = replies.pop(0) if replies else len(data)
        if reply < 0:
            raise OSError(errno.ENOSPC, "full")
        written.extend(data[: max(1, reply)])
        return min(len(data), max(1, reply))

    fd = os.memfd_create("target")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(stream, "_PENDING_LIMIT", limit)
        patch.setattr(stream.os, "write", write)
        sink = LineSink(fd, "target", owned=True)
        sent = []
        for number, (text, answers) in enumerate(course):
            line = b"%d " % number + text.replace(b"\n", b" ") + b"\n"
            sent.append(line)
            replies[:] = answers
            try:
                sink.write(line)
            except ExportError:
                assert sink.waiting <= limit
        replies.clear()
        sink.close(Recorder())
    got = [line + b"\n" for line in bytes(written).split(b"\n")]
    assert got.pop() == b"\n"  # nothing behind the last line feed
    assert all(line in sent for line in got)
    assert len(got) + sink.lost == len(sent)
    positions = [int(line.split(b" ")[0]) for line in got]
    assert positions == sorted(positions)


def test_figures(fifo: tuple[int, LineSink]) -> None:
    """Lines, bytes and the time of the last write; those that the reader left behind are lost."""
    reader, sink = fifo
    before = time.time()
    sink.write(b"one\ntwo\n", 2)
    sink.write(b"three\n")
    assert (sink.lines, sink.bytes, sink.failures, sink.lost) == (3, 14, 0, 0)
    assert before <= sink.last_write <= time.time()
    os.close(reader)
    sink.write(b"four\n")
    assert (sink.lines, sink.lost) == (3, 1)
    sink.close(silent)


def test_a_stream_does_not_rotate(fifo: tuple[int, LineSink]) -> None:
    """There is no file to begin."""
    reader, sink = fifo
    assert sink.rotate() is False
    sink.close(silent)
    os.close(reader)
