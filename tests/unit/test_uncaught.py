# SPDX-License-Identifier: Apache-2.0
"""Errors that nobody expected: what is told of them, wherever they come from."""

from __future__ import annotations

import errno
import gc
import os
import sys
import threading
from typing import Any

import pytest

from tests.support.agent_run import FakeSensor, Recorder, Run
from tetrapy import uncaught as module
from tetrapy.cli import main as entry
from tetrapy.config.sources import read
from tetrapy.daemon.agent import Agent
from tetrapy.uncaught import Uncaught


@pytest.fixture
def reported(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    """The log of one that watches."""
    log = Recorder()
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    log.uncaught = Uncaught(log)
    log.uncaught.watch()
    return log


def fail() -> None:
    raise ValueError("so it is")


def only(log: Recorder) -> dict[str, Any]:
    ((level, message, keys),) = log.lines
    assert (level, message) == ("fatal", "Unexpected error, stopping")
    assert log.uncaught.seen
    return keys


def test_where_it_was(reported: Recorder) -> None:
    """The innermost call comes first, by its file in the sources."""
    try:
        fail()
    except ValueError as err:
        reported.uncaught.report(err)
    keys = only(reported)
    assert keys["error"] == "ValueError: so it is"
    first, second = keys["at"].split(" < ")
    assert first.endswith(" fail")
    assert second.endswith(" test_where_it_was")
    assert "report" in keys["hint"]


def test_a_file_of_the_agent(reported: Recorder) -> None:
    """Its name does not depend on where the agent lies."""
    try:
        read(["--log-level"], None)  # type: ignore[arg-type] # that is the mistake
    except Exception as err:  # noqa: BLE001
        reported.uncaught.report(err)
    assert only(reported)["at"].startswith("tetrapy/config/")


def test_in_a_thread(reported: Recorder) -> None:
    """The line names the thread."""
    thread = threading.Thread(target=fail, name="backups")
    thread.start()
    thread.join()
    assert only(reported)["thread"] == "backups"


def test_a_thread_that_exits(reported: Recorder) -> None:
    """To exit is no error."""
    thread = threading.Thread(target=sys.exit)
    thread.start()
    thread.join()
    assert reported.lines == []


@pytest.mark.slow
def test_what_cannot_be_raised(reported: Recorder) -> None:
    """The end of an object that fails."""

    class Odd:
        def __del__(self) -> None:
            fail()

    Odd()
    gc.collect()
    keys = only(reported)
    assert "Odd.__del__" in keys["within"]
    assert " fail" in keys["at"]


@pytest.mark.parametrize(
    "err",
    [
        MemoryError(),
        OSError(errno.EMFILE, os.strerror(errno.EMFILE), "/x"),
        ImportError("/usr/lib/x.so: failed to map segment from shared object"),
    ],
)
def test_what_is_used_up(reported: Recorder, err: BaseException) -> None:
    """It is no defect: a limit is to be raised."""
    reported.uncaught.report(err)
    assert "raise the limit" in only(reported)["hint"]


def test_bounds(reported: Recorder) -> None:
    """Neither a recursion nor an error's own words make the line long."""

    def deep(n: int) -> None:
        deep(n + 1)

    class Wordless(Exception):
        def __str__(self) -> str:
            raise KeyError

    try:
        deep(0)
    except RecursionError as err:
        reported.uncaught.report(err)
    reported.uncaught.report(Wordless())
    reported.uncaught.report(ValueError("x" * 100_000))
    assert all(len(str(keys)) < 3000 for _, _, keys in reported.lines)


@pytest.mark.parametrize("err", [ValueError("odd"), MemoryError(), OSError(errno.EMFILE, "full")])
def test_in_the_loop(run: Run, monkeypatch: pytest.MonkeyPatch, err: Exception) -> None:
    """What was acquired is given back and the exit code is the documented one."""

    class Sensor(FakeSensor):
        def drain(self, limit: int, everything: bool = False) -> list[bytes]:
            raise err

    sensor = Sensor([])
    run.use(sensor)
    monkeypatch.setattr(threading, "excepthook", threading.excepthook)
    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    flags = [f"--procfs={run.procfs.root}/", "--sensor=ebpf", f"--export-filename={run.path}/x"]
    settings = read(flags, {})
    code = entry._run_agent(settings, run.log, lambda: settings)
    assert code == module.EXIT_UNCAUGHT == 70
    assert run.log.messages[-1] == "Unexpected error, stopping"
    assert sensor.course[-1] == "close"
    assert os.listdir(run.path / "run") == []


@pytest.mark.slow
def test_a_thread_ends_the_run(run: Run) -> None:
    """The loop stops in order: what is in the buffer is still reported."""
    sensor = FakeSensor([], [], [])
    run.use(sensor)
    flags = [f"--procfs={run.procfs.root}/", "--sensor=ebpf", f"--export-filename={run.path}/x"]
    Agent(read(flags, {}), run.log, None, lambda: True).run()
    assert run.log.messages[-1] == "Observer events statistics"
    assert sensor.course[-2:] == ["detach", "close"]


@pytest.fixture
def run(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> Run:
    return Run(tmp_path, monkeypatch)


def test_before_there_is_a_log(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """It is one line on standard error."""
    monkeypatch.setattr(entry, "combine", lambda *_: fail())
    assert entry.main([]) == 70
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("Error: unexpected: ValueError: so it is, at ")
