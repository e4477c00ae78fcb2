"""Events -> lines -> sink, and what is logged when the sink refuses them."""

from __future__ import annotations

import errno
import json
import os
from pathlib import Path

import pytest

from tests.unit.agent_run import Recorder
from tests.unit.records import NODE, SECOND, Task, World, execute, exit_of, fork
from tetrapy.events.json import Event, JsonEncoder, dump_with_json
from tetrapy.pipeline.exporter import Exporter
from tetrapy.sinks import stream
from tetrapy.sinks.stream import LineSink, open_file

INIT = Task(1, SECOND)
CHILD = Task(50, 2 * SECOND)


def events() -> list[Event]:
    records = [execute(INIT, Task(0)), fork(CHILD, INIT), execute(CHILD, INIT), exit_of(CHILD)]
    return World().dispatcher.events(records)


def exporter(sink: LineSink, log: Recorder) -> Exporter:
    return Exporter(JsonEncoder(NODE, dump_with_json), sink, log)


def test_a_batch_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All lines of a batch go to the kernel in one call."""
    log = Recorder()
    export = exporter(open_file(str(tmp_path / "x")), log)
    real, calls = os.write, []
    monkeypatch.setattr(stream.os, "write", lambda fd, data: calls.append(1) or real(fd, data))
    export.export(events())
    monkeypatch.undo()
    export.close()
    lines = (tmp_path / "x").read_bytes().splitlines()
    assert [next(iter(json.loads(line))) for line in lines] == [
        "process_exec",
        "process_exec",
        "process_exit",
    ]
    assert len(calls) == 1
    assert log.lines == []


def test_no_events(tmp_path: Path) -> None:
    """An empty batch writes nothing."""
    export = exporter(open_file(str(tmp_path / "x")), Recorder())
    export.export([])
    export.close()
    assert (tmp_path / "x").read_bytes() == b""


def test_a_target_that_fails_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One error when it begins to fail, one line when it works again, none between."""
    log = Recorder()
    export = exporter(open_file(str(tmp_path / "x")), log)
    real = os.write

    def write(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for turn in range(2):
        monkeypatch.setattr(stream.os, "write", write)
        for _ in range(5):
            export.export(events())
        monkeypatch.setattr(stream.os, "write", real)
        for _ in range(3):
            export.export(events())
        assert [line[:2] for line in log.lines] == [
            ("error", "Writing events"),
            ("info", "Writing events works again"),
        ] * (turn + 1)
        assert "No space left on device" in log.lines[0][2]["error"]
    export.close()
    assert len((tmp_path / "x").read_bytes().splitlines()) == 2 * 8 * 3


def test_lines_that_are_lost_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number is in the log when the target works again, and at the end."""
    monkeypatch.setattr(stream, "_PENDING_LIMIT", 2000)
    log = Recorder()
    export = exporter(open_file(str(tmp_path / "x")), log)
    real = os.write

    def write(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stream.os, "write", write)
    for _ in range(10):
        export.export(events())
    monkeypatch.setattr(stream.os, "write", real)
    export.export([])
    export.close()
    kept = len((tmp_path / "x").read_bytes().splitlines())
    assert 0 < kept < 30
    told = [value for _, _, keys in log.lines for key, value in keys.items() if "ines" in key]
    assert told[-2:] == [30 - kept, 30 - kept]


def test_a_reader_that_left(tmp_path: Path) -> None:
    """The exporter passes on that nobody reads, and logs no error for it."""
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    log = Recorder()
    export = exporter(open_file(str(tmp_path / "fifo")), log)
    export.export(events())
    assert not export.reader_is_gone
    os.close(reader)
    export.export(events())
    assert export.reader_is_gone
    export.close()
    assert log.lines == []
