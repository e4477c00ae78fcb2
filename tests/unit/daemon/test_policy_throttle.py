# SPDX-License-Identifier: Apache-2.0
"""Whose calls take the agent's time is not told of by that policy; all others are."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_entry import ENABLED, Entry
from tetrapy.daemon.policy_throttle import PolicyThrottle
from tetrapy.errors import KernelError
from tetrapy.sensors.policy.uses import Owner, Part

MANY = {(number + 1, number): 1 for number in range(100)}
ONE: dict[Part, int] = {(1000, 5): 1}


class Uses:
    """What the kernel side adds up."""

    def __init__(self) -> None:
        self.watches = False
        self.new: dict[int, dict[Part, int]] = {}
        self.calls: dict[tuple[int, Owner], int] = {}
        self.refuses = False

    def watch(self, yes: bool) -> None:
        if self.refuses:
            raise KernelError("no room")
        self.watches = yes

    def take(self) -> dict[int, dict[Part, int]]:
        new, self.new = self.new, {}
        return new if self.watches else {}

    def silence(self, policy: int, owner: Owner) -> bool:
        self.calls[policy, owner] = 0
        return True

    def unreported(self, policy: int, owner: Owner) -> int:
        return self.calls[policy, owner]

    def tell(self, policy: int, owner: Owner) -> None:
        del self.calls[policy, owner]


class World:
    """Two policies, with hooks 1 and 2; clocks and records that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = self.cpu = 0.0
        self.received = 0
        self.records = {1: 0, 2: 0}
        self.silenced: list[tuple[str, bool]] = []
        self.said: list[str] = []
        self.uses = Uses()
        monkeypatch.setattr(time, "monotonic", lambda: self.clock)
        monkeypatch.setattr(time, "thread_time", lambda: self.cpu)
        self.policies = Policies(lambda _acquired: pytest.fail("nothing is loaded"), self.log)
        for number, name in ((1, "busy"), (2, "other")):
            entry = Entry(number, f"/p/{name}", "static")
            entry.name, entry.state = name, ENABLED
            entry.loaded = cast(Any, Loaded(name, number, self))
            self.policies.entries.append(entry)
        calls = SimpleNamespace(records=lambda: dict(self.records))
        sensor = SimpleNamespace(calls=calls, more=False)
        self.throttle = PolicyThrottle(25, self.policies, cast(Any, sensor), self.log)

    def log(self, level: str, text: str, **_more: Any) -> None:
        self.said.append(f"{level} {text}")

    def second(
        self, cpu: float, busy: int, other: int = 10, by: dict[Part, int] = MANY
    ) -> list[str]:
        """One passes, in which so much of it was used for these records; what is told."""
        self.clock += 1
        self.cpu += cpu
        self.records[1] += busy
        self.records[2] += other
        self.received += busy + other
        self.uses.new = {1: by}
        told = self.throttle.tick(self.received, 0)
        return [f"{one.action} {one.cgroup}" for one in told]


class Loaded:
    """A policy in the kernel."""

    def __init__(self, name: str, number: int, world: World) -> None:
        self.name, self.number, self.numbers = name, number, [number]
        self.uses, self.silenced = world.uses, world.silenced

    def silence(self, yes: bool) -> None:
        self.silenced.append((self.name, yes))


@pytest.fixture(name="world")
def fixture_world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_many_who_take_all_throttle_the_policy(world: World) -> None:
    """After ten seconds of a processor and what came back meanwhile, until half has come back."""
    told = [world.second(1.0, 990) for _ in range(14)]
    assert told[:13] == [[]] * 13
    assert told[13] == ["THROTTLE_START policy static//busy"]
    assert world.throttle.begun == {("busy", ""): 1}
    shown = {"uid": "", "cgroup": "", "since": "1970-01-01T00:00:00Z", "unreported": None}
    assert world.policies.entries[0].silent == [shown]
    quiet = [world.second(0.01, 0) for _ in range(23)]
    assert [one for one in quiet if one] == [["THROTTLE_STOP policy static//busy"]]
    assert world.silenced == [("busy", True), ("busy", False)]
    assert [one.split(":")[0] for one in world.said] == [
        "warn A policy is throttled",
        "info A policy is throttled no longer",
    ]


def test_one_who_takes_all_is_silent(world: World) -> None:
    """After half of it; the policy is not. What is not told is counted, and he is told again."""
    told = []
    while not told:
        told = world.second(1.0, 990, by=ONE)
    assert told == ["THROTTLE_START policy static//busy, uid 1000"]
    owner = Owner("OWNER_UID", 1000)
    assert world.uses.calls == {(1, owner): 0}
    world.uses.calls[1, owner] = 77
    assert world.second(0.01, 0) == []
    shown = {"uid": "1000", "cgroup": "", "since": "1970-01-01T00:00:00Z", "unreported": 77}
    assert world.policies.entries[0].silent == [shown]
    while told[-1].startswith("THROTTLE_START"):
        told += world.second(0.01, 0)
    assert told[1:] == ["THROTTLE_STOP policy static//busy, uid 1000"]
    assert (world.uses.calls, world.policies.entries[0].silent) == ({}, [])
    assert world.throttle.unreported_calls() == {("", "busy", "", "1000"): 77}
    assert (world.silenced, world.throttle.begun) == ([], {})
    assert [one.split(":")[0] for one in world.said] == [
        "warn A policy is throttled for one owner, whose calls keep the agent busy",
        "info A policy is throttled for one owner no longer",
    ]
    assert world.uses.watches
    for _ in range(10):
        world.second(0.01, 0)
    assert not world.uses.watches


def test_where_nobody_knows_whose_calls_they_are(world: World) -> None:
    """The kernel has no room for maps: the policy is throttled for all, which is told once."""
    world.uses.refuses = True
    told = [one for _ in range(14) for one in world.second(1.0, 990, by=ONE)]
    assert told == ["THROTTLE_START policy static//busy"]
    assert [one for one in world.said if one.startswith("error")] == [
        "error Policies that are busy are throttled for everybody: nobody knows whose calls"
    ]


def test_a_share_is_everybodys(world: World) -> None:
    """What takes less than a quarter of a processor is never throttled."""
    assert not any(world.second(0.24, 5000) for _ in range(1000))
    assert not world.silenced


def test_a_burst_is_told_whole(world: World) -> None:
    """However many calls, as long as the budget lasts."""
    assert not world.second(9.0, 500_000)
    assert not any(world.second(0.1, 10) for _ in range(100))


def test_one_that_is_taken_out_is_forgotten(world: World) -> None:
    """Its budget and its silences go with it, also when it is there again by the next look."""
    entry = world.policies.entries[0]
    for loaded in (None, cast(Any, Loaded("busy", 3, world))):
        while not world.uses.calls:
            world.second(1.0, 990, by=ONE)
        before, entry.loaded = entry.loaded, loaded
        assert not any(world.second(0.01, 0) for _ in range(30))
        assert (world.uses.calls, entry.silent) == ({}, [])
        entry.loaded = before
    assert world.silenced == []
