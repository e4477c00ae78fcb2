# SPDX-License-Identifier: Apache-2.0
"""Policies that an earlier agent left go when this one has them, or has them no more."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from tests.unit.sensors.policy.test_pins import left
from tetrapy.daemon.left_policies import LeftPolicies
from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_entry import DISABLED, ENABLED, GRPC, LOAD_ERROR, STATIC, Entry
from tetrapy.sensors.policy.pins import Pins


class World:
    """An agent that starts, and what was left: static a and b, and c of a client."""

    def __init__(self, base: Path) -> None:
        self.said: list[str] = []
        self.base = base
        left(base, "run-1/policy-1")
        left(base, "run-1/policy-2", file="/p/b.yaml", policy="static//b")
        left(base, "run-2/policy-1", file="a client", policy="grpc//c")
        found = LeftPolicies(Pins(str(base)), self.log, str(base))
        self.policies = Policies(
            lambda _acquired: pytest.fail("nothing is loaded"), self.log, found
        )

    def log(self, _level: str, text: str, **_more: Any) -> None:
        self.said.append(text)

    def entry(self, path: str, name: str, state: str, domain: str = STATIC) -> Entry:
        one = Entry(1, path, domain)
        one.name, one.state, one.error = name, state, "broken" if state == LOAD_ERROR else ""
        self.policies.entries.append(one)
        return one

    def names(self) -> set[str]:
        return {os.readlink(one / "policy") for one in self.base.glob("*/policy-*")}


def test_those_that_are_there_again_and_those_that_are_gone(tmp_path: Path) -> None:
    """After the start nothing of the earlier agent is left."""
    world = World(tmp_path / "t")
    world.entry("/p/a.yaml", "a", ENABLED)
    world.entry("/p/b.yaml", "b", DISABLED)
    world.policies.take_over(keep_failed=True)
    assert not world.base.exists()


def test_one_that_cannot_be_loaded_goes_on(tmp_path: Path) -> None:
    """Its name is not known: the file says which it was. It goes with the file."""
    world = World(tmp_path / "t")
    failed = world.entry("/p/a.yaml", "", LOAD_ERROR)
    world.policies.take_over(keep_failed=True)
    assert world.names() == {"static//a"}
    assert failed.error == "broken; what an earlier agent left of it goes on"
    assert "A policy goes on as an earlier agent left it" in world.said
    world.policies.remove(failed)
    assert not world.base.exists()


def test_one_of_a_client_is_known_by_its_name(tmp_path: Path) -> None:
    """Many come from the same client."""
    world = World(tmp_path / "t")
    world.entry("a client", "other", LOAD_ERROR, GRPC)
    world.entry("somebody", "c", LOAD_ERROR, GRPC)
    world.policies.take_over(keep_failed=True)
    assert world.names() == {"grpc//c"}


def test_an_agent_that_keeps_nothing_removes_all(tmp_path: Path) -> None:
    """Also what it cannot load."""
    world = World(tmp_path / "t")
    world.entry("/p/a.yaml", "", LOAD_ERROR)
    world.policies.take_over(keep_failed=False)
    assert not world.base.exists()


def test_a_change_that_fails_leaves_it(tmp_path: Path) -> None:
    """The file of a policy that goes on as it was left is changed again, and is still wrong."""
    world = World(tmp_path / "t")
    path = tmp_path / "a.yaml"
    left(world.base, "run-2/policy-4", file=str(path), policy="static//d")
    found = LeftPolicies(Pins(str(world.base)), world.log, "")
    policies = Policies(lambda _acquired: pytest.fail("nothing is loaded"), world.log, found)
    path.write_text("spec: [")
    policies.entries.append(policies.prepare_file(str(path)))
    policies.entries.pop()
    policies.take_over(keep_failed=True)
    assert world.names() == {"static//d"}
    path.write_text("spec: {")
    policies.renew(str(path), list(policies.entries))
    assert world.names() == {"static//d"}
    policies.remove(policies.entries[0])
    assert not world.base.exists()
