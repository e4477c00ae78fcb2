"""Where lines go: files, standard output, FIFOs; and targets that refuse them."""

from __future__ import annotations

import errno
import os
import select
import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.agent_run import Recorder
from tetrapy.errors import ExportError
from tetrapy.sinks import stream
from tetrapy.sinks.stream import LineSink, open_file, standard_output


def silent(*_: object, **__: object) -> None:
    pytest.fail("nothing was to be logged")


def refuse(code: int, after: int = 0) -> Any:
    """An os.write that takes `after` bytes once and then fails."""
    left = [after]

    def write(fd: int, data: bytes) -> int:
        if left[0]:
            done, left[0] = real_write(fd, data[: left[0]]), 0
            return done
        raise OSError(code, os.strerror(code))

    return write


real_write = os.write


def test_a_new_file(tmp_path: Path) -> None:
    """It is made with mode 0600 and has the lines as they were written."""
    sink = open_file(str(tmp_path / "x.json"))
    sink.write(b"one\n")
    sink.write(b"two\nthree\n")
    sink.close(silent)
    assert (tmp_path / "x.json").read_bytes() == b"one\ntwo\nthree\n"
    assert stat.S_IMODE((tmp_path / "x.json").stat().st_mode) == 0o600


def test_each_batch_is_in_the_file_at_once(tmp_path: Path) -> None:
    """Nothing is held back for a later write."""
    sink = open_file(str(tmp_path / "x.json"))
    sink.write(b"one\n")
    assert (tmp_path / "x.json").read_bytes() == b"one\n"
    sink.close(silent)


def test_a_mode(tmp_path: Path) -> None:
    """The mode that is asked for, less the umask."""
    former = os.umask(0o022)
    try:
        open_file(str(tmp_path / "x"), 0o666).close(silent)
    finally:
        os.umask(former)
    assert stat.S_IMODE((tmp_path / "x").stat().st_mode) == 0o644


def test_a_file_that_is_there(tmp_path: Path) -> None:
    """Lines are added to its end, its mode is left alone, and other writers' lines stay."""
    path = tmp_path / "x.json"
    path.write_bytes(b"before\n")
    path.chmod(0o640)
    sink = open_file(str(path))
    sink.write(b"mine\n")
    with path.open("ab") as other:
        other.write(b"theirs\n")
    sink.write(b"mine again\n")
    sink.close(silent)
    assert path.read_bytes() == b"before\nmine\ntheirs\nmine again\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


def test_directories_are_made(tmp_path: Path) -> None:
    """A path below directories that are not there makes them."""
    open_file(str(tmp_path / "a/b/x.json")).close(silent)
    assert (tmp_path / "a/b/x.json").exists()


def test_a_name_without_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A relative name is in the working directory."""
    monkeypatch.chdir(tmp_path)
    open_file("x.json").close(silent)
    assert (tmp_path / "x.json").exists()


def test_a_directory(tmp_path: Path) -> None:
    """A directory is refused, and the message says what to name."""
    with pytest.raises(
        ExportError, match=rf"{tmp_path} is a directory; name a file in it.*tetrapy"
    ):
        open_file(str(tmp_path))


def test_below_a_file(tmp_path: Path) -> None:
    """The message names the part of the path that is no directory."""
    (tmp_path / "file").touch()
    for path in ("file/x.json", "file/a/b/x.json"):
        with pytest.raises(ExportError, match=f"{tmp_path}/file.* not a directory"):
            open_file(str(tmp_path / path))


def test_a_fifo_without_a_reader(tmp_path: Path) -> None:
    """It is refused at once instead of waited for."""
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(ExportError, match=r"fifo cannot be written.*FIFO that nobody reads"):
        open_file(str(tmp_path / "fifo"))


@pytest.fixture
def fifo(tmp_path: Path) -> tuple[int, LineSink]:
    """The reader's end of a FIFO, and the sink at the other."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    return reader, open_file(str(path))


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


def test_a_reader_that_stalls(fifo: tuple[int, LineSink], monkeypatch: pytest.MonkeyPatch) -> None:
    """The sink gives up after a while, keeps the lines, and goes on when it is read again."""
    monkeypatch.setattr(stream, "_PATIENCE", 0.01)
    reader, sink = fifo
    lines = b"".join(b"line %d\n" % number for number in range(20_000))
    with pytest.raises(ExportError, match=r"fifo: .*bytes wait, 0 lines are lost"):
        sink.write(lines)
    with pytest.raises(ExportError):
        sink.write(b"more\n")
    got = bytearray()
    for _ in range(1000):
        got.extend(os.read(reader, 1 << 20) if select.select([reader], [], [], 0)[0] else b"")
        try:
            sink.write(b"")
        except ExportError:
            continue
        if len(got) == len(lines) + 5:
            break
    assert bytes(got) == lines + b"more\n"
    sink.close(silent)
    os.close(reader)


def test_a_full_device() -> None:
    """No space is told with the target's name and what waits."""
    sink = open_file("/dev/full")
    with pytest.raises(ExportError, match="/dev/full: No space left on device; 4 bytes wait"):
        sink.write(b"one\n")
    log = Recorder()
    sink.close(log)
    assert log.lines[-1][0] == "error"
    assert log.lines[-1][2]["lines"] == 1


def test_lines_wait_for_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused is written before what comes later, in one piece."""
    sink = open_file(str(tmp_path / "x"))
    monkeypatch.setattr(stream.os, "write", refuse(errno.ENOSPC))
    for lines in (b"one\n", b"two\n"):
        with pytest.raises(ExportError):
            sink.write(lines)
    monkeypatch.setattr(stream.os, "write", real_write)
    sink.write(b"three\n")
    assert (tmp_path / "x").read_bytes() == b"one\ntwo\nthree\n"
    assert sink.lost == 0
    sink.close(silent)


def test_a_write_that_stops_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The rest of the line follows, so that no line is torn."""
    sink = open_file(str(tmp_path / "x"))
    monkeypatch.setattr(stream.os, "write", refuse(errno.ENOSPC, after=5))
    with pytest.raises(ExportError):
        sink.write(b"one\ntwo\n")
    assert (tmp_path / "x").read_bytes() == b"one\nt"
    monkeypatch.setattr(stream.os, "write", real_write)
    sink.write(b"three\n")
    assert (tmp_path / "x").read_bytes() == b"one\ntwo\nthree\n"
    sink.close(silent)


def test_what_waits_is_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Beyond the limit whole lines are dropped, the newest first, and counted."""
    monkeypatch.setattr(stream, "_PENDING_LIMIT", 100)
    sink = open_file(str(tmp_path / "x"))
    monkeypatch.setattr(stream.os, "write", refuse(errno.ENOSPC))
    for number in range(50):
        with pytest.raises(ExportError):
            sink.write(b"line %04d\n" % number)
        assert len(sink._pending) <= 100
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
    sink = open_file(str(tmp_path / "x"))
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


def test_lines_that_never_found_room_are_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At the end the log has the number of all lines that are lost."""
    sink = open_file(str(tmp_path / "x"))
    monkeypatch.setattr(stream.os, "write", refuse(errno.ENOSPC))
    with pytest.raises(ExportError):
        sink.write(b"one\ntwo\nthree\n")
    log = Recorder()
    sink.close(log)
    assert [keys["lines"] for _, _, keys in log.lines if "lines" in keys] == [3]


def test_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its descriptor is written to, and left open."""
    read, write = os.pipe()
    monkeypatch.setattr(stream, "_STANDARD_OUTPUT", write)
    sink = standard_output()
    sink.write(b"one\n")
    sink.close(silent)
    os.write(write, b"still open\n")
    assert os.read(read, 100) == b"one\nstill open\n"
    os.close(read)
    os.close(write)


outcomes = st.lists(
    st.tuples(st.binary(max_size=12), st.lists(st.integers(-1, 30), max_size=5)), max_size=15
)


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
                assert len(sink._pending) <= limit
        replies.clear()
        sink.close(Recorder())
    got = [line + b"\n" for line in bytes(written).split(b"\n")]
    assert got.pop() == b"\n"  # nothing behind the last line feed
    assert all(line in sent for line in got)
    assert len(got) + sink.lost == len(sent)
    positions = [int(line.split(b" ")[0]) for line in got]
    assert positions == sorted(positions)
