# SPDX-License-Identifier: Apache-2.0
"""A process ends with its last thread, whether its threads were reported, counted, or lost."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.connector_messages import Stage
from tetrapy.sensors.connector.messages import Gap

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A shell, 10, below init, both older than the agent."""
    stage = Stage(tmp_path)
    stage.procfs.add(1, parent=0, ticks=1)
    stage.procfs.add(10, parent=1)
    stage.seed()
    return stage


def test_threads_end_first(stage: Stage) -> None:
    """A process ends with its last thread, whichever that is, with that one's code."""
    stage.fork(10, 11)
    stage.fork(10, 11, tid=12)
    stage.fork(10, 11, tid=13)
    assert stage.exit(11, 0x100) is None
    assert stage.exit(11, 0x200, tid=13) is None
    event = stage.exit(11, 0x300, tid=12)
    assert event is not None
    assert event.status == 3


def test_exec_ends_threads(stage: Stage) -> None:
    """After an exec there is one thread; the end of a former one, told late, ends nothing."""
    stage.fork(10, 11)
    stage.fork(10, 11, tid=12)
    stage.procfs.add(11, parent=10, ticks=200)
    stage.exec(11)
    assert stage.exit(11, tid=12) is None
    assert stage.exit(11) is not None


def test_threads_of_an_older_process(stage: Stage) -> None:
    """The threads of a process that was there before are counted in procfs at the start."""
    for tid in (10, 14, 15):
        (stage.procfs.root / f"10/task/{tid}").mkdir(parents=True)
    stage.tracker.on_seed(stage.table.at(10))
    shutil.rmtree(stage.procfs.root / "10")
    assert stage.exit(10, tid=14) is None
    assert stage.exit(10) is None
    event = stage.exit(10, 0x100, tid=15)
    assert event is not None
    assert event.status == 1


def test_threads_that_were_not_counted(stage: Stage) -> None:
    """They are counted in procfs at the first end of one."""
    for tid in (10, 14, 15):
        (stage.procfs.root / f"10/task/{tid}").mkdir(parents=True)
    assert stage.exit(10, tid=14) is None
    assert stage.exit(10, tid=15) is None
    assert stage.exit(10) is not None


def test_threads_that_cannot_be_counted(stage: Stage) -> None:
    """Of a process that is gone, the first thread's end is waited for, and told once."""
    assert stage.exit(10, 0x100, tid=14) is None
    event = stage.exit(10, 0x200)
    assert event is not None
    assert event.status == 2
    assert stage.exit(10, tid=15) is None


def test_leader_of_an_older_process_ends_first(stage: Stage) -> None:
    """A leader that has ended does not count as one of the threads that are left."""
    stage.procfs.add(20, parent=1, state="Z")
    stage.procfs.add(21, parent=1)
    for pid in (20, 21):
        for tid in (pid, 80):
            (stage.procfs.root / f"{pid}/task/{tid}").mkdir(parents=True)
    stage.fork(1, 20)
    stage(Gap(5))
    assert stage.exit(20) is None
    assert stage.exit(20, tid=80) is not None


def test_threads_after_a_loss(stage: Stage) -> None:
    """After a loss nothing that was counted holds: procfs is asked again."""
    stage.fork(10, 11)
    stage.fork(10, 11, tid=12)
    stage(Gap(1))
    assert stage.exit(11) is not None
