# SPDX-License-Identifier: Apache-2.0
"""What Override of a uprobe does to registers: texts such as `rip=(%rsp)`."""

from __future__ import annotations

import re
from typing import Mapping

from tetrapy.named import NamedTuple
from tetrapy.policy.problems import quoted
from tetrapy.policy.values import UnfitError, number

MOST = 8
"""Of one action."""

_LARGEST = (1 << 64) - 1
_TEXT = re.compile(
    r"(?P<to>\w+)=(?P<number>[+-]?\w+)?(?:%(?P<register>\w+)|\(%(?P<pointer>\w+)\))?\Z", re.ASCII
)
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
    found = _TEXT.match(text.replace(" ", ""))
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
