# SPDX-License-Identifier: Apache-2.0
"""Kprobes of a policy that keep functions from running: at trampolines of the kernel (fmod_ret).

A program there takes the place of the kprobe's, and says what the function returns.
"""

from __future__ import annotations

from typing import List, Sequence

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.kernel import features
from tetrapy.policy import names
from tetrapy.policy.functions import functions, symbol
from tetrapy.policy.types import KprobeHook
from tetrapy.policy.values import UnfitError
from tetrapy.sensors.policy.hook import FENTRY
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Machine, PlaceError, Plan
from tetrapy.sensors.policy.trampolines import MAX_FUNCTIONS, expect_trampolines

_SYSCALL, _SECURITY = (
    "sys_",
    "security_",
)  # functions that call security modules: any kernel lets them be overridden
_INJECTION = "within_error_injection_list"  # a function of kernels with error injection only
_RETURN, _MODIFY = "override-return", "fmod-ret"
_METHOD = "override-method"


def overridden(found: Plan, hook: KprobeHook, machine: Machine) -> Plan:
    """The plan of a kprobe with Override.

    Raises PlaceError, PolicyUnsupportedError, KernelError.
    """
    _expect_method(machine)
    if any(argument.source == names.REGISTERS for argument in hook.data):
        raise PolicyUnsupportedError(f"source {names.REGISTERS} of a hook with Override")
    if len(found.sites) > MAX_FUNCTIONS:
        raise PlaceError(
            f"{hook.call} are {len(found.sites)} functions; at most {MAX_FUNCTIONS} can be"
            " overridden by one hook"
        )
    if not all(machine.btf.prototype(site.place.target[0]) for site in found.sites):
        found.explain()
    for site in found.sites:
        _expect_overridable(site.place.target[0], machine)
    sites = tuple(site._replace(place=_overridden(site.place, machine)) for site in found.sites)
    return found._replace(sites=sites, can_override=True)


def plan_enforcers(calls: Sequence[str], machine: Machine) -> List[Place]:
    """Where enforcers act. Raises PlaceError, PolicyUnsupportedError, KernelError."""
    _expect_method(machine)
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
        _expect_overridable(one, machine)
    return [_overridden(Place(FENTRY, (one,), 0), machine) for one in symbols]


def _expect_method(machine: Machine) -> None:
    methods = [one.value for one in machine.spec.options if one.name == _METHOD]
    if methods[-1:] == [_RETURN]:
        raise PolicyUnsupportedError(
            f"option {_METHOD} {_RETURN}: functions are overridden by {_MODIFY} only"
        )
    expect_trampolines(features.FENTRY, "Override", "leave the action out", machine)


def _expect_overridable(symbol: str, machine: Machine) -> None:
    if not symbol.startswith(_SECURITY) and not machine.symbols.functions([_INJECTION]):
        raise PlaceError(
            f"this kernel lets nobody override {symbol}: it was built without"
            " CONFIG_FUNCTION_ERROR_INJECTION; override the security_ function behind the system"
            " call, use an LSM hook, or Sigkill"
        )


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
