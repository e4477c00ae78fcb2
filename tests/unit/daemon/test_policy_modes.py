# SPDX-License-Identifier: Apache-2.0
"""Modes of policies by the API, and what it tells of their actions; in place of the kernel a loaded
policy that remembers what it was asked for.
"""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import yaml

from tetrapy.api.grpc import RpcError
from tetrapy.api.router import Context
from tetrapy.daemon.policies import Policies
from tetrapy.daemon.policy_control import PolicyControl
from tetrapy.daemon.policy_entry import ENABLED, Entry
from tetrapy.daemon.policy_store import PolicyStore
from tetrapy.errors import KernelError
from tetrapy.sensors.policy.loaded import HookFigures, HookPlace, SelectorFigures

CALLER = cast(Context, SimpleNamespace(client="a test"))


class Loaded:
    """A policy that acts at one hook."""

    sensors = ("generic_kprobe",)
    left_out = ()
    kernel_memory = 7

    def __init__(self, *, fails: bool = False) -> None:
        self.modes: list[str] = []
        self.fails = fails

    def set_mode(self, mode: str) -> None:
        if self.fails:
            raise KernelError("map entry 3: Operation not permitted", 1)
        self.modes.append(mode)

    places = (
        HookPlace("kprobes", 0, "f", "LOADED"),
        HookPlace("kprobes", 1, "g", "CALL_NOT_FOUND"),
    )

    def figures(self) -> list[HookFigures]:
        if self.fails:
            raise KernelError("map look-up", 1)
        rows = ({"signal": 2, "monitor_signal": 3}, {"signal": 4, "failed": 5, "override": 0})
        selectors = [SelectorFigures("l", 10 + at, done) for at, done in enumerate(rows)]
        return [HookFigures("kprobe:f", 0, 30, 1, 6, (*selectors, SelectorFigures("", 0, {})))]


def world(
    mode: str, loaded: Loaded | None, store: PolicyStore | None = None
) -> tuple[PolicyControl, Entry]:
    policies = Policies(lambda _acquired: pytest.fail("nothing is to be loaded"), _log)
    entry = Entry(1, "a file", "static")
    entry.name, entry.mode, entry.state = "p", mode, ENABLED
    entry.loaded = cast(Any, loaded)
    policies.entries.append(entry)
    return PolicyControl(policies, False, store, _log), entry


def _log(*_words: str, **_more: str) -> None:
    """Nobody reads it."""


def configure(control: PolicyControl, mode: str) -> None:
    control.configure({"name": "p", "mode": mode}, CALLER)


def test_the_mode_changes_while_it_is_loaded() -> None:
    """Also where the agent has given up what loading takes."""
    loaded = Loaded()
    control, entry = world("enforce", loaded)
    configure(control, "TP_MODE_MONITOR")
    assert (loaded.modes, entry.mode) == (["monitor"], "monitor")
    configure(control, "TP_MODE_ENFORCE")
    assert (loaded.modes, entry.mode) == (["monitor", "enforce"], "enforce")


def test_a_mode_that_changes_is_in_the_info_file() -> None:
    """It is what `tetrapy policy list` reads: written when the mode is the new one already."""
    control, entry = world("enforce", Loaded())
    written: list[str] = []
    control._policies.when_changed = lambda: written.append(entry.mode)
    configure(control, "TP_MODE_MONITOR")
    assert written == ["monitor"]


def test_a_mode_that_cannot_be_kept_is_not_taken(tmp_path: Path) -> None:
    """The client hears that it failed, and the policy goes on as it was."""
    loaded = Loaded()
    control, entry = world("enforce", loaded, PolicyStore(str(tmp_path / "a file")))
    (tmp_path / "a file").write_text("")
    entry.text = "metadata: {name: p}\nspec: {}\n"
    with pytest.raises(RpcError):
        configure(control, "TP_MODE_MONITOR")
    assert (entry.mode, loaded.modes) == ("enforce", ["monitor", "enforce"])


def test_a_mode_is_kept_with_the_policy(tmp_path: Path) -> None:
    """What a client added has its mode when it is enabled again, and at the next start."""
    control, entry = world("enforce", Loaded(), PolicyStore(str(tmp_path)))
    configure(control, "TP_MODE_MONITOR")  # of a file: nothing is kept
    assert list(tmp_path.iterdir()) == []
    entry.text = "metadata: {name: p}\nspec:\n  options:\n  - {name: disable-x, value: y}\n"
    configure(control, "TP_MODE_MONITOR")
    (record,) = [json.loads(one.read_bytes()) for one in tmp_path.iterdir()]
    assert record == {"yaml": entry.text, "enabled": True}
    assert yaml.safe_load(entry.text)["spec"]["options"] == [
        {"name": "disable-x", "value": "y"},
        {"name": "policy-mode", "value": "monitor"},
    ]


@pytest.mark.parametrize(
    ("mode", "loaded", "wanted", "why"),
    [
        ("monitor_only", Loaded(), "TP_MODE_ENFORCE", "no action that it could enforce"),
        ("enforce", Loaded(), "TP_MODE_MONITOR_ONLY", "enforce or monitor, not to TP_MODE"),
        ("", None, "TP_MODE_MONITOR", "is not loaded"),
        ("enforce", Loaded(fails=True), "TP_MODE_MONITOR", "stays in mode enforce: map entry 3"),
    ],
)
def test_a_mode_that_cannot_be(mode: str, loaded: Loaded | None, wanted: str, why: str) -> None:
    """The mode stays what it was, and the client is told why."""
    control, entry = world(mode, loaded)
    with pytest.raises(RpcError, match=why):
        configure(control, wanted)
    assert entry.mode == mode


def test_what_it_did_is_listed() -> None:
    """In all and by selector; what the message has no number of is in the metrics only."""
    control, _ = world("enforce", Loaded())
    (listed,) = control.listed({}, CALLER)["policies"]
    assert listed["mode"] == "TP_MODE_ENFORCE"
    assert listed["stats"]["action_counters"] == {"signal": 6, "monitor_signal": 3}
    by_selector = listed["stats"]["selector_action_counters"]
    assert [one["action_counters"] for one in by_selector] == [
        {"signal": 2, "monitor_signal": 3},
        {"signal": 4},
    ]
    assert [one["selector_index"] for one in by_selector] == [0, 1]
    assert {one["hook"] for one in by_selector} == {"kprobe:f"}
    (hook,) = listed["stats"]["hook_counters"]
    assert (hook["hook"], hook["hook_index"], hook["called"], hook["missed"]) == (
        "kprobe:f",
        0,
        30,
        6,
    )
    assert [tuple(one.values()) for one in hook["selectors"]] == [
        (0, "l", 10, 2, 3, 0),
        (1, "l", 11, 4, 0, 0),
        (2, "", 0, 0, 0, 0),
    ]
    assert [tuple(one.values()) for one in listed["hook_statuses"]] == [
        ("kprobes", 0, "f", "STATUS_LOADED"),
        ("kprobes", 1, "g", "STATUS_CALL_NOT_FOUND"),
    ]


def test_whose_calls_it_does_not_report_is_listed() -> None:
    """All at once are not counted."""
    control, entry = world("enforce", Loaded())
    of_all = {"uid": "", "cgroup": "", "since": "2026-11-30T10:00:00Z", "unreported": None}
    of_one = {**of_all, "uid": "1000", "cgroup": "77", "unreported": 5}
    entry.silent = [of_all, of_one]
    (listed,) = control.listed({}, CALLER)["policies"]
    assert listed["throttled"] == [{**of_all, "unreported": 0}, of_one]


def test_a_policy_whose_counts_cannot_be_read() -> None:
    """It is listed all the same."""
    control, _ = world("enforce", Loaded(fails=True))
    (listed,) = control.listed({}, CALLER)["policies"]
    assert not any(listed["stats"].values())
