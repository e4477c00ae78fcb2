# SPDX-License-Identifier: Apache-2.0
"""What the kernel side counts, and how it is added up; in place of maps numbers that tests set."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

from tests.support.records import policy_btf
from tetrapy.sensors.policy.attached import AttachedHook
from tetrapy.sensors.policy.counts import CountsLayout, HookCounts, SelectorCounts
from tetrapy.sensors.policy.loaded import (
    HookFigures,
    LoadedPolicy,
    PreparedHook,
    SelectorFigures,
)
from tetrapy.sensors.policy.tables import Action, HookTable, HookWriter

if TYPE_CHECKING:
    pass

LAYOUT = CountsLayout(policy_btf())
ACTIONS = (
    "signal monitor_signal override monitor_override notify_enforcer monitor_notify_enforcer failed"
    " set monitor_set post nopost"
).split()


def test_each_counter_has_a_place() -> None:
    """By selector what was done and what it decided on, then calls."""
    found = LAYOUT.read(range(1, LAYOUT.counters + 1))
    assert found.called == LAYOUT.counters
    assert len(found.selectors) == 5
    places = [1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12]
    assert found.selectors[0] == (8, dict(zip(ACTIONS, places, strict=True)))
    fifth = [48 + place for place in places]
    assert found.selectors[4] == (56, dict(zip(ACTIONS, fifth, strict=True)))
    assert LAYOUT.counters == 61


def counts(called: int, *matched: int, signal: int = 0, monitor_signal: int = 0) -> HookCounts:
    """Of a hook; all but the first selector act on nobody, and all post."""
    none = dict.fromkeys(ACTIONS, 0)
    done = {"signal": signal, "monitor_signal": monitor_signal}
    selectors = [
        SelectorCounts(n, {**none, "post": n, **({} if at else done)})
        for at, n in enumerate(matched)
    ]
    return HookCounts(called, (*selectors, *[SelectorCounts(0, none)] * (5 - len(matched))))


class Attached:
    """A hook in the kernel."""

    def __init__(self, found: HookCounts | None, *, acts: bool = False, missed: int = 0) -> None:
        self.found, self.acts, self.missed = found, acts, missed
        self.kernel_memory = 0

    def counts(self) -> HookCounts | None:
        return self.found

    def missed_by_links(self) -> int:
        return self.missed

    def missed_by_programs(self) -> int:
        return 10 * self.missed


def figures(*hooks: tuple[str, str, Attached, tuple[str, ...]]) -> list[HookFigures]:
    """What a policy with these hooks tells: path, name, the hook, labels of its selectors."""
    claims = SimpleNamespace(claim=lambda: None, release=lambda _claim: None)
    loaded = LoadedPolicy(cast(Any, claims), cast(Any, claims), "enforce", cast(Any, None))
    for path, name, attached, labels in hooks:
        loaded.add(PreparedHook(path, cast(AttachedHook, attached), name, labels))
    return loaded.figures()


def test_tables_of_one_hook_are_added_up() -> None:
    """Functions whose arguments are in different places have a table each; other hooks do not."""
    first = Attached(counts(100, 7, 8, signal=5, monitor_signal=2), acts=True, missed=1)
    second = Attached(counts(20, 3, 4, signal=1), acts=True, missed=2)
    other = Attached(counts(9, 6))
    both, alone = figures(
        ("spec.usdts[2]", "usdt:a", first, ("x", "")),
        ("spec.usdts[2]", "usdt:a", second, ("x", "")),
        ("spec.usdts[11]", "usdt:a", other, ("x",)),
    )
    assert both[:5] == ("usdt:a", 2, 120, 3, 33)
    assert [(one.label, one.matched) for one in both.selectors] == [("x", 10), ("", 12)]
    assert [(one.acted, one.monitored) for one in both.selectors] == [(6, 2), (0, 0)]
    assert [one.posted for one in both.selectors] == [10, 12]
    assert alone == HookFigures("usdt:a", 11, 9, 0, 0, (reported("x", 6),))


def reported(label: str, times: int) -> SelectorFigures:
    """Of a hook that acts on nobody."""
    return SelectorFigures(label, times, {"post": times, "nopost": 0})


def test_hooks_without_selectors_and_those_that_are_no_entry() -> None:
    """What a hook tells without selectors counts as the first one's; enforcers count nothing."""
    loader, tells = Attached(counts(4, 4)), Attached(counts(5, 5))
    found = figures(
        ("spec.loader", "mapped:x", loader, ()),
        ("spec.enforcers[0]", "spec.enforcers[0]", Attached(None), ()),
        ("spec.kprobes[0]", "kprobe:f", tells, ()),
    )
    assert [(one.hook, one.number, one.called) for one in found] == [
        ("mapped:x", 0, 4),
        ("kprobe:f", 0, 5),
    ]
    assert [one.selectors for one in found] == [
        (reported("", 4),),
        (reported("", 5),),
    ]


class Slots:
    """Hands out files in place of maps, and remembers what is in the slot."""

    def __init__(self) -> None:
        self.made: list[int] = []
        self.in_slot: int | None = None
        self.counting = False

    def make_maps(self, table: HookTable) -> None:
        """None are needed."""

    def make_hook(self, data: bytes) -> int:
        self.made.append(os.open("/dev/null", os.O_RDONLY))
        return self.made[-1]

    def put_made_hook(self, fd: int) -> Any:
        self.in_slot = fd
        return SimpleNamespace(number=3, kernel_memory=100)

    def start_counts(self, slot: int) -> None:
        assert slot == 3
        self.counting = True

    def replace_hook(self, slot: int, fd: int) -> None:
        assert slot == 3
        self.in_slot = fd

    def counts(self, slot: int) -> HookCounts:
        assert slot == 3
        assert self.counting
        return counts(17)

    def give_back(self, hooks: list[int], sets: list[int]) -> None:
        assert (hooks, sets) == ([3], [])


def test_counts_outlast_the_table() -> None:
    """A hook that acts gets another table while it is silent: what counts is the slot's, and of
    tables that came and went nothing stays open.
    """
    slots = Slots()
    writer = HookWriter(policy_btf())
    programs = SimpleNamespace(slots=slots, writer=writer, give_back=lambda *_: None)
    hook = AttachedHook(cast(Any, programs))
    hook.put_table(HookTable((), (), (), (Action(writer.action_flags["ACTION_POST"], signals=9),)))
    (table,) = slots.made
    assert hook.acts
    for _ in range(3):
        hook.silence(True)
        assert slots.in_slot != table
        assert hook.counts() == counts(17)
        hook.silence(False)
        assert slots.in_slot == table
    hook.close()
    for fd in set(slots.made):
        try:
            os.fstat(fd)
        except OSError:
            continue
        raise AssertionError(f"{fd} of {slots.made} is open")
