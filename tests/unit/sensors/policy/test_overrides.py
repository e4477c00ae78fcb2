# SPDX-License-Identifier: Apache-2.0
"""In which way functions are kept from running, by what a policy says and a kernel has."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.support.policies import read, spec
from tetrapy.sensors.policy import overrides, trampolines
from tetrapy.sensors.policy.hook import FENTRY, KPROBE
from tetrapy.sensors.policy.overrides import overridden, plan_enforcers
from tetrapy.sensors.policy.place import Place, in_order
from tetrapy.sensors.policy.plan import Machine, PlaceError, Plan, Site

CALL, FUNCTION = "__x64_sys_mkdir", "security_inode_mkdir"
HELPER, TRAMPOLINES, INJECTION = "bpf_override_return", "trampolines", "injection"
OVERRIDE = "[{matchActions: [{action: Override, argError: -1}]}]"


@pytest.fixture(autouse=True)
def kernel(monkeypatch: pytest.MonkeyPatch) -> set[str]:
    """What the kernel has; to be filled in by a test."""
    has: set[str] = set()

    def feature(name: str) -> Any:
        return type(
            "Feature",
            (),
            {"name": name, "since": "4.16", "is_there": property(lambda _: name in has)},
        )()

    known = SimpleNamespace(OVERRIDE_RETURN=feature(HELPER), FENTRY=feature(TRAMPOLINES))
    trials = SimpleNamespace(has=lambda _: TRAMPOLINES in has, close=lambda: None)
    monkeypatch.setattr(overrides, "features", known)
    monkeypatch.setattr(overrides, "Trials", lambda: trials)
    monkeypatch.setattr(trampolines, "_CONFIGS", {known.FENTRY: "CONFIG_OF_THEM"})
    return has


def machine(has: set[str], method: str = "") -> Machine:
    """One with those, for a policy with that option."""
    options = [SimpleNamespace(name="override-method", value=method)] if method else []
    there = (
        {CALL, FUNCTION, "within_error_injection_list"} if INJECTION in has else {CALL, FUNCTION}
    )
    return cast(
        Machine,
        SimpleNamespace(
            machine="x86_64",
            spec=SimpleNamespace(options=options, lists=()),
            symbols=SimpleNamespace(functions=lambda names: there & set(names)),
            btf=SimpleNamespace(
                is_there=lambda: TRAMPOLINES in has,
                prototype=lambda _: SimpleNamespace(registers=3, returns=True),
            ),
        ),
    )


def planned(function: str, machine: Machine) -> Plan:
    """The plan of a kprobe at one function, with Override."""
    hook = read(
        spec(f"  kprobes: [{{call: sys_mkdir, selectors: {OVERRIDE}}}]")
    ).policy.spec.kprobes[0]
    site = Site(Place(KPROBE, (function,), 0, is_syscall=function == CALL), (function,))
    return overridden(Plan(KPROBE, (site,), hook, hook.args), hook, machine)


@pytest.mark.parametrize(
    ("has", "method", "function", "kind"),
    [
        ({HELPER, TRAMPOLINES, INJECTION}, "", CALL, FENTRY),
        ({HELPER, TRAMPOLINES, INJECTION}, "override-return", CALL, KPROBE),
        ({HELPER, TRAMPOLINES, INJECTION}, "fmod-ret", CALL, FENTRY),
        ({HELPER}, "", CALL, KPROBE),
        ({HELPER}, "override-return", CALL, KPROBE),
        ({TRAMPOLINES, INJECTION}, "", CALL, FENTRY),
        # The helper is for functions of the list of error injection, where these never are.
        ({HELPER, TRAMPOLINES}, "override-return", FUNCTION, FENTRY),
    ],
)
def test_way(kernel: set[str], has: set[str], method: str, function: str, kind: str) -> None:
    """Trampolines are the first choice, and the policy may say otherwise of system calls."""
    kernel |= has
    plan = planned(function, machine(kernel, method))
    assert [site.place.kind for site in plan.sites] == [kind]
    assert (plan.can_override, plan.overrides_later) == (True, kind == KPROBE)
    assert plan.sites[0].place.gives_verdict == (kind == FENTRY)
    name = "sys_mkdir" if function == CALL else function
    (place,) = plan_enforcers([name], machine(kernel, method))
    assert (place.kind, place.target, place.enforces) == (kind, (function,), kind == KPROBE)


@pytest.mark.parametrize(
    ("has", "method", "function", "why"),
    [
        ({TRAMPOLINES, INJECTION}, "override-return", CALL, "CONFIG_BPF_KPROBE_OVERRIDE"),
        ({TRAMPOLINES}, "", CALL, "CONFIG_FUNCTION_ERROR_INJECTION"),
        ({HELPER, TRAMPOLINES}, "fmod-ret", CALL, "CONFIG_FUNCTION_ERROR_INJECTION"),
        (set(), "", CALL, "CONFIG_BPF_KPROBE_OVERRIDE, which is enough for system calls"),
        ({HELPER}, "fmod-ret", CALL, "needs the BTF of the kernel itself"),
        ({HELPER}, "", FUNCTION, "needs the BTF of the kernel itself"),
    ],
)
def test_refused(kernel: set[str], has: set[str], method: str, function: str, why: str) -> None:
    """Where there is no way an operator learns what is missing."""
    kernel |= has
    with pytest.raises(PlaceError, match=why):
        planned(function, machine(kernel, method))
    name = "sys_mkdir" if function == CALL else function
    with pytest.raises(PlaceError, match=why):
        plan_enforcers([name], machine(kernel, method))


def test_both_ways_at_once(kernel: set[str]) -> None:
    """Enforcers at system calls and other functions: each in its own way."""
    kernel |= {HELPER, TRAMPOLINES}
    places = plan_enforcers(["sys_mkdir", FUNCTION], machine(kernel, "override-return"))
    assert [place.kind for place in places] == [KPROBE, FENTRY]


def test_what_overrides_is_attached_first() -> None:
    """The kernel runs the last kprobe first, and calls none behind one that overrides."""
    place = Place(KPROBE, (CALL,), 1)
    ordered = in_order(place, returns=True, overrides=True)
    assert [(one.enforces, one.is_return) for one in ordered] == [
        (True, False),
        (False, True),
        (False, False),
    ]
    assert in_order(place, returns=False, overrides=False) == [place]
