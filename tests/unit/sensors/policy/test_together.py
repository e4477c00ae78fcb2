# SPDX-License-Identifier: Apache-2.0
"""Which kprobes of a hook have one link, and what comes in its place, without a kernel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Sequence, cast

import pytest

from tests.support.policies import read, spec
from tetrapy.errors import KernelError
from tetrapy.kernel.links import Link
from tetrapy.policy.macros import effective
from tetrapy.sensors.policy.attached import AttachedHook
from tetrapy.sensors.policy.attachment import Attach
from tetrapy.sensors.policy.hook import KPROBE, MULTI_KPROBE
from tetrapy.sensors.policy.place import Place, in_order
from tetrapy.sensors.policy.plan import Machine
from tetrapy.sensors.policy.together import (
    MIN_FUNCTIONS,
    fits,
    joinable,
    one_by_one,
    with_groups,
)

NUMBERS = list(range(MIN_FUNCTIONS + 2))
NAMES = [f"f{number}" for number in NUMBERS]


def fit(hook: str) -> bool:
    """Of a hook with more than its function."""
    found = read(
        spec(
            "  enforcers: [{calls: [sys_getpgid]}]\n"
            f"  kprobes: [{{call: security_f, syscall: false, {hook}}}]"
        )
    ).policy.spec
    (kprobe,) = found.kprobes
    return fits(kprobe, effective(kprobe.selectors, found.selectors_macros))


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
    assert not fit(hook)


def test_others() -> None:
    """Most hooks."""
    assert fit("args: [{index: 0, type: int}]")
    assert fit(acting("action: Sigkill"))


class Functions:
    """Of a kernel: all are there once but one, and one is on the blacklist."""

    def apart(self, names: Sequence[str]) -> frozenset[str]:
        return frozenset(names) - {"f0"}

    def is_blacklisted(self, name: str) -> bool:
        return name == "f1"


def joined(names: Sequence[str], options: str = "[]", **more: Any) -> set[str]:
    """Which of the functions may have one link; of a kernel that has such links."""
    about: dict[str, Any] = {"is_syscall": False, "multi": True, **more}
    machine = SimpleNamespace(
        spec=read(spec(f"  options: {options}\n  kprobes: [{{call: f}}]")).policy.spec,
        symbols=Functions(),
        link_kinds=SimpleNamespace(multi_kprobes=about["multi"]),
    )
    return set(joinable(names, is_syscall=about["is_syscall"], machine=cast(Machine, machine)))


def test_which_functions() -> None:
    """Those that single kprobes would hook, too, and no others; system calls are there once."""
    assert joined(NAMES) == set(NAMES) - {"f0", "f1"}
    assert joined(NAMES, is_syscall=True) == set(NAMES) - {"f1"}


def test_for_none() -> None:
    """Of few functions, on kernels that have no such links, and where the policy says so."""
    assert joined(NAMES[: MIN_FUNCTIONS - 1]) == set()
    assert joined(NAMES, multi=False) == set()
    no, yes = (f"{{name: disable-kprobe-multi, value: '{word}'}}" for word in ("true", "false"))
    assert joined(NAMES, f"[{yes}, {no}]") == set()
    assert joined(NAMES, f"[{no}, {yes}]") != set()


def places(names: Sequence[str] = NAMES, **more: Any) -> list[Place]:
    """Of some functions, each with what sees it return."""
    found = []
    for number, name in enumerate(names):
        place = Place(KPROBE, (name,), number, together=True, **more)
        found += in_order(place, returns=True, overrides=False)
    return found


def shown(found: Any) -> list[tuple[str, bool, list[int]]]:
    return [(one.kind, one.is_return, [own.number for own in one.group]) for one in found]


def test_groups_come_last() -> None:
    """Behind what sees their functions return: a call that begins in between would never do so."""
    one_each = [(KPROBE, True, [])] * len(NAMES)
    begins = (MULTI_KPROBE, False, NUMBERS)
    assert shown(with_groups(places())) == [*one_each, begins]
    both = with_groups(places(returns_together=True))
    assert shown(both) == [(MULTI_KPROBE, True, NUMBERS), begins]
    # A trampoline sees them return.
    seen = with_groups(places(returns_together=True, exits=True))
    assert shown(seen) == [*one_each, begins]


def test_too_few() -> None:
    """What is left of a hook, or what of it has the same table."""
    few = places(NAMES[: MIN_FUNCTIONS - 1], returns_together=True)
    assert with_groups(few) == few


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
    *_, group = with_groups(places())
    hook.add(one_by_one(group, prepare, hook))
    hook.add(lambda: cast(Link, "waits"))
    hook.attach()
    links = cast("list[Any]", hook.links)
    wanted = [(KPROBE, number) for number in NUMBERS] if refused else [(MULTI_KPROBE, 0)]
    assert links == [*wanted, "waits"]
