# SPDX-License-Identifier: Apache-2.0
"""Where programs of policies are attached, and which programs those are."""

from __future__ import annotations

from typing import TYPE_CHECKING, List, Mapping, Tuple

from tetrapy.named import NamedTuple
from tetrapy.sensors.policy.hook import (
    FENTRY,
    KPROBE,
    LSM,
    MULTI_KPROBE,
    RAW_TRACEPOINT,
    TRACEPOINT,
    UPROBE,
)

if TYPE_CHECKING:
    from tetrapy.policy.registers import Assignment


class Place(NamedTuple):
    """Where a program is attached, and the number that its records carry."""

    kind: str
    target: Tuple[str, ...]  # function; path; subsystem and event
    number: int
    offset: int = 0  # in the file of a uprobe
    tracepoint: int = 0  # the kernel's number of it, from its format file
    reference_counter: int = 0  # its offset in the file of a uprobe; 0: none
    is_syscall: bool = False
    is_return: bool = False
    arguments: int = 0  # of a raw tracepoint, and registers of them at a trampoline
    gives_verdict: bool = False  # the program may say that the function does not run
    enforces: bool = False  # the program does what was left for the thread, and tells nothing
    exits: bool = False  # a trampoline may see the function of a kprobe return
    # Kprobes of one hook may have one link together; those that see their functions return, too.
    together: bool = False
    returns_together: bool = False
    group: Tuple[Place, ...] = ()  # of MULTI_KPROBE: what one link is for
    hashes: bool = False  # the program has IMA hash the file of a call that another one reported
    # Of a uprobe that is overridden: what each selector makes of registers.
    assignments: Tuple[Tuple[Assignment, ...], ...] = ()


def in_order(place: Place, *, returns: bool, overrides: bool, hashes: bool = False) -> List[Place]:
    """What is attached where a call begins, in this order: for its return, and what overrides it.

    Of several kprobes at a function the kernel runs the one first that came last: the one that
    overrides it comes first, lest it takes the call from the others. The return before the call:
    one that begins between the two would never be seen to return. Programs at an LSM hook go by the
    same rule: the one that hashes comes first, to run behind the one that reports.
    """
    places = [place._replace(enforces=True)] if overrides else []
    if hashes:
        places.append(place._replace(hashes=True))
    if returns:
        places.append(place._replace(is_return=True, together=place.returns_together))
    return [*places, place]


class Family(NamedTuple):
    """Programs that call one another; an instance of them serves all hooks of a kind."""

    name: str  # their names begin with it, and those of their own maps
    # Attached: to where a call begins, to where it returns, and to hash the file.
    entries: Tuple[str, ...]
    cookie: str  # the constant that stands for the link's number where a link has none
    calls: int  # that one CPU may be at: see claim_call() of bpf/call_steps.h


_TRAMPOLINE = ("on_trampoline", "on_trampoline_return", "on_hash")
FAMILIES: Mapping[str, Family] = {
    KPROBE: Family("kprobe", ("on_call", "on_return"), "fixed_cookie", 1),
    MULTI_KPROBE: Family("kprobe", ("on_call", "on_return"), "fixed_cookie", 1),
    UPROBE: Family("kprobe", ("on_call", "on_return"), "fixed_cookie", 3),
    TRACEPOINT: Family("tracepoint", ("on_tracepoint",), "fixed_tracepoint_cookie", 2),
    RAW_TRACEPOINT: Family("raw_tracepoint", ("on_raw_tracepoint",), "fixed_raw_cookie", 3),
    FENTRY: Family("trampoline", _TRAMPOLINE, "fixed_trampoline_cookie", 3),
    LSM: Family("trampoline", _TRAMPOLINE, "fixed_trampoline_cookie", 3),
}
FAMILY_NAMES = frozenset(family.name for family in FAMILIES.values())
