# SPDX-License-Identifier: Apache-2.0
"""Cgroups that are throttled: begun by the kernel, ended by the agent."""

from __future__ import annotations

import json
import struct

import pytest

from tests.support.records import EPOCH, SECOND, Task, World, btf, execute, throttle
from tests.unit.sensors.maps import FakeObject
from tetrapy.events.throttle import START, STOP
from tetrapy.sensors import throttle as module
from tetrapy.sensors.throttle import QUIET_NS, CgroupRates

NOW = 100 * SECOND
ENTRY = struct.Struct("=QQQQ")  # window, count, over, throttled: bpf/rate.h


class Kernel:
    """The kernel side of a dispatcher whose cgroups have limits."""

    filter_masks = None

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        loaded = FakeObject(monkeypatch, module)
        self.rates = CgroupRates(btf(), loaded)
        self.map = loaded.maps["cgroup_rates"]

    def report_forks_eagerly(self, yes: bool) -> None:
        pass

    def set(self, cgroup: int, over: int, throttled: int) -> None:
        self.map.put(cgroup.to_bytes(8, "little"), ENTRY.pack(1, 2, over, throttled))

    def entry(self, cgroup: int) -> tuple[int, ...]:
        return ENTRY.unpack(self.map.entries[cgroup.to_bytes(8, "little")])


@pytest.fixture
def kernel(monkeypatch: pytest.MonkeyPatch) -> Kernel:
    return Kernel(monkeypatch)


@pytest.fixture
def world(kernel: Kernel) -> World:
    return World(kernel=kernel)


def test_an_event_when_it_begins_and_one_when_it_ends(world: World, kernel: Kernel) -> None:
    """START with the time of the record; STOP when the rate was low for five seconds."""
    kernel.set(7, over=NOW, throttled=NOW)
    began = world.one(throttle(7, b"session-429.scope", at=NOW))
    assert json.loads(world.line(began)) == {
        "process_throttle": {"type": "THROTTLE_START", "cgroup": "session-429.scope"},
        "node_name": "host1",
        "time": "2026-01-01T00:01:40Z",
    }
    assert world.dispatcher.tick(NOW + QUIET_NS - 1) == []
    (ended,) = world.dispatcher.tick(NOW + QUIET_NS)
    assert (ended.action, ended.cgroup) == (STOP, "session-429.scope")
    assert ended.time == EPOCH + 105 * SECOND
    assert kernel.entry(7) == (1, 2, NOW, 0)  # only that is changed
    assert world.dispatcher.tick(NOW + 2 * QUIET_NS) == []
    assert (kernel.rates.starts, kernel.rates.stops) == (1, 1)


def test_it_goes_on_while_the_limit_is_exceeded(world: World, kernel: Kernel) -> None:
    """The five seconds count from the last time, not from the first."""
    kernel.set(7, over=NOW, throttled=NOW)
    world.feed(throttle(7, b"x", at=NOW))
    kernel.set(7, over=NOW + 3 * SECOND, throttled=NOW)
    assert world.dispatcher.tick(NOW + QUIET_NS) == []
    assert world.dispatcher.tick(NOW + QUIET_NS + 3 * SECOND) != []


def test_two_cpus_that_tell_it_at_once(world: World, kernel: Kernel) -> None:
    """The second record makes no event."""
    kernel.set(7, over=NOW, throttled=NOW)
    assert len(world.feed(throttle(7, b"x", at=NOW), throttle(7, b"x", at=NOW + 1))) == 1
    assert kernel.rates.starts == 1


def test_it_may_begin_again(world: World, kernel: Kernel) -> None:
    """After an end the next begin is told anew."""
    for turn in range(3):
        at = NOW + turn * 10 * SECOND
        kernel.set(7, over=at, throttled=at)
        assert world.one(throttle(7, b"x", at=at)).action == START
        assert len(world.dispatcher.tick(at + QUIET_NS)) == 1


def test_cgroups_end_on_their_own(world: World, kernel: Kernel) -> None:
    """Each has its own time."""
    for cgroup, at in ((7, NOW), (8, NOW + 2 * SECOND)):
        kernel.set(cgroup, over=at, throttled=at)
        world.feed(throttle(cgroup, b"cgroup-%d" % cgroup, at=at))
    assert [event.cgroup for event in world.dispatcher.tick(NOW + QUIET_NS)] == ["cgroup-7"]
    ended = world.dispatcher.tick(NOW + QUIET_NS + 2 * SECOND)
    assert [event.cgroup for event in ended] == ["cgroup-8"]


def test_a_cgroup_that_the_kernel_forgot(world: World, kernel: Kernel) -> None:
    """The map keeps the latest used: one that fell out is throttled no longer, and that is
    reported.
    """
    world.feed(throttle(7, b"x", at=NOW))
    assert [event.action for event in world.dispatcher.tick(NOW + 1)] == [STOP]
    assert kernel.map.entries == {}


def test_time_spent_suspended(world: World, kernel: Kernel) -> None:
    """Where records do not count it, the time of the look is brought to theirs."""
    world.dispatcher.clock_gap = 50 * SECOND
    kernel.set(7, over=NOW, throttled=NOW)
    began = world.one(throttle(7, b"x", at=NOW))
    assert began.time == EPOCH + 150 * SECOND
    assert world.dispatcher.tick(NOW + 50 * SECOND + QUIET_NS - 1) == []
    assert len(world.dispatcher.tick(NOW + 50 * SECOND + QUIET_NS)) == 1


def test_a_quiet_machine_is_not_looked_at(world: World, kernel: Kernel) -> None:
    """Without a throttled cgroup a tick reads no map."""
    kernel.map.get = None  # type: ignore[method-assign,assignment]
    assert world.dispatcher.tick(NOW) == []


def test_without_a_limit_a_record_makes_no_event() -> None:
    """An agent that did not ask for limits believes no such record."""
    assert World().feed(throttle(7, b"x", at=NOW)) == []
    assert World().dispatcher.tick(NOW) == []


def test_it_is_about_no_process(world: World, kernel: Kernel) -> None:
    """The table is what it was, before and after."""
    world.feed(execute(Task(1, SECOND), Task(0)), throttle(7, b"\xff", at=NOW))
    assert list(world.live) == [1]
    (ended,) = world.dispatcher.tick(NOW + QUIET_NS)
    assert (ended.process, ended.parent, ended.ancestors) == (None, None, ())
    assert ended.cgroup == "\ufffd"
