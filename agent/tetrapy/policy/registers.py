# SPDX-License-Identifier: Apache-2.0
"""What Override of a uprobe does to registers: texts such as `rip=(%rsp)`."""

from __future__ import annotations

import re
from typing import Mapping, Tuple

from tetrapy.named import NamedTuple
from tetrapy.policy.problems import quoted
from tetrapy.policy.types import Action
from tetrapy.policy.values import UnfitError, number

MOST = 8
"""Of one action."""

_LARGEST = (1 << 64) - 1
_TEXT = r"(?P<to>\w+)=(?P<number>[+-]?\w+)?(?:%(?P<register>\w+)|\(%(?P<pointer>\w+)\))?\Z"
_X86_64 = "r15 r14 r13 r12 rbp rbx r11 r10 r9 r8 rax rcx rdx rsi rdi"
REGISTERS: Mapping[str, Mapping[str, int]] = {
    "x86_64": {
        **{name: place for place, name in enumerate(_X86_64.split())},
        "rip": 16,
        "rsp": 19,
    },
    "aarch64": {**{f"x{place}": place for place in range(31)}, "sp": 31, "pc": 32},
}
"""Those that may be changed, by machine: the word of struct pt_regs (x86_64) or user_pt_regs."""


_INSTRUCTION: Mapping[str, str] = {"x86_64": "rip", "aarch64": "pc"}
_RETURN: Mapping[str, Tuple[str, ...]] = {
    "x86_64": ("rax={}", "rip=(%rsp)", "rsp=8%rsp"),
    "aarch64": ("x0={}", "pc=%x30"),
}


class Assignment(NamedTuple):
    """What a register becomes: the number, and what is in `source` where that is not empty."""

    to: str
    number: int
    source: str = ""
    in_memory: bool = False  # not that, but the 8 bytes of the process at that address


def assignment(text: str) -> Assignment:
    """The parts of `rax=11`, `rax=%rbx`, `rsp=8%rsp`, `rip=(%rsp)`, `rax=16(%rdi)`.

    Raises UnfitError.
    """
    found = re.match(_TEXT, text.replace(" ", ""), re.ASCII)
    source = found and (found["register"] or found["pointer"])
    if found is None or not (source or found["number"]):
        raise UnfitError("is no assignment: rax=11, rax=%rbx, rsp=8%rsp and rip=(%rsp) are")
    value = number(found["number"] or "0", -(1 << 63), _LARGEST)
    made = Assignment(found["to"], value, source or "", bool(found["pointer"]))
    known = {name for names in REGISTERS.values() for name in names}
    for name in filter(None, (made.to, made.source)):
        if name not in known:
            raise UnfitError(f"{quoted(name)} is no register that can be used")
    return made


def has_target(action: Action) -> bool:
    """Whether an Override has the process go on elsewhere in the program."""
    return bool(action.arg_new_symbol or action.arg_new_addr or action.arg_new_offset)


def returns_at_once(action: Action) -> bool:
    """Whether an Override of a uprobe has the function return argError in place of running."""
    return not action.arg_regs and not has_target(action)


def assignments_of(action: Action, machine: str, distance: int) -> Tuple[Assignment, ...]:
    """What an Override of a uprobe makes of registers, in this order. Raises UnfitError.

    `distance`: bytes from the probe to what argNewSymbol, argNewAddr or argNewOffset names.
    """
    if returns_at_once(action):
        return tuple(assignment(text.format(action.arg_error)) for text in _RETURN[machine])
    found = tuple(map(assignment, action.arg_regs))
    if not has_target(action):
        return found
    register = _INSTRUCTION[machine]
    return (*found, Assignment(register, distance, register))
