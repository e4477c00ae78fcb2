# SPDX-License-Identifier: Apache-2.0
"""Random lives: whatever processes do, the connector tells of each image and each end once."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.connector_messages import SECOND, NoFlow
from tests.support.records import wall_clock
from tetrapy.events.exec import ProcessExec
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.connector.dispatch import ConnectorDispatcher
from tetrapy.sensors.connector.messages import Exec, Exit, Fork, Gap, Name, Owner, Record
from tetrapy.sensors.connector.snapshot import Snapshot
from tetrapy.sensors.connector.tracker import ConnectorTracker

STEPS = st.lists(
    st.tuples(
        st.sampled_from(["fork", "thread", "exec", "missed", "owner", "name", "exit", "gap"]),
        st.integers(0, 1000),
        st.integers(0, 3),
    ),
    max_size=80,
)
PIDS = 8  # few, so that they are used again


class World:
    """Processes with threads, and what they send; it knows what has to be reported."""

    def __init__(self) -> None:
        self.time = 10 * SECOND
        self.threads: dict[int, list[int]] = {1: [1]}
        self.uids = {1: 0}
        self.records: list[Record] = []
        self.reported: list[tuple[Any, ...]] = []  # in the order of the records

    def step(self, what: str, chosen: int, code: int) -> None:
        self.time += SECOND
        pid = sorted(self.threads)[chosen % len(self.threads)]
        threads = self.threads[pid]
        tid = threads[chosen % len(threads)]
        free = [number for number in range(2, 2 + PIDS) if number not in self.threads]
        if what == "fork" and free:
            child = free[chosen % len(free)]
            self.records.append(Fork(child, child, pid, self.time))
            self.threads[child] = [child]
            self.uids[child] = self.uids[pid]
        elif what == "thread":
            self.records.append(Fork(pid, 100 * pid + chosen, 1, self.time))
            if 100 * pid + chosen not in threads:
                threads.append(100 * pid + chosen)
        elif what in {"exec", "missed"}:
            seen = None if what == "missed" else self.look(pid, chosen)
            self.records.append(Exec(pid, self.time, seen))
            self.threads[pid] = [pid]
            self.reported.append(("exec", pid, "miss" if seen is None else f"/bin/{chosen}"))
        elif what == "owner":
            self.records.append(Owner(pid, pid, chosen, chosen, self.time))
            self.uids[pid] = chosen
        elif what == "name":
            self.records.append(Name(pid, tid, b"name", self.time))
        elif what == "exit" and (pid, len(threads)) != (1, 1):
            self.records.append(Exit(pid, tid, code << 8, self.time))
            threads.remove(tid)
            if not threads:
                del self.threads[pid]
                self.reported.append(("exit", pid, code, self.uids.pop(pid)))

    def look(self, pid: int, image: int) -> Snapshot:
        name = f"/bin/{image}".encode()
        uid = self.uids[pid]
        return Snapshot(
            True, name, name + b"\0x\0", b"/tmp", b"name", 1, 0, uid, uid, 0, "", 0, b""
        )


def run(records: list[Record], root: str) -> tuple[list[Any], ProcessTable]:
    table = ProcessTable("host1", root)
    dispatcher = ConnectorDispatcher(ConnectorTracker(table, wall_clock(), root), NoFlow())
    dispatcher.events([Fork(1, 1, 0, 0)])
    return dispatcher.events(records), table


@pytest.mark.slow
@given(STEPS)
def test_what_happened_is_reported(steps: list[tuple[str, int, int]]) -> None:
    """Each exec and the end of each process has one event, with its image, code and user; the
    table holds what lives, and every parent_exec_id is that of the parent shown.
    """
    world = World()
    for step in steps:
        if step[0] != "gap":
            world.step(*step)
    events, table = run(world.records, "")
    reported = []
    for event in events:
        process = event.process
        if isinstance(event, ProcessExec):
            missed = "miss" if process.flags & 0x40 else process.binary
            reported.append(("exec", process.pid, missed))
        else:
            reported.append(("exit", process.pid, event.status, process.uid))
        assert event.parent is not None
        assert process.parent_exec_id == event.parent.exec_id
        assert process.flags & 0x5 == 0x5
    assert reported == world.reported
    assert {process.pid for process in table} == {0, *world.threads}
    assert {process.pid: process.uid for process in table if process.pid} == world.uids


@pytest.mark.slow
@given(STEPS, st.data())
def test_losses(steps: list[tuple[str, int, int]], data: st.DataObject) -> None:
    """With any records missing, nothing is raised, no image is told that did not run, and no end
    that did not come.
    """
    world = World()
    for step in steps:
        if step[0] == "gap":
            world.records.append(Gap(1))
        else:
            world.step(*step)
    kept = [record for record in world.records if data.draw(st.booleans())]
    with tempfile.TemporaryDirectory() as root:  # a procfs in which every process is gone
        assert Path(root).is_dir()
        events, _ = run(kept, root)
    images = {reported[1:] for reported in world.reported if reported[0] == "exec"}
    ends = [record for record in kept if isinstance(record, Exit)]
    for event in events:
        process = event.process
        if isinstance(event, ProcessExec):
            missed = "miss" if process.flags & 0x40 else process.binary
            assert (process.pid, missed) in images
        else:
            assert any((end.pid, end.code) == (process.pid, event.code) for end in ends)
    execs = [record for record in kept if isinstance(record, Exec)]
    assert len([event for event in events if isinstance(event, ProcessExec)]) == len(execs)
