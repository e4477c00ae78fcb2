# SPDX-License-Identifier: Apache-2.0
"""Calls that are told when they return: two records make one event."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.calls import (
    INIT,
    TASK,
    CallWorld,
    body,
    call,
    number,
    value,
)
from tests.support.records import SECOND, Task, execute
from tetrapy.sensors.policy import handler
from tetrapy.sensors.policy.hook import KPROBE, LSM, UPROBE, Hook, HookValue

ERROR = {"error_arg": {"Message": "Bad address for basic type"}}
LATER = {  # types whose values the kernel side does not read yet
    *"auto skb bpf_attr perf_event bpf_map user_namespace cred load_info module bpf_prog".split(),
    "nop",
}


def returning(**more: Any) -> Hook:
    values = (HookValue("int"), HookValue("char_buf"), HookValue("int", role="return"))
    return Hook(KPROBE, "p", ("f",), values, returns=True, **more)


def back(hook: int, *values: bytes, **more: Any) -> bytes:
    return call(hook, *values, flags=["CALL_RETURNED", *more.pop("flags", [])], **more)


def merges(world: CallWorld) -> tuple[int, int]:
    """How many calls were merged with their return, and how many halves had no other."""
    found = world.calls.merges()
    return found["f", "ok"], found["f", "error"]


def test_both_halves_make_one_event(world: CallWorld) -> None:
    """At the return, of the time of the call; arguments that are read then are in their places."""
    which = world.hooks.add(
        returning(actions=("KPROBE_ACTION_SIGNAL",), return_actions=("KPROBE_ACTION_TRACKSOCK",))
    )
    assert world.feed(call(which, number(0, 3), at=5 * SECOND)) == []
    assert world.calls.waiting == 1
    record = back(which, number(2, -2), value(1, b"ab", detail=2), at=9 * SECOND)
    line = json.loads(world.line(world.one(record)))
    made = line["process_kprobe"]
    assert line["time"] == "2026-01-01T00:00:05Z"
    assert made["args"] == [{"int_arg": 3}, {"bytes_arg": "YWI="}]
    assert made["return"] == {"int_arg": -2}
    assert (made["action"], made["return_action"]) == (
        "KPROBE_ACTION_SIGNAL",
        "KPROBE_ACTION_TRACKSOCK",
    )
    assert (world.calls.waiting, world.calls.pushed, merges(world)) == (0, 1, (1, 0))


def test_the_return_value_of_a_uprobe_is_its_last_argument(world: CallWorld) -> None:
    """Its message has no place for it."""
    hook = returning()._replace(kind=UPROBE, target=("/bin/it", "f"))
    which = world.hooks.add(hook)
    world.feed(call(which, number(0, 3)))
    made = body(world, back(which, number(2, 9)))
    assert made["args"] == [{"int_arg": 3}, {"int_arg": 9}]
    assert "return" not in made
    assert "return_action" not in made


def test_the_image_that_called(world: CallWorld) -> None:
    """A process that executes meanwhile is another one when the call returns."""
    which = world.hooks.add(returning())
    world.feed(call(which, number(0, 3)), execute(TASK, INIT, b"/bin/new", at=4 * SECOND))
    assert body(world, back(which))["process"]["binary"] == "/bin/it"


def test_a_return_that_is_not_wanted(world: CallWorld) -> None:
    """Its call is forgotten, and nothing is amiss."""
    which = world.hooks.add(returning())
    world.feed(call(which, number(0, 3)))
    assert world.feed(back(which, flags=["CALL_UNWANTED"])) == []
    assert (world.calls.waiting, merges(world)) == (0, (1, 0))


def test_halves_without_the_other(world: CallWorld) -> None:
    """A return alone makes no event; a call that never returned does, at the thread's next."""
    which = world.hooks.add(returning())
    assert world.feed(back(which)) == []
    assert world.feed(call(which, number(0, 1))) == []
    made = body(world, call(which, number(0, 2)))
    assert made["args"] == [{"int_arg": 1}]
    assert "return" not in made
    assert merges(world) == (0, 2)
    assert body(world, back(which))["args"] == [{"int_arg": 2}]
    assert world.calls.waiting == 0


def test_threads_and_hooks_do_not_mix(world: CallWorld) -> None:
    """Calls are told apart by both."""
    first, second = world.hooks.add(returning()), world.hooks.add(returning())
    calls = [(first, 50), (first, 51), (second, 50)]
    for at, (which, tid) in enumerate(calls):
        world.feed(call(which, number(0, at), tid=tid))
    for at, (which, tid) in enumerate(calls):
        assert body(world, back(which, tid=tid))["args"] == [{"int_arg": at}]


def test_calls_that_never_return_are_few(world: CallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """In number and bytes; the first give way, and are told without what they return."""
    which = world.hooks.add(returning())
    monkeypatch.setattr(handler, "MAX_BEGUN", 5)
    made = [world.feed(call(which, number(0, tid), tid=tid)) for tid in range(9)]
    assert [len(events) for events in made] == [0] * 5 + [1] * 4
    assert (world.calls.waiting, merges(world)) == (5, (0, 4))
    monkeypatch.setattr(handler, "MAX_BEGUN_BYTES", 3000)
    for tid in range(20, 24):
        world.feed(call(which, value(1, b"x" * 1000, detail=1000), tid=tid))
    assert world.calls.waiting == 2
    assert merges(world) == (0, 4 + 5 + 2)
    world.calls.late()
    world.hooks.remove(which)
    assert (world.calls.late(), world.calls.waiting) == ([], 2)
    assert (len(world.calls.late()), world.calls.waiting) == (2, 0)


def test_a_call_whose_return_no_record_tells(world: CallWorld) -> None:
    """Its owner has too many waiting: it is reported at once, and so is an earlier one."""
    which = world.hooks.add(returning())
    made = body(world, call(which, number(0, 1), flags=["CALL_RETURN_LOST"]))
    assert made["args"] == [{"int_arg": 1}]
    assert "return" not in made
    assert (world.calls.waiting, merges(world)) == (0, (0, 1))
    world.feed(call(which, number(0, 2)))
    events = world.feed(call(which, number(0, 3), flags=["CALL_RETURN_LOST"]))
    assert (len(events + world.calls.late()), world.calls.waiting) == (2, 0)


def test_who_has_most_waiting_gives_way(world: CallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """Not who came first, if he is another user."""
    child = Task(77, 3 * SECOND)
    world.feed(execute(child, INIT, b"/bin/victim", uid=1234))
    which = world.hooks.add(returning())
    monkeypatch.setattr(handler, "MAX_BEGUN", 5)
    world.feed(call(which, number(0, 7), task=child, tid=child.pid))
    made = [world.feed(call(which, number(0, tid), tid=tid)) for tid in range(9)]
    assert [len(events) for events in made] == [0] * 4 + [1] * 5
    assert body(world, back(which, task=child, tid=child.pid))["args"] == [{"int_arg": 7}]


def test_calls_without_values(world: CallWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hook may read nothing when it is called; several calls of a user wait all the same."""
    which = world.hooks.add(returning())
    for tid in (50, 51, 52):
        world.feed(call(which, tid=tid))
    assert [len(world.feed(back(which, tid=tid))) for tid in (50, 51, 52)] == [1, 1, 1]
    monkeypatch.setattr(handler, "MAX_BEGUN", 2)
    made = [world.feed(call(which, tid=tid)) for tid in (50, 51, 52)]
    assert [len(events) for events in made] == [0, 0, 1]
    assert world.calls.waiting == 2


def test_calls_that_have_not_returned_at_the_end(world: CallWorld) -> None:
    """They are told, too."""
    which = world.hooks.add(returning())
    world.feed(call(which, number(0, 1), tid=50), call(which, number(0, 2), tid=51))
    assert [event.probe.policy_name for event in world.calls.ended()] == ["p", "p"]
    assert (world.calls.ended(), world.calls.waiting) == ([], 0)


def test_what_is_returned_chooses_the_selector(world: CallWorld) -> None:
    """The action is that of the first selector which still matches then."""
    which = world.hooks.add(returning(actions=("KPROBE_ACTION_POST", "KPROBE_ACTION_SIGNAL")))
    world.feed(call(which, number(0, 1)))
    assert body(world, back(which, selector=1))["action"] == "KPROBE_ACTION_SIGNAL"


HASH_OF_FILE = 10  # of enum stack_index of bpf/hook.h


@pytest.mark.parametrize(
    ("algorithm", "shown"),
    [(4, f"sha256:{'ab' * 32}"), (2, f"sha1:{'ab' * 20}"), (-95 & 0xFFFFFFFF, None), (0, None)],
)
def test_the_hash_of_a_file_comes_after_its_call(
    world: CallWorld, algorithm: int, shown: str | None
) -> None:
    """The event waits where the record says so, and only there; IMA may have no hash."""
    hook = Hook(LSM, "p", ("file_lock",), (HookValue("int"),), hashes=True)
    which = world.hooks.add(hook)
    alone = json.loads(world.line(world.one(call(which, number(0, 3)))))["process_lsm"]
    assert "ima_hash" not in alone
    assert world.feed(call(which, number(0, 4), flags=["CALL_HASH_FOLLOWS"])) == []
    record = back(which, value(HASH_OF_FILE, b"\xab" * 64, detail=algorithm))
    made = json.loads(world.line(world.one(record)))["process_lsm"]
    assert made["args"] == [{"int_arg": 4}]
    assert made.get("ima_hash") == shown
