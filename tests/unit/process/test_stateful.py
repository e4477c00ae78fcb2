# SPDX-License-Identifier: Apache-2.0
"""Random histories of processes, told by a model of its own, against the tracker."""

from __future__ import annotations

import json
import random
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from tests.support.records import NODE, SECOND, Task, World, exit_of
from tests.unit.process.kernel_side import KernelSide
from tetrapy.events.process import make_exec_id

PIDS = range(2, 12)  # few, so that they are reused
KERNEL = Task(0)


@dataclass
class Image:
    """What a process runs, in the model."""

    exec_id: str
    parent_exec_id: str
    binary: str
    is_clone: bool
    in_init_tree: bool


@dataclass
class Running:
    task: Task
    parent: Task
    image: Image
    inner: int = 0  # pid in its own pid namespace, for life


picks = st.integers(0, 1000)


class Whole(RuleBasedStateMachine):
    """Forks, execs and exits as a kernel lets them happen; every record arrives, forks at once."""

    lossy = False
    at_once = True

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.kernel = KernelSide(self.at_once)
        self.now = SECOND
        self.running: dict[int, Running] = {}
        self.images: dict[str, Image] = {}
        self.count = 0

    def tick(self) -> int:
        self.now += 7
        return self.now

    def pick(self, number: int) -> Running:
        # Small numbers, which hypothesis likes, are young processes: histories get deep.
        return list(self.running.values())[-1 - number % len(self.running)]

    def known(self, image: Image) -> Image:
        self.images[image.exec_id] = image
        return image

    def send(self, records: list[bytes], arrives: bool = True) -> list[dict[str, Any]]:
        """The messages that records make."""
        if self.lossy and not arrives:
            return []
        lines = [json.loads(self.world.line(event)) for event in self.world.feed(*records)]
        assert self.world.dispatcher.errors == 0
        return [message for line in lines for message in line.values() if "process" in message]

    def image_id(self, at: int, pid: int) -> str:
        return make_exec_id(NODE.encode(), at, pid)

    @initialize()
    def boot(self) -> None:
        kernel = Image(self.image_id(1, 0), self.image_id(1, 0), "<kernel>", False, False)
        self.known(kernel)
        at = self.tick()
        task = Task(1, self.tick())
        image = Image(self.image_id(at, 1), kernel.exec_id, "/init", False, False)
        self.running[1] = Running(task, KERNEL, self.known(image))
        self.send(self.kernel.execute(task, KERNEL, b"/init", at))

    @rule(
        who=picks,
        slot=picks,
        clone_parent=st.booleans(),
        inner=st.sampled_from([0, 0, 1, 5]),
        arrives=st.booleans(),
    )
    def fork(self, who: int, slot: int, clone_parent: bool, inner: int, arrives: bool) -> None:
        free = [pid for pid in PIDS if pid not in self.running]
        if not free:
            return
        creator = self.pick(who)
        with_parent = clone_parent and creator.parent.pid in self.running
        parent = self.running[creator.parent.pid] if with_parent else creator
        child = Task(free[slot % len(free)], self.tick())
        at = self.tick()
        records = self.kernel.fork(
            child, creator.task, creator.parent, parent.task, at=at, inner=inner
        )
        assert self.send(records, arrives) == []
        image = Image(
            self.image_id(at, child.pid),
            parent.image.exec_id,
            creator.image.binary,
            True,
            inner == 1 or parent.image.in_init_tree,
        )
        self.running[child.pid] = Running(child, parent.task, self.known(image), inner)

    @rule(who=picks, arrives=st.booleans())
    def execute(self, who: int, arrives: bool) -> None:
        process = self.pick(who)
        inner = process.inner
        self.count += 1
        binary = f"/bin/{self.count}"
        at = self.tick()
        former = process.image
        parent_id = former.exec_id
        if former.is_clone:
            parent_id = self.running[process.parent.pid].image.exec_id
        process.image = self.known(
            Image(
                self.image_id(at, process.task.pid),
                parent_id,
                binary,
                False,
                inner == 1 or former.in_init_tree,
            )
        )
        records = self.kernel.execute(process.task, process.parent, binary.encode(), at, inner)
        messages = self.send(records, arrives)
        assert len(messages) == (arrives or not self.lossy)
        for message in messages:
            self.check(message, process)
            self.check_clone("clone" in message["process"]["flags"].split(), former)

    @rule(who=picks, twice=st.booleans(), arrives=st.booleans())
    def exit(self, who: int, twice: bool, arrives: bool) -> None:
        process = self.pick(who)
        if process.task.pid == 1:
            return
        at = self.tick()
        messages = self.send(self.kernel.exit(process.task, at), arrives)
        assert len(messages) == (arrives or not self.lossy)
        for message in messages:
            self.check(message, process)
        if twice and messages:
            assert self.send([exit_of(process.task, at=at)]) == []
        del self.running[process.task.pid]
        for child in self.running.values():
            if child.parent == process.task:
                child.parent = self.running[1].task

    def check(self, message: dict[str, Any], process: Running) -> None:
        """Each shown process is the model's image with that exec_id, in all that JSON says."""
        shown = message["process"]
        assert shown["exec_id"] == process.image.exec_id
        assert message["parent"]["exec_id"] == process.image.parent_exec_id
        for entry in (shown, message["parent"]):
            image = self.images[entry["exec_id"]]
            assert entry["binary"] == image.binary
            assert entry["parent_exec_id"] == image.parent_exec_id
            assert entry["in_init_tree"] == image.in_init_tree
            assert ("refcnt" in entry) == image.is_clone

    def check_clone(self, reported: bool, former: Image) -> None:
        assert reported == former.is_clone

    @invariant()
    def same_processes(self) -> None:
        assert sorted(self.world.live) == sorted(self.running)


class Lazy(Whole):
    """Forks are reported when they matter: the same is reported of every process that makes an
    event.
    """

    at_once = False

    @invariant()
    def same_processes(self) -> None:
        """What the table lacks runs its creator's image still, and has no children."""
        deferred = {pid for pid, entry in self.kernel.processes.items() if entry.deferred}
        assert set(self.world.live) == set(self.running) - deferred
        assert all(self.running[pid].image.is_clone for pid in deferred)
        assert not deferred & {running.parent.pid for running in self.running.values()}


class Lossy(Whole):
    """The same with records that never arrive: nothing breaks, nothing wrong, nothing grows."""

    lossy = True

    def check(self, message: dict[str, Any], process: Running) -> None:
        """The pid is right, and an exec's own image; what is shown besides once was true."""
        shown = message["process"]
        assert shown["pid"] == process.task.pid
        if "time" not in message:
            assert shown["exec_id"] == process.image.exec_id
            assert shown["binary"] == process.image.binary
        for entry in (shown, message.get("parent", {})):
            image = self.images.get(entry.get("exec_id", ""))
            if image and "binary" in entry and not image.is_clone:
                assert entry["binary"] == image.binary

    def check_clone(self, reported: bool, former: Image) -> None:
        assert former.is_clone or not reported or self.lossy

    @invariant()
    def same_processes(self) -> None:
        assert set(self.world.live) <= {1, *PIDS}

    def teardown(self) -> None:
        reached, waiting = set(), list(self.world.table)
        while waiting:
            process = waiting.pop()
            if id(process) not in reached:
                reached.add(id(process))
                waiting.extend([process.parent] if process.parent else [])
        assert len(reached) <= 4 * (len(PIDS) + 2)


class LazyLossy(Lossy):
    """Both: what a lost exec would have told of its fork is not made up."""

    at_once = False


@pytest.mark.slow
class TestWhole(Whole.TestCase):
    settings = settings(max_examples=60, stateful_step_count=40)


@pytest.mark.slow
class TestLazy(Lazy.TestCase):
    settings = settings(max_examples=60, stateful_step_count=40)


@pytest.mark.slow
class TestLossy(Lossy.TestCase):
    settings = settings(max_examples=40, stateful_step_count=60)


@pytest.mark.slow
class TestLazyLossy(LazyLossy.TestCase):
    settings = settings(max_examples=40, stateful_step_count=60)


@pytest.mark.slow
@pytest.mark.parametrize("machine", [Whole, Lazy, Lossy, LazyLossy])
@pytest.mark.parametrize("seed", range(3))
def test_a_long_history(machine: type[Whole], seed: int) -> None:
    """Thousands of steps, too many to shrink, agree with the model as few do."""
    dice = random.Random(seed)
    history = machine()
    history.boot()
    for _ in range(3_000):
        who, arrives = dice.randrange(12), dice.random() < 0.9
        inner = dice.choice([0, 0, 0, 0, 1, 5])
        step = dice.randrange(3)
        if step == 0:
            history.fork(who, dice.randrange(12), dice.random() < 0.2, inner, arrives)
        elif step == 1:
            history.execute(who, arrives)
        else:
            history.exit(who, dice.random() < 0.1, arrives)
        history.same_processes()
    history.teardown()
