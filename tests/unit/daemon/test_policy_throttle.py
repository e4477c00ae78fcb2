# SPDX-License-Identifier: Apache-2.0
"""A policy that takes the agent's time is throttled; others, and one that stops, are not."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tetrapy.daemon.policies import ENABLED, Entry, Policies
from tetrapy.daemon.policy_throttle import PolicyThrottle


class World:
    """Two policies, with hooks 1 and 2; clocks and records that a test moves."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = self.cpu = 0.0
        self.received = 0
        self.records = {1: 0, 2: 0}
        self.losses = {"call": 0}
        self.silenced: list[tuple[str, bool]] = []
        self.said: list[str] = []
        monkeypatch.setattr(time, "monotonic", lambda: self.clock)
        monkeypatch.setattr(time, "thread_time", lambda: self.cpu)
        self.policies = Policies(lambda _acquired: pytest.fail("nothing is loaded"), self.log)
        for number, name in ((1, "busy"), (2, "other")):
            entry = Entry(number, f"/p/{name}", "static")
            entry.name, entry.state = name, ENABLED
            entry.loaded = cast(Any, Loaded(name, number, self.silenced))
            self.policies.entries.append(entry)
        calls = SimpleNamespace(records=lambda: dict(self.records))
        sensor = SimpleNamespace(calls=calls, buffer_losses=lambda: self.losses)
        self.throttle = PolicyThrottle(25, self.policies, cast(Any, sensor), self.log)

    def log(self, level: str, text: str, **_more: Any) -> None:
        self.said.append(f"{level} {text}")

    def second(self, cpu: float, busy: int, other: int = 10, lost: int = 0) -> list[str]:
        """One passes, in which so much of it was used for these records; what is told."""
        self.clock += 1
        self.cpu += cpu
        self.records[1] += busy
        self.records[2] += other
        self.received += busy + other
        self.losses["call"] += lost
        told = self.throttle.tick(self.received, "now")
        return [f"{one.action} {one.cgroup}" for one in told]


class Loaded:
    """A policy in the kernel."""

    def __init__(self, name: str, number: int, silenced: list[tuple[str, bool]]) -> None:
        self.name, self.numbers, self.silenced = name, [number], silenced

    def silence(self, yes: bool) -> None:
        self.silenced.append((self.name, yes))


@pytest.fixture(name="world")
def fixture_world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def test_one_that_takes_all_is_throttled_and_comes_back(world: World) -> None:
    """After ten seconds of a processor and what came back meanwhile; then after twenty more."""
    told = [world.second(1.0, 990) for _ in range(14)]
    assert told[:13] == [[]] * 13
    assert told[13] == ["THROTTLE_START policy static//busy"]
    assert world.throttle.begun == {("busy", ""): 1}
    quiet = [world.second(0.01, 0) for _ in range(23)]
    assert [one for one in quiet if one] == [["THROTTLE_STOP policy static//busy"]]
    assert world.silenced == [("busy", True), ("busy", False)]
    assert [one.split(":")[0] for one in world.said] == [
        "warn A policy is throttled",
        "info A policy is throttled no longer",
    ]


def test_a_share_is_everybodys(world: World) -> None:
    """What takes less than a quarter of a processor is never throttled."""
    assert not any(world.second(0.24, 5000) for _ in range(1000))
    assert not world.silenced


def test_a_burst_is_told_whole(world: World) -> None:
    """However many calls, as long as the budget lasts."""
    assert not world.second(9.0, 500_000)
    assert not any(world.second(0.1, 10) for _ in range(100))


def test_what_is_lost_counts(world: World) -> None:
    """An agent that gets little of a processor is kept busy all the same."""
    assert not any(world.second(0.2, 100) for _ in range(100))
    told = [world.second(0.2, 100, lost=2000) for _ in range(10)]
    assert ["THROTTLE_START policy static//busy"] in told


def test_one_that_is_taken_out_is_forgotten(world: World) -> None:
    """Its budget and its silence go with it."""
    for _ in range(14):
        world.second(1.0, 990)
    world.policies.entries[0].loaded = None
    assert not any(world.second(0.01, 0) for _ in range(30))
    assert world.silenced == [("busy", True)]
