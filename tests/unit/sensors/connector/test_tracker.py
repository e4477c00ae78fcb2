# SPDX-License-Identifier: Apache-2.0
"""Process table and events of the process connector follow the rules of those of eBPF."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.connector_messages import SECOND, Stage
from tests.support.records import EPOCH
from tetrapy.events.flags import flag_words
from tetrapy.events.json import JsonEncoder
from tetrapy.process.details import Wanted
from tetrapy.sensors.connector.messages import Exec
from tetrapy.sensors.connector.snapshot import take_snapshot

if TYPE_CHECKING:
    from pathlib import Path

DOCKER = "ab" * 32
MISSING = "execve procFS miss errorFilename errorArgs"


@pytest.fixture
def stage(tmp_path: Path) -> Stage:
    """A shell, 10, below init, both older than the agent."""
    stage = Stage(tmp_path)
    stage.procfs.add(1, parent=0, ticks=1, exe="/sbin/init", argv=(b"init",), cwd="/")
    stage.procfs.add(10, parent=1, auid=1000, argv=(b"sh", b"-i"))
    stage.seed()
    return stage


def words(event) -> str:
    return flag_words(event.process.flags)


def test_fork_and_exec(stage: Stage) -> None:
    """The first exec of a fork has the flag `clone` and the forking process as its parent."""
    stage.fork(10, 11)
    stage.procfs.add(
        11, parent=10, ticks=200, exe="/bin/ls", argv=(b"ls", b"-l", b"a b"), uid=(5,) * 4
    )
    event = stage.exec(11)
    process = event.process
    assert words(event) == "execve procFS clone"
    assert (process.binary, process.arguments, process.cwd) == ("/bin/ls", '-l "a b"', "/root")
    assert (process.uid, process.ktime, process.start) == (5, 3 * SECOND, 2 * SECOND)
    assert event.parent is stage.table.at(10)
    assert event.parent.arguments == "-i"
    assert process.parent_exec_id == event.parent.exec_id
    ended = stage.exit(11, 0x300)
    assert ended is not None
    assert (ended.process, ended.parent, ended.status) == (process, event.parent, 3)
    assert ended.time == EPOCH + 4 * SECOND
    assert stage.table.at(11) is None


def test_fork_without_exec(stage: Stage) -> None:
    """A process that only forked is reported at its end, as a copy of its parent."""
    stage.fork(10, 11)
    event = stage.exit(11, 9)
    assert event is not None
    assert (event.signal, event.process.refcnt) == ("SIGKILL", 1)
    assert (event.process.binary, event.process.auid) == ("/bin/sh", 1000)
    assert words(event) == "execve procFS"


def test_exec_without_fork(stage: Stage) -> None:
    """The second exec of a process has the image before as its parent, and no `clone`."""
    stage.fork(10, 11)
    stage.procfs.add(11, parent=10, ticks=200)
    first = stage.exec(11, at=3)
    second = stage.exec(11, at=3.5)
    assert second.parent is first.process
    assert words(second) == "execve procFS"
    assert second.process.start == first.process.start


def test_gone_before_the_look(stage: Stage) -> None:
    """Of a process that is gone, user, directory and parent stay known; the image is not."""
    stage.fork(10, 11)
    event = stage.exec(11)
    process = event.process
    assert words(event) == MISSING + " clone"
    assert (process.binary, process.arguments) == ("", "")
    assert (process.uid, process.auid, process.cwd) == (0, 1000, "/root")
    assert event.parent is stage.table.at(10)


def test_ended_before_the_look(stage: Stage) -> None:
    """A process that ended and was not waited for still has the name of its binary."""
    stage.fork(10, 11)
    stage.procfs.add(11, parent=10, ticks=200, comm=b"ls", state="Z")
    event = stage.exec(11, image=False)
    assert (event.process.binary, event.process.arguments) == ("ls", "")
    assert words(event) == MISSING + " clone"


def test_name_of_a_process_that_was_not_seen(stage: Stage) -> None:
    """The name that a process gives itself stands for a binary that could not be read."""
    stage.fork(10, 11)
    event = stage.exec(11)
    event.process.json = b"{}"
    stage.name(11, b"worker")
    assert (event.process.binary, event.process.json) == ("worker", None)
    stage.name(11, b"thread", tid=12)
    assert event.process.binary == "worker"


def test_name_of_a_process_that_was_seen(stage: Stage) -> None:
    """A binary that was read keeps its path whatever the process calls itself."""
    stage.name(10, b"worker")
    assert stage.table.at(10).binary == "/bin/sh"


def test_pid_with_a_new_owner(stage: Stage) -> None:
    """A look that shows a process younger than the exec shows another process."""
    stage.fork(10, 11, at=2)
    stage.procfs.add(11, parent=1, ticks=900, exe="/bin/other", comm=b"other")
    event = stage.exec(11, at=3)
    assert event.process.binary == ""
    assert "miss" in words(event)


def test_copy_of_an_image_that_was_not_seen(stage: Stage) -> None:
    """A fork of a process whose image is not known has no known image either."""
    stage.fork(10, 11)
    stage.exec(11)
    stage.fork(11, 12)
    event = stage.exit(12)
    assert event is not None
    assert words(event) == MISSING


def test_new_user(stage: Stage) -> None:
    """Events after a change of the user show the new one, encoded anew."""
    encoder = JsonEncoder("host1")
    stage.fork(10, 11)
    stage.procfs.add(11, parent=10, ticks=200)
    assert b'"pid":11,"uid":0' in encoder.encode(stage.exec(11))
    stage.owner(11, 77)
    assert b'"pid":11,"uid":77' in encoder.encode(stage.exit(11))


def test_user_of_a_thread(stage: Stage) -> None:
    """One thread with another user does not change the process."""
    stage.owner(10, 77, tid=99)
    assert stage.table.at(10).uid == 0


def test_parent_that_ended(stage: Stage) -> None:
    """A process whose parent ended before its exec has the one that took it over as parent."""
    stage.fork(10, 11)
    stage.fork(11, 12)
    stage.exit(11)
    stage.procfs.add(12, parent=1, ticks=200)
    assert stage.exec(12).parent is stage.table.at(1)


def test_parent_that_ended_after_the_exec(stage: Stage) -> None:
    """A parent that is gone at the look only was the parent at the exec."""
    stage.fork(10, 11)
    stage.fork(11, 12)
    stage.procfs.add(12, parent=1, ticks=200)
    parent = stage.table.at(11)
    assert stage.exec(12).parent is parent


def test_process_that_procfs_showed_first(stage: Stage) -> None:
    """A fork that was reported while procfs was read does not replace what procfs showed."""
    stage.procfs.add(11, parent=10, ticks=199, exe="/bin/ls")
    stage.seed()
    before = stage.table.at(11)
    stage.fork(10, 11, at=2.0)
    assert stage.table.at(11) is before


def test_pid_is_used_again(stage: Stage) -> None:
    """A fork replaces an older process with the same pid, whose exit was lost."""
    stage.procfs.add(11, parent=1, ticks=100, exe="/bin/old")
    stage.seed()
    shutil.rmtree(stage.procfs.root / "11")
    stage.fork(10, 11, at=9)
    assert stage.table.at(11).binary == "/bin/sh"


def test_fork_of_an_unknown_process(stage: Stage) -> None:
    """A parent whose own fork was lost is read from procfs, with its parents."""
    stage.procfs.add(20, parent=10, ticks=150, exe="/bin/a")
    stage.procfs.add(21, parent=20, ticks=160, exe="/bin/b")
    stage.fork(21, 22)
    process = stage.table.at(22)
    assert (process.binary, process.parent.binary) == ("/bin/b", "/bin/b")
    assert process.parent.parent is stage.table.at(20)
    assert process.parent.parent.parent is stage.table.at(10)


def test_fork_of_a_process_that_is_gone(stage: Stage) -> None:
    """Without a parent anywhere, the fork is reported with what is missing."""
    stage.fork(77, 78)
    event = stage.exit(78)
    assert event is not None
    assert event.parent is None
    assert words(event) == MISSING
    assert event.process.parent_exec_id == stage.processes.kernel.exec_id


def test_exec_of_an_unknown_process(stage: Stage) -> None:
    """An exec whose fork was lost has the parent that procfs shows."""
    stage.procfs.add(30, parent=10, ticks=250, exe="/bin/ls")
    event = stage.exec(30)
    assert event.parent is stage.table.at(10)
    assert words(event) == "execve procFS"
    assert event.process.start == 250 * 10_000_000


def test_exit_of_an_unknown_process(stage: Stage) -> None:
    """An exit whose beginning was lost is reported with what is left of the process."""
    stage.procfs.add(30, parent=10, ticks=250, comm=b"ls", state="Z")
    event = stage.exit(30, 0x100)
    assert event is not None
    assert (event.process.binary, event.status) == ("ls", 1)
    assert event.parent is stage.table.at(10)
    assert words(event).startswith(MISSING)


def test_exit_of_a_process_that_left_nothing(stage: Stage) -> None:
    """Where nothing is left, the pid and the status are reported, once."""
    event = stage.exit(31, 0x100)
    assert event is not None
    line = JsonEncoder("host1").encode(event)
    assert b'{"process_exit":{"process":{"pid":31},"status":1,' in line
    assert stage.exit(31) is None


def test_exit_while_starting(stage: Stage) -> None:
    """A process that nobody saw and that ended before procfs was read is not reported."""
    stage.tracker.starting = True
    assert stage.exit(31) is None


def test_container(stage: Stage) -> None:
    """What the first process of a container starts is in its tree, before any look too."""
    stage.fork(10, 11)
    stage.procfs.add(11, parent=10, ticks=200, cgroup=f"0::/docker/{DOCKER}", nspid="11 1")
    event = stage.exec(11)
    assert event.process.docker == DOCKER[:31]
    assert words(event) == "execve procFS clone inInitTree"
    stage.fork(11, 12)
    gone = stage.exec(12)
    assert gone.process.docker == DOCKER[:31]
    assert words(gone) == MISSING + " clone inInitTree"


def test_directories(stage: Stage) -> None:
    """The root directory has its flag; a directory that could not be read stays as it was."""
    stage.fork(1, 11)
    assert words(stage.exec(11)) == "execve procFS miss errorFilename errorArgs rootcwd clone"
    stage.fork(10, 12)
    stage.procfs.add(12, parent=10, ticks=200, cwd=None)
    event = stage.exec(12)
    assert event.process.cwd == "/root"
    assert words(event) == "execve procFS miss clone"


def test_directory_that_nobody_knows(stage: Stage) -> None:
    """As in the walk of procfs, a directory that cannot be read has `rootcwd errorCWD`."""
    event = stage.exec(50)
    assert words(event) == "execve procFS miss errorFilename errorArgs rootcwd errorCWD"


class Redactor:
    def redact(self, binary: str, arguments: str, environment, _=None):
        return arguments.replace("secret", "*****"), environment


def test_details(tmp_path: Path) -> None:
    """What the settings ask for is read of a process that is there; of one that is gone, what its
    parent had stays known.
    """
    stage = Stage(tmp_path, Wanted(credentials=True, environment=True, redactor=Redactor()))
    stage.procfs.add(10, parent=0)
    stage.seed()
    stage.procfs.add(11, parent=10, ticks=200, argv=(b"ls", b"secret"))
    (stage.procfs.root / "11/environ").write_bytes(b"A=1\0B\0")
    status = stage.procfs.root / "11/status"
    caps = "CapInh:\t0\nCapPrm:\t3\nCapEff:\t1\n"
    status.write_text(status.read_text() + caps)
    seen = take_snapshot(stage.root, 11, environment=True)
    (event,) = stage(Exec(11, 3 * SECOND, seen))
    process = event.process
    assert process.arguments == "*****"
    assert process.environment == (("A", "1"), ("invalid", "B"))
    assert (process.capabilities.permitted, process.capabilities.effective) == (3, 1)
    stage.fork(11, 12)
    child = stage.table.at(12)
    assert child.capabilities == process.capabilities
    assert child.environment == process.environment
    gone = stage.exec(12).process
    assert gone.capabilities == process.capabilities
    assert gone.environment == ()


def test_ancestors(tmp_path: Path) -> None:
    """Events show the ancestors when the settings ask for them."""
    stage = Stage(tmp_path, ancestors=True)
    stage.procfs.add(1, parent=0, exe="/sbin/init")
    stage.procfs.add(10, parent=1)
    stage.seed()
    stage.fork(10, 11)
    event = stage.exec(11)
    assert [one.pid for one in event.ancestors] == [1]
    assert all(one.start_time for one in event.ancestors)
    ended = stage.exit(11)
    assert ended is not None
    assert ended.ancestors == event.ancestors


def test_handler(stage: Stage) -> None:
    """What the loop asks of a handler beyond events."""
    handler = stage.dispatcher
    handler.refresh_clock()
    handler.seeded([])
    handler.starting = True
    assert (handler.starting, handler.errors, handler.tick(5)) == (True, 0, [])
    assert handler._sensor.checked == 1
    assert handler.seed_event(stage.table.at(10)).process.pid == 10


def test_suspended_time_is_added(stage: Stage) -> None:
    """Records count without suspended time, events with it."""
    stage.dispatcher.clock_gap = 5 * SECOND
    stage.fork(10, 11, at=2)
    assert stage.table.at(11).ktime == 7 * SECOND
