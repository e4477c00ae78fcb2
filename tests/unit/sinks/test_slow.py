# SPDX-License-Identifier: Apache-2.0
"""Readers that are slow, stall, or are stuck: nobody waits for them."""

from __future__ import annotations

import errno
import fcntl
import os
import pty
import socket
import termios
import threading
import tty
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.sink_tools import Recorder, refuse, silent
from tetrapy import nowait
from tetrapy.errors import ExportError
from tetrapy.sinks import stream
from tetrapy.sinks.open import open_file
from tetrapy.sinks.rules import FileRules
from tetrapy.sinks.stream import LineSink


@pytest.fixture
def fifo(tmp_path: Path) -> tuple[int, LineSink]:
    """The reader's end of a FIFO, and the sink at the other."""
    path = tmp_path / "fifo"
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    sink = open_file(str(path), FileRules(), silent)
    assert isinstance(sink, LineSink)
    return reader, sink


class Clock:
    """Time that passes by waiting only."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, sink: LineSink) -> None:
        self.now = 1000.0
        self._poll = sink._poll
        monkeypatch.setattr(sink, "_poll", self)
        monkeypatch.setattr(stream.time, "monotonic", lambda: self.now)

    def poll(self, milliseconds: float) -> list[tuple[int, int]]:
        ready = self._poll.poll(0)
        if not ready:
            self.now += milliseconds / 1000
        return ready


def test_a_reader_that_stalls(fifo: tuple[int, LineSink], monkeypatch: pytest.MonkeyPatch) -> None:
    """It is hardly waited for, told of after a second, and gets every line when it reads again."""
    reader, sink = fifo
    clock = Clock(monkeypatch, sink)
    lines = b"".join(b"line %d\n" % number for number in range(20_000))
    sink.write(lines)
    assert clock.now - 1000 == pytest.approx(stream.TIMEOUT)
    for _ in range(100):
        sink.write(b"more\n")
    assert clock.now - 1000 < 0.2
    assert sink.wants_push
    clock.now += 1
    with pytest.raises(
        ExportError, match=r"fifo: .*does not read; \d+ bytes wait, 0 lines are lost"
    ):
        sink.push()
    got = bytearray()
    while sink.wants_push:
        got += os.read(reader, 1 << 20)
        sink.push()
    got += os.read(reader, 1 << 20)
    assert bytes(got) == lines + b"more\n" * 100
    assert sink.lines == 20_100
    sink.close(silent)
    os.close(reader)


def test_a_reader_that_is_stuck_does_not_hold_the_stop(
    fifo: tuple[int, LineSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What it does not take within two seconds is lost, counted and told."""
    reader, sink = fifo
    clock = Clock(monkeypatch, sink)
    sink.write(b"line\n" * 100_000)
    log = Recorder()
    sink.close(log)
    assert clock.now - 1000 < 2.1
    assert sink.lines + sink.lost == 100_000
    assert log.lines[-1][2]["lines"] == sink.lost > 0
    os.close(reader)


def terminal() -> tuple[int, int]:
    """A terminal that was stopped by Ctrl-S, and its other end."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    termios.tcflow(slave, termios.TCOOFF)
    return master, slave


def shrunk_pipe() -> tuple[int, int]:
    reader, writer = os.pipe()
    fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, 4096)
    os.write(writer, b"x" * 100)
    return reader, writer


def connected() -> tuple[int, int]:
    one, other = socket.socketpair()
    return one.detach(), other.detach()


@pytest.mark.parametrize("kind", [terminal, shrunk_pipe, connected, os.pipe])
def test_a_target_that_blocks_is_never_waited_for(kind: Callable[[], tuple[int, int]]) -> None:
    """Though its descriptor blocks, as others who share it want it to, and does so afterwards."""
    reader, writer = kind()
    sink = LineSink(writer, "target", owned=False)
    thread = threading.Thread(target=lambda: sink.write(b"line\n" * 400_000), daemon=True)
    thread.start()
    thread.join(30)
    assert not thread.is_alive()
    assert sink.wants_push
    assert sink.lines + sink.waiting // 5 + sink.lost >= 399_999
    assert os.get_blocking(writer)
    sink._backlog.take()
    sink.close(silent)
    assert os.get_blocking(writer)
    os.close(reader)
    os.close(writer)


def test_a_pipe_without_proc(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where it cannot be opened once more, it is asked for room before each write."""
    monkeypatch.setattr(nowait.os, "open", refuse(errno.ENOENT))
    reader, writer = os.pipe()
    sink = LineSink(writer, "target", owned=False)
    sink.write(b"line\n" * 100_000)
    got = os.read(reader, 1 << 20)
    while sink.wants_push:
        sink.push()
        got += os.read(reader, 1 << 20)
    assert got == b"line\n" * 100_000
    sink.close(silent)
    os.close(reader)
    os.close(writer)


def test_a_line_that_its_reader_has_half_of(
    fifo: tuple[int, LineSink], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its rest is kept whatever the limit, so that the reader gets no torn line."""
    reader, sink = fifo
    Clock(monkeypatch, sink)
    sink._backlog._limit = 10
    line = b"x" * 200_000 + b"\n"
    with pytest.raises(ExportError, match="1 lines are lost"):
        sink.write(line + b"does not fit\n")
    got = bytearray()
    while len(got) < len(line):
        got += os.read(reader, 1 << 20)
        try:
            sink.tick(0.0)
        except ExportError:
            continue
    assert bytes(got) == line
    sink.close(Recorder())
    os.close(reader)
