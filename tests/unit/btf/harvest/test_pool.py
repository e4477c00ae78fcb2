# SPDX-License-Identifier: Apache-2.0
"""The processes in which inputs are read: what they die of, and what they leave."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import harvest_builders as b
from tests.support.harvest_builders import collect, hub
from tetrapy.btf.harvest import Options, Progress, harvest, limits, pool, task
from tetrapy.btf.harvest.journal import NAME
from tetrapy.btf.harvest.result import DAMAGED, DONE
from tetrapy.errors import FormatError


@pytest.mark.parametrize(
    ("fail", "text"),
    [
        (
            lambda: os.kill(os.getpid(), signal.SIGKILL),
            "the process that read it was killed by signal 9",
        ),
        (lambda: os._exit(3), "ended with exit code 3"),
        (lambda: bytearray(1 << 62), "takes more than 4 GiB of memory"),
        (lambda: int("x"), "unforeseen way: ValueError"),
        (lambda: signal.raise_signal(signal.SIGALRM), "takes more than 900 s"),
    ],
)
def test_an_input_takes_nobody_along(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fail: Callable[[], object], text: str
) -> None:
    """Whatever a worker dies of, its input is named, and the others are done."""
    original = task.make

    def make(path: str, *rest: object) -> object:
        if "bad" in path:
            fail()
        return original(path, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(task, "make", make)
    for name in ("1", "bad", "2", "3"):
        hub(tmp_path / "in", f"debian/{len(name)}/x86_64/{name}", b.kernel_btf())
    result = collect(tmp_path, tmp_path / "in", jobs=2)
    assert sorted(outcome.state for outcome in result.outcomes) == [DAMAGED, DONE, DONE, DONE]
    (damaged,) = result.of(DAMAGED)
    assert text in damaged.error


def test_a_worker_has_limits() -> None:
    """Address space and time of the process that reads an input are limited."""

    def look(_number: int) -> tuple[int, int]:
        import resource

        return resource.getrlimit(resource.RLIMIT_AS)[0], signal.alarm(0)

    (space, seconds) = next(
        event.result for event in pool.run(look, [0], 1) if isinstance(event, pool.Finished)
    )
    assert 0 < space <= limits.ADDRESS_SPACE
    assert 0 < seconds <= limits.SECONDS


def test_workers_end_with_the_harvest(tmp_path: Path) -> None:
    """A harvest that is broken off, as by an interrupt, leaves no process and no scratch file."""
    hub(tmp_path / "in", b.KEY, b.kernel_btf())
    hub(tmp_path / "in", b.KEY + "x", b.kernel_btf())

    def interrupt(_progress: Progress) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        harvest([str(tmp_path / "in")], str(tmp_path / "out"), Options(), b.UNPACKERS, interrupt)
    assert os.listdir(tmp_path / "out") == [NAME]
    assert len(collect(tmp_path, tmp_path / "in").of(DONE)) == 2


def test_an_error_of_many_kinds_is_reported_without_a_traceback() -> None:
    """A result that a worker raises as FormatError arrives as its text."""

    def work(number: int) -> int:
        if number:
            raise FormatError("is odd")
        return number

    ended = [event for event in pool.run(work, [0, 1], 1) if isinstance(event, pool.Finished)]
    assert ended == [pool.Finished(0, 0, ""), pool.Finished(1, None, "is odd")]


def test_a_worker_that_is_killed_between_inputs_is_reported() -> None:
    """Its next input is named, since nobody read it, and a new worker goes on."""
    events = pool.run(lambda number: os.getpid(), [0, 1, 2], 1)
    results = []
    for event in events:
        if isinstance(event, pool.Finished):
            results.append(event)
            if event.number == 0:
                os.kill(event.result, signal.SIGKILL)
                os.waitid(os.P_PID, event.result, os.WEXITED | os.WNOWAIT)
    assert [bool(event.error) for event in results] == [False, True, False]
    assert "killed by signal 9" in results[1].error
