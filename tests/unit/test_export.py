"""Events -> lines -> sink, and what is logged when the sink refuses them."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.unit.agent_run import Recorder
from tests.unit.records import NODE, SECOND, Task, World, execute, exit_of, fork
from tetrapy.events.json import Event, JsonEncoder
from tetrapy.export.aggregation import Aggregator
from tetrapy.export.exporter import Exporter
from tetrapy.export.rate_limit import RateLimiter
from tetrapy.export.stages import Stages
from tetrapy.sinks import stream
from tetrapy.sinks.stream import LineSink

INIT = Task(1, SECOND)
CHILD = Task(50, 2 * SECOND)


def events() -> list[Event]:
    records = [execute(INIT, Task(0)), fork(CHILD, INIT), execute(CHILD, INIT), exit_of(CHILD)]
    return World().dispatcher.events(records)


def open_file(path: str) -> LineSink:
    return LineSink(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), path, owned=True)


def exporter(sink: LineSink, log: Recorder) -> Exporter:
    return Exporter(JsonEncoder(NODE), sink, log, Stages(), lambda: "now")


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
    export.tick(0.0)
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


def staged(tmp_path: Path, stages: Stages) -> Exporter:
    sink = open_file(str(tmp_path / "x"))
    return Exporter(JsonEncoder(NODE), sink, Recorder(), stages, lambda: "now")


def lines_of(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "x").read_bytes().splitlines()]


def test_unwanted_events(tmp_path: Path) -> None:
    """They are counted and write nothing."""
    export = staged(tmp_path, Stages(wanted=lambda event: event.name == "process_exit"))
    export.export(events())
    export.close()
    assert [next(iter(line)) for line in lines_of(tmp_path)] == ["process_exit"]
    assert (export.passed, export.dropped) == (1, 2)


def test_a_rate_limit_tells_what_it_held_back(tmp_path: Path) -> None:
    """At the latest at the end, in an event that no filter drops."""
    limit = RateLimiter(1, time.monotonic_ns())
    export = staged(tmp_path, Stages(limiter=limit))
    export.export(events())
    export.close()
    first, last = lines_of(tmp_path)
    assert list(first) == ["process_exec", "node_name", "time"]
    assert last == {
        "rate_limit_info": {"number_of_dropped_process_events": "2"},
        "node_name": "host1",
        "time": "now",
    }
    assert (export.passed, export.rate_limited) == (3, 2)


def test_equal_events_become_one_line(tmp_path: Path) -> None:
    """The line says of how many; a single one says nothing."""
    export = staged(tmp_path, Stages(aggregator=Aggregator(3600 * SECOND, 10)))
    export.export([*events(), *events()])
    assert lines_of(tmp_path) == []
    export.close()
    counts = [line["aggregation_info"] for line in lines_of(tmp_path)]
    assert counts == [{"count": "2"}] * 3
    assert export.aggregated == 3


def test_a_change_of_the_body(tmp_path: Path) -> None:
    """A line shows what the change leaves; types that it does not ask for are as ever."""

    def change(kind: str) -> Any:
        return (lambda body: {"time": body["time"]}) if kind == "PROCESS_EXIT" else None

    export = staged(tmp_path, Stages(change=change))
    export.export(events())
    export.close()
    lines = lines_of(tmp_path)
    assert "process" in lines[0]["process_exec"]
    assert list(lines[2]["process_exit"]) == ["time"]
    assert lines[2]["node_name"] == "host1"


def test_nothing_is_written_without_a_target(tmp_path: Path) -> None:
    """What counts events is told of them all the same."""
    counted: list[int] = []
    stages = Stages(writes=False, counters=(lambda batch: counted.append(len(list(batch))),))
    export = staged(tmp_path, stages)
    export.export(events())
    export.close()
    assert counted == [3]
    assert lines_of(tmp_path) == []
