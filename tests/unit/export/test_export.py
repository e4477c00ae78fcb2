# SPDX-License-Identifier: Apache-2.0
"""Events -> lines -> sink, and what is logged when the sink refuses them."""

from __future__ import annotations

import errno
import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.agent_run import Recorder
from tests.support.export_run import Export, subscribed
from tests.support.records import EPOCH, SECOND, Task, World, execute, exit_of, fork
from tetrapy.events.event import Event
from tetrapy.export.aggregation import Aggregator
from tetrapy.export.fanout import Fanout
from tetrapy.export.rate_limit import RateLimiter
from tetrapy.export.stages import Stages
from tetrapy.export.subscription import Subscription
from tetrapy.sinks import stream
from tetrapy.sinks.stream import LineSink

INIT = Task(1, SECOND)
CHILD = Task(50, 2 * SECOND)


def events() -> list[Event]:
    records = [execute(INIT, Task(0)), fork(CHILD, INIT), execute(CHILD, INIT), exit_of(CHILD)]
    return World().dispatcher.events(records)


def open_file(path: str) -> LineSink:
    return LineSink(os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT), path, owned=True)


def test_a_batch_is_one_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """All lines of a batch go to the kernel in one call."""
    log = Recorder()
    export = subscribed(open_file(str(tmp_path / "x")), log)
    real, calls = os.write, []
    monkeypatch.setattr(stream.os, "write", lambda fd, data: calls.append(1) or real(fd, data))
    export.fanout.publish(events())
    monkeypatch.undo()
    export.subscription.close()
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
    export = subscribed(open_file(str(tmp_path / "x")), Recorder())
    export.fanout.publish([])
    export.subscription.close()
    assert (tmp_path / "x").read_bytes() == b""


def test_a_target_that_fails_is_reported_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One error when it begins to fail, one line when it works again, none between."""
    log = Recorder()
    export = subscribed(open_file(str(tmp_path / "x")), log)
    real = os.write

    def write(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    for turn in range(2):
        monkeypatch.setattr(stream.os, "write", write)
        for _ in range(5):
            export.fanout.publish(events())
        monkeypatch.setattr(stream.os, "write", real)
        for _ in range(3):
            export.fanout.publish(events())
        assert [line[:2] for line in log.lines] == [
            ("error", "Writing events"),
            ("info", "Writing events works again"),
        ] * (turn + 1)
        assert "No space left on device" in log.lines[0][2]["error"]
    export.subscription.close()
    assert len((tmp_path / "x").read_bytes().splitlines()) == 2 * 8 * 3


def test_lines_that_are_lost_are_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their number is in the log when the target works again, and at the end."""
    monkeypatch.setattr(stream, "_PENDING_LIMIT", 2000)
    log = Recorder()
    export = subscribed(open_file(str(tmp_path / "x")), log)
    real = os.write

    def write(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stream.os, "write", write)
    for _ in range(10):
        export.fanout.publish(events())
    monkeypatch.setattr(stream.os, "write", real)
    export.fanout.tick(0.0)
    export.subscription.close()
    kept = len((tmp_path / "x").read_bytes().splitlines())
    assert 0 < kept < 30
    reported = [value for _, _, keys in log.lines for key, value in keys.items() if "ines" in key]
    assert reported[-2:] == [30 - kept, 30 - kept]


def test_a_reader_that_left(tmp_path: Path) -> None:
    """The exporter passes on that nobody reads, and logs no error for it."""
    os.mkfifo(tmp_path / "fifo")
    reader = os.open(tmp_path / "fifo", os.O_RDONLY | os.O_NONBLOCK)
    log = Recorder()
    export = subscribed(open_file(str(tmp_path / "fifo")), log)
    export.fanout.publish(events())
    assert not export.fanout.reader_is_gone
    os.close(reader)
    export.fanout.publish(events())
    assert export.fanout.reader_is_gone
    export.subscription.close()
    assert log.lines == []


def staged(tmp_path: Path, stages: Stages) -> Export:
    return subscribed(open_file(str(tmp_path / "x")), Recorder(), stages)


def lines_of(tmp_path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (tmp_path / "x").read_bytes().splitlines()]


def test_unwanted_events(tmp_path: Path) -> None:
    """They are counted and write nothing."""
    export = staged(tmp_path, Stages(wanted=lambda event: event.name == "process_exit"))
    export.fanout.publish(events())
    export.subscription.close()
    assert [next(iter(line)) for line in lines_of(tmp_path)] == ["process_exit"]
    assert (export.subscription.passed, export.subscription.dropped) == (1, 2)


def test_a_rate_limit_tells_what_it_held_back(tmp_path: Path) -> None:
    """At the latest at the end, in an event that no filter drops."""
    limit = RateLimiter(1, time.monotonic_ns())
    export = staged(tmp_path, Stages(limiter=limit))
    export.fanout.publish(events())
    export.subscription.close()
    first, last = lines_of(tmp_path)
    assert list(first) == ["process_exec", "node_name", "time"]
    assert last == {
        "rate_limit_info": {"number_of_dropped_process_events": "2"},
        "node_name": "host1",
        "time": "2026-01-01T00:00:00Z",
    }
    assert (export.subscription.passed, export.subscription.rate_limited) == (3, 2)


def test_equal_events_become_one_line(tmp_path: Path) -> None:
    """The line says of how many; a single one says nothing."""
    export = staged(tmp_path, Stages(aggregator=Aggregator(3600 * SECOND, 10)))
    export.fanout.publish([*events(), *events()])
    assert lines_of(tmp_path) == []
    export.subscription.close()
    counts = [line["aggregation_info"] for line in lines_of(tmp_path)]
    assert counts == [{"count": "2"}] * 3
    assert export.subscription.aggregated == 3


def test_a_change_of_the_body(tmp_path: Path) -> None:
    """A line shows what the change leaves; types that it does not ask for are as ever."""

    def change(kind: str) -> Any:
        return (lambda body: {"time": body["time"]}) if kind == "PROCESS_EXIT" else None

    export = staged(tmp_path, Stages(change=change))
    export.fanout.publish(events())
    export.subscription.close()
    lines = lines_of(tmp_path)
    assert "process" in lines[0]["process_exec"]
    assert list(lines[2]["process_exit"]) == ["time"]
    assert lines[2]["node_name"] == "host1"


def test_nothing_is_written_without_a_target(tmp_path: Path) -> None:
    """What counts events is told of them all the same."""
    counted: list[int] = []
    sink = open_file(str(tmp_path / "x"))
    counters = (lambda batch: counted.append(len(list(batch))),)
    export = subscribed(sink, Recorder(), Stages(writes=False), counters=counters)
    export.fanout.publish(events())
    export.subscription.close()
    assert counted == [3]
    assert lines_of(tmp_path) == []


class Stream:
    """A target that keeps what it gets, as the stream of a client would."""

    wants_push = reader_is_gone = False

    def __init__(self) -> None:
        self.writes: list[list[bytes]] = []

    def write(self, lines: list[bytes], events: list[Event]) -> None:
        assert len(lines) == len(events)
        self.writes.append(list(lines))

    def tick(self, now: float) -> None:
        pass

    def push(self) -> None:
        pass

    def close(self) -> None:
        pass


class Names:
    """An encoder of its own."""

    cut_lines = cut_ancestors = 0

    def encode(self, event: Event, change: Any = None, count: int = 1) -> bytes:
        return f"{event.name} {count}".encode()


def test_each_subscription_has_its_own_way(tmp_path: Path) -> None:
    """Filters, windows, encoding and target of one are nothing to another; counters see all."""
    log = Recorder()
    _, lines, target = subscribed(open_file(str(tmp_path / "x")), log)
    exits, counted = Stream(), Stream()
    only_exits = Stages(wanted=lambda event: event.name == "process_exit")
    merged = Stages(aggregator=Aggregator(3600 * SECOND, 10))
    first = Subscription(only_exits, Names(), exits, lambda: EPOCH)
    second = Subscription(merged, Names(), counted, lambda: EPOCH)
    seen: list[Event] = []
    fanout = Fanout([lines, first, second], log, [seen.extend])
    fanout.publish(events())
    fanout.publish(events())
    assert exits.writes == [[b"process_exit 1"]] * 2
    assert counted.writes == []
    second.close()
    assert counted.writes == [[b"process_exec 2", b"process_exec 2", b"process_exit 2"]]
    target.close()
    assert len(lines_of(tmp_path)) == len(seen) == 6
    assert [(one.passed, one.dropped) for one in (lines, first, second)] == [(6, 0), (2, 4), (6, 0)]
    assert (fanout.passed, fanout.dropped) == (14, 4)


def test_many_large_lines_are_several_writes() -> None:
    """No more than half a megabyte of lines, or one line, waits for the end of a batch."""

    class Large(Names):
        def encode(self, event: Event, change: Any = None, count: int = 1) -> bytes:
            return bytes(200 << 10)

    for stages in (Stages(), Stages(limiter=RateLimiter(10**6, 0))):
        stream = Stream()
        fanout = Fanout([Subscription(stages, Large(), stream, lambda: EPOCH)], Recorder())
        fanout.publish(events() * 3)
        assert [len(lines) for lines in stream.writes] == [3, 3, 3]


def test_a_long_batch_gives_signs_of_life() -> None:
    """Every 64 events, and every 64 lines that a window gives at once."""
    signs: list[int] = []
    stages = Stages(aggregator=Aggregator(3600 * SECOND, 10**6))
    subscription = Subscription(stages, Names(), Stream(), lambda: EPOCH)
    fanout = Fanout([subscription], Recorder())
    fanout.report_to(lambda: signs.append(1))
    fanout.publish([event for _ in range(60) for event in events()])
    assert len(signs) == 3
    subscription.replace_stages(Stages(limiter=RateLimiter(10**6, 0)))
    signs.clear()
    subscription.take([event for _ in range(60) for event in events()])
    assert len(signs) == 3
