# SPDX-License-Identifier: Apache-2.0
"""Kernel functions of a policy, on this machine."""

from __future__ import annotations

import os
import re
from typing import List, Sequence, Tuple

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.kernel import features
from tetrapy.policy import names
from tetrapy.policy.functions import MACHINES, Syscall, functions
from tetrapy.policy.macros import effective
from tetrapy.policy.types import KprobeHook, Selector
from tetrapy.policy.values import UnfitError
from tetrapy.sensors.policy.actions import overrides
from tetrapy.sensors.policy.exits import with_exits
from tetrapy.sensors.policy.hook import KPROBE
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Machine, PlaceError, Plan, Site
from tetrapy.sensors.policy.together import fits, joinable, returns_have_one_link

_PMU = "/sys/bus/event_source/devices/kprobe"
MAX_FUNCTIONS = 4096
"""Of one hook: a list that the kernel fills may have tens of thousands."""
# Makes of a name a system call that nobody calls, or a part that the compiler split off.
_NEVER_CALLED = r"sys_(ni_|call)|\."


def plan(hook: KprobeHook, machine: Machine) -> Plan:
    """Where it is. Raises PlaceError, PolicyUnsupportedError, KernelError.

    Whether the functions are there is asked only if they may be missing: the kernel says so when
    they are hooked, and all its symbols are 50 times as much work.
    """
    expect_kprobes()
    kept, is_syscall = symbols_of(hook, machine)
    missing: List[str] = []
    if hook.ignore and hook.ignore.call_not_found:
        missing = _missing(kept, machine)
        absent_ones = frozenset(missing)
        kept = [symbol for symbol in kept if symbol not in absent_ones]
    if len(kept) > MAX_FUNCTIONS:
        raise PlaceError(
            f"{hook.call} are {len(kept)} functions; at most {MAX_FUNCTIONS} can be hooked"
        )
    selectors = effective(hook.selectors, machine.spec.selectors_macros)
    joined = joinable(kept, is_syscall, machine) if fits(hook, selectors) else ()
    returns_too = bool(joined and hook.returns and returns_have_one_link(machine.btf))
    alone = Place(KPROBE, (), 0, is_syscall=is_syscall)
    group = alone._replace(together=True, returns_together=returns_too)
    sites = tuple(
        Site((group if symbol in joined else alone)._replace(target=(symbol,)), (symbol,))
        for symbol in kept
    )
    if hook.returns and any(map(_decides_at_return, selectors)):
        sites = with_exits(sites, machine)
    found = Plan(
        KPROBE,
        sites,
        hook,
        hook.args,
        hook.data,
        hook.return_arg if hook.returns else None,
        prototype=_prototype,
        left_out=tuple(f"kprobe:{symbol}: there is no such function" for symbol in missing),
        explain=lambda: _expect_hookable(hook, kept, machine),
    )
    if not overrides(selectors):
        return found
    from tetrapy.sensors.policy.overrides import overridden  # late: few policies ask for it

    return overridden(found, hook, machine)


def _decides_at_return(selector: Selector) -> bool:
    """Whether more than a report depends on what the function returns."""
    return bool(selector.match_return_args or selector.match_return_actions)


def _missing(symbols: Sequence[str], machine: Machine) -> List[str]:
    found = machine.symbols.functions(symbols)
    return [symbol for symbol in symbols if symbol not in found]


def _expect_hookable(hook: KprobeHook, symbols: Sequence[str], machine: Machine) -> None:
    """Raises PlaceError, KernelError."""
    missing = _missing(symbols, machine)
    if missing:
        more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
        raise PlaceError(absent(hook, missing[0]) + more)
    for symbol in symbols:
        if machine.symbols.is_blacklisted(symbol):
            raise PlaceError(
                f"function {symbol} is on the kernel's blacklist (kprobes/blacklist in debugfs):"
                " nobody may hook it"
            )


def expect_kprobes() -> None:
    """Raises PlaceError where this kernel has none."""
    if not features.KPROBES.is_there or not os.path.exists(_PMU):
        raise PlaceError(
            "this kernel has no kprobes (CONFIG_KPROBE_EVENTS), or /sys is not mounted: there is"
            f" no {_PMU}; boot one that has them, or hook a tracepoint or raw tracepoint"
        )


def expect_functions(machine: Machine, symbols: Sequence[str]) -> None:
    """Raises PlaceError where this kernel lacks one of them, KernelError."""
    found = machine.symbols.functions(symbols)
    for symbol in symbols:
        if symbol not in found:
            raise PlaceError(f"this kernel has no function {symbol}, which is hooked for that")


def symbols_of(hook: KprobeHook, machine: Machine) -> Tuple[List[str], bool]:
    """The functions that a hook means, and whether they are system calls. Raises PlaceError."""
    try:
        found = functions(
            hook.call, syscall=hook.syscall, lists=machine.spec.lists, machine=machine.machine
        )
    except UnfitError as err:
        raise PlaceError(f"call {hook.call} {err}") from err
    symbols = list(found.symbols)
    if found.generated == names.ALL_SYSCALLS:
        prefix = Syscall(MACHINES[machine.machine][0], "").symbol
        never = re.compile(_NEVER_CALLED)
        symbols = [one for one in machine.symbols.starting(prefix) if not never.search(one)]
    elif found.generated == names.TRACEABLE_FUNCTIONS:
        try:
            wanted = re.compile(found.pattern)
        except re.error as err:
            raise PlaceError(f"{hook.call}: pattern {found.pattern!r}: {err}") from err
        symbols = sorted({one for one in machine.symbols.traceable() if wanted.search(one)})
    if not symbols:
        raise PlaceError(f"call {hook.call}: no function of this kernel is meant by it")
    return list(dict.fromkeys(symbols)), found.syscall


def absent(hook: KprobeHook, symbol: str) -> str:
    """A sentence on a function that is not there."""
    text = f"this kernel has no function {symbol}"
    if hook.syscall and not hook.call.startswith(names.LIST_PREFIX) and "sys_" not in hook.call:
        return f"{text}: {hook.call} is no system call; for other functions write syscall: false"
    return f"{text}; with ignore: {{callNotFound: true}} it may be missing"


def _prototype(types: KernelTypes, site: Site) -> Sequence[int]:
    if site.place.is_syscall:
        raise PolicyUnsupportedError(
            "resolve of a system call's argument: it is in user space; hook a function"
        )
    return types.function(site.target[0])
