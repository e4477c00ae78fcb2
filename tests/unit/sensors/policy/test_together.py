# SPDX-License-Identifier: Apache-2.0
"""Which kprobes of a hook have one link, and what comes in its place, without a kernel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.policies import read, spec
from tetrapy.errors import KernelError
from tetrapy.kernel.links import Link
from tetrapy.policy.macros import effective
from tetrapy.sensors.policy.attached import AttachedHook
from tetrapy.sensors.policy.attachment import Attach
from tetrapy.sensors.policy.hook import KPROBE, MULTI_KPROBE
from tetrapy.sensors.policy.link_kinds import LinkKinds
from tetrapy.sensors.policy.place import Place, in_order
from tetrapy.sensors.policy.together import (
    MIN_FUNCTIONS,
    may_have_one_link,
    one_by_one,
    with_groups,
)

NAMES = [f"f{number}" for number in range(3)]


def may(hook: str, options: str = "[]", functions: int = MIN_FUNCTIONS) -> bool:
    """Of a hook with more than its function."""
    document = (
        f"  options: {options}\n  enforcers: [{{calls: [sys_getpgid]}}]\n"
        f"  kprobes: [{{call: security_f, syscall: false, {hook}}}]"
    )
    found = read(spec(document)).policy.spec
    (kprobe,) = found.kprobes
    selectors = effective(kprobe.selectors, found.selectors_macros)
    return may_have_one_link(kprobe, selectors, found, functions)


def acting(words: str) -> str:
    return f"selectors: [{{matchActions: [{{{words}}}]}}]"


@pytest.mark.parametrize(
    "hook",
    [
        acting("action: Post, kernelStackTrace: true"),
        acting("action: Post, userStackTrace: true"),
        acting("action: NotifyEnforcer, argError: -1"),
        acting("action: Override, argError: -1"),
        "data: [{index: 0, type: uint64, source: pt_regs, resolve: ax}]",
    ],
)
def test_what_needs_single_kprobes(hook: str) -> None:
    """Registers, stacks, and an order among the programs at a function."""
    assert not may(hook)


def test_others() -> None:
    """Many functions, unless the policy says otherwise; the last option counts."""
    assert may("args: [{index: 0, type: int}]")
    assert may(acting("action: Sigkill"))
    assert not may("args: []", functions=MIN_FUNCTIONS - 1)
    no, yes = (f"{{name: disable-kprobe-multi, value: '{word}'}}" for word in ("true", "false"))
    assert not may("args: []", f"[{yes}, {no}]")
    assert may("args: []", f"[{no}, {yes}]")


def places(**more: Any) -> list[Place]:
    """Of some functions, each with what sees it return."""
    found = []
    for number, name in enumerate(NAMES):
        place = Place(KPROBE, (name,), number, together=True, **more)
        found += in_order(place, returns=True, overrides=False)
    return found


def kinds(*, has: bool) -> LinkKinds:
    return cast(LinkKinds, SimpleNamespace(multi_kprobes=has))


def shown(found: Any) -> list[tuple[str, bool, list[int]]]:
    return [(one.kind, one.is_return, [own.number for own in one.group]) for one in found]


def test_groups_come_last() -> None:
    """Behind what sees their functions return: a call that begins in between would never do so."""
    one_each = [(KPROBE, True, [])] * 3
    begins = (MULTI_KPROBE, False, [0, 1, 2])
    assert shown(with_groups(places(), kinds(has=True))) == [*one_each, begins]
    both = with_groups(places(returns_together=True), kinds(has=True))
    assert shown(both) == [(MULTI_KPROBE, True, [0, 1, 2]), begins]
    # A trampoline sees them return.
    seen = with_groups(places(returns_together=True, exits=True), kinds(has=True))
    assert shown(seen) == [*one_each, begins]


def test_kernels_without() -> None:
    """Nothing changes, and nobody asks where no hook would have such a link."""
    assert with_groups(places(), kinds(has=False)) == places()
    alone = [Place(KPROBE, ("f",), 1)]
    assert with_groups(alone, cast(LinkKinds, None)) == alone


@pytest.mark.parametrize("refused", [False, True])
def test_one_by_one(*, refused: bool) -> None:
    """Where the kernel refuses the link, in the order of the functions, before what waits."""
    links: list[Any] = []

    def prepare(place: Place) -> Attach:
        def attach() -> Link:
            if refused and place.kind == MULTI_KPROBE:
                raise KernelError("refused")
            return cast(Link, (place.kind, place.number))

        return attach

    hook = AttachedHook(cast(Any, None))
    *_, group = with_groups(places(), kinds(has=True))
    hook.add(one_by_one(group, prepare, hook))
    hook.add(lambda: cast(Link, "waits"))
    hook.attach()
    links = cast("list[Any]", hook.links)
    wanted = [(KPROBE, number) for number in range(3)] if refused else [(MULTI_KPROBE, 0)]
    assert links == [*wanted, "waits"]
