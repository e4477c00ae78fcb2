# SPDX-License-Identifier: Apache-2.0
"""Kprobes of a policy that keep functions from running, and enforcers.

One way are trampolines of the kernel (fmod_ret): a program there takes the place of the kprobe's,
and says what the function returns. The other one is for system calls alone, where a policy asks for
it or the kernel has no trampolines: a second kprobe, whose program calls bpf_override_return().
"""

from __future__ import annotations

from typing import FrozenSet, List, Sequence

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.kernel import features
from tetrapy.kernel.trials import Trials
from tetrapy.policy import names
from tetrapy.policy.functions import functions, symbol
from tetrapy.policy.types import KprobeHook
from tetrapy.policy.values import UnfitError
from tetrapy.sensors.policy.hook import FENTRY, KPROBE
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Machine, PlaceError, Plan
from tetrapy.sensors.policy.trampolines import MAX_FUNCTIONS, expect_trampolines

_SYSCALL, _SECURITY = (
    "sys_",
    "security_",
)  # functions that call security modules: any kernel lets them be overridden
_INJECTION = "within_error_injection_list"  # a function of kernels with error injection only
_RETURN = "override-return"
_METHOD = "override-method"
_CONFIG = "CONFIG_BPF_KPROBE_OVERRIDE"


def overridden(found: Plan, hook: KprobeHook, machine: Machine) -> Plan:
    """The plan of a kprobe with Override.

    Raises PlaceError, PolicyUnsupportedError, KernelError.
    """
    symbols = [site.place.target[0] for site in found.sites]
    if len(_by_return(symbols, machine)) == len(symbols):
        return found._replace(can_override=True, overrides_later=True)
    _expect_trampolines(machine)
    if any(argument.source == names.REGISTERS for argument in hook.data):
        raise PolicyUnsupportedError(f"source {names.REGISTERS} of a hook with Override")
    if len(symbols) > MAX_FUNCTIONS:
        raise PlaceError(
            f"{hook.call} are {len(symbols)} functions; at most {MAX_FUNCTIONS} can be"
            " overridden by one hook"
        )
    if not all(machine.btf.prototype(one) for one in symbols):
        found.explain()
    for one in symbols:
        _expect_overridable(one, machine)
    sites = tuple(site._replace(place=_overridden(site.place, machine)) for site in found.sites)
    return found._replace(sites=sites, can_override=True)


def plan_enforcers(calls: Sequence[str], machine: Machine) -> List[Place]:
    """Where enforcers act. Raises PlaceError, PolicyUnsupportedError, KernelError."""
    symbols: List[str] = []
    for call in calls:
        try:
            found = functions(
                call,
                syscall=call.startswith(_SYSCALL),
                lists=machine.spec.lists,
                machine=machine.machine,
            )
        except UnfitError as err:
            raise PlaceError(f"{call} {err}") from err
        if found.generated:
            raise PolicyUnsupportedError(f"{call}: a list of type {found.generated}")
        symbols += [
            symbol(one, machine.machine) if one.startswith(_SYSCALL) else one
            for one in found.symbols
        ]
    symbols = list(dict.fromkeys(symbols))
    if not symbols:
        raise PlaceError("calls names no function at which something could be enforced")
    if len(symbols) > MAX_FUNCTIONS:
        raise PlaceError(f"{len(symbols)} functions; enforcers are supported at {MAX_FUNCTIONS}")
    there = machine.symbols.functions(symbols)
    for one in symbols:
        if one not in there:
            raise PlaceError(f"this kernel has no function {one}")
    returning = _by_return(symbols, machine)
    if len(returning) < len(symbols):
        _expect_trampolines(machine)
    return [
        Place(KPROBE, (one,), 0, enforces=True) if one in returning else _modified(one, machine)
        for one in symbols
    ]


def _by_return(symbols: Sequence[str], machine: Machine) -> FrozenSet[str]:
    """Those that bpf_override_return() overrides: system calls, if policy or kernel want that.

    Raises PlaceError where the policy asks for it, and the kernel does not have it.
    """
    methods = [one.value for one in machine.spec.options if one.name == _METHOD]
    calls = frozenset(one for one in symbols if not one.startswith(_SECURITY))
    if not calls or not (methods or features.OVERRIDE_RETURN.is_there):
        return frozenset()
    if methods:
        if methods[-1] != _RETURN:
            return frozenset()
        if not features.OVERRIDE_RETURN.is_there:
            raise PlaceError(
                f"option {_METHOD} {_RETURN}: this kernel lets no kprobe override a function: it is"
                f" older than Linux {features.OVERRIDE_RETURN.since}, or was built without"
                f" {_CONFIG}; leave the option out, use an LSM hook, or Sigkill"
            )
        return calls
    return frozenset() if _has_trampolines(machine) else calls


def _has_trampolines(machine: Machine) -> bool:
    """Whether functions can be modified there: some machines take such programs, and run none."""
    if not machine.btf.is_there() or not features.FENTRY.is_there:
        return False
    trials = Trials()
    try:
        return trials.has("fmodret")
    finally:
        trials.close()


def _expect_trampolines(machine: Machine) -> None:
    """Raises PlaceError."""
    expect_trampolines(
        features.FENTRY,
        "Override",
        f"leave the action out, or boot one with {_CONFIG}, which is enough for system calls",
        machine,
    )


def _expect_overridable(symbol: str, machine: Machine) -> None:
    if not symbol.startswith(_SECURITY) and not machine.symbols.functions([_INJECTION]):
        raise PlaceError(
            f"this kernel lets nobody override {symbol}: it was built without"
            " CONFIG_FUNCTION_ERROR_INJECTION; override the security_ function behind the system"
            " call, use an LSM hook, or Sigkill"
        )


def _modified(symbol: str, machine: Machine) -> Place:
    _expect_overridable(symbol, machine)
    return _overridden(Place(FENTRY, (symbol,), 0), machine)


def _overridden(place: Place, machine: Machine) -> Place:
    (function,) = place.target
    prototype = machine.btf.prototype(function)
    if prototype is None:
        raise PlaceError(
            f"function {function} is not in the BTF of the kernel itself, so that it cannot be"
            " overridden"
        )
    if not prototype.returns:
        raise PlaceError(f"function {function} returns nothing that could be overridden")
    return place._replace(kind=FENTRY, arguments=prototype.registers, gives_verdict=True)
