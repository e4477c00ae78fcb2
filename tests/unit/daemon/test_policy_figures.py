# SPDX-License-Identifier: Apache-2.0
"""What metrics report of policies; in place of the kernel policies that say what they counted."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tetrapy.daemon.figures import PolicyFigures
from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_entry import ENABLED, Entry
from tetrapy.errors import KernelError
from tetrapy.sensors.policy.loaded import HookFigures, SelectorFigures

DONE = {"signal": 3, "monitor_signal": 4, "failed": 5}


class Loaded:
    """A policy that has been asked `asked` times."""

    sensors = ("generic_kprobe",)
    kernel_memory = 7

    def __init__(self, called: int) -> None:
        self.called = called
        self.asked = 0
        self.fails = False

    def programs(self) -> list[Any]:
        return []

    def figures(self) -> list[HookFigures]:
        self.asked += 1
        if self.fails:
            raise KernelError("map look-up", 9)
        selectors = (SelectorFigures("", 1, {}), SelectorFigures("l", 2, DONE))
        return [HookFigures("kprobe:f", 0, self.called, 1, 6, selectors)]


class World:
    """Policies, and a clock that a test moves."""

    def __init__(self) -> None:
        self.now = 0.0
        self.policies = Policies(lambda _acquired: pytest.fail("nothing is loaded"), self.log)
        loop = SimpleNamespace(handler=SimpleNamespace(), throttle=None)
        self.figures = PolicyFigures(self.policies, cast(Any, loop), lambda: self.now)

    def log(self, *_words: str, **_more: Any) -> None:
        """Nobody reads it."""

    def add(self, name: str, domain: str, called: int) -> Loaded:
        entry = Entry(len(self.policies.entries) + 1, "a file", domain)
        entry.name, entry.namespace, entry.state = name, "ns", ENABLED
        loaded = Loaded(called)
        entry.loaded = cast(Any, loaded)
        self.policies.entries.append(entry)
        return loaded


def test_by_hook_and_selector() -> None:
    """Those of one name in two domains have the same labels, and are added up."""
    world = World()
    for domain, called in (("static", 10), ("grpc", 20)):
        world.add("p", domain, called)
    found = world.figures()
    of_hook = ("kprobe:f", "0", "p", "ns")
    assert found.calls == {of_hook: 30}
    assert found.missed == {of_hook: 12}
    assert found.matches == {(*of_hook, "0", ""): 2, (*of_hook, "1", "l"): 4}
    assert found.actions == {
        (action, *of_hook, "1", "l"): 2 * times for action, times in DONE.items()
    }
    assert found.missed_by_links == {("f", "p"): 2}


def test_the_kernel_is_asked_once_a_second() -> None:
    """However often somebody asks; all else is of the moment."""
    world = World()
    loaded = world.add("p", "static", 10)
    for now, asked in ((0.0, 1), (0.5, 1), (0.99, 1), (1.0, 2), (1.9, 2), (7.0, 3)):
        world.now = now
        loaded.called = 10 + asked
        assert list(world.figures().calls.values()) == [10 + asked]
        assert loaded.asked == asked
    world.policies.entries.clear()
    assert world.figures().kernel_memory == {}


def test_one_that_is_taken_out_meanwhile() -> None:
    """The others are told."""
    world = World()
    world.add("gone", "static", 10).fails = True
    world.add("there", "static", 20)
    assert world.figures().calls == {("kprobe:f", "0", "there", "ns"): 20}
