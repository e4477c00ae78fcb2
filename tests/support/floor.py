# SPDX-License-Identifier: Apache-2.0
"""Objects of one program for the static check of BPF objects, and what it finds in them."""

from __future__ import annotations

from tests.support.builders import EXIT, Relocation, Symbol, elf, instruction
from tools import floor
from tools.floor_rules import RULES

SECTION = "raw_tp/sched_process_exec"
CALL, LD_IMM64 = 0x85, 0x18
MOVE = instruction(0xB7)


def findings(
    code: bytes,
    version: str = "5.4",
    section: str = SECTION,
    symbols: list[Symbol] | None = None,
    relocations: list[Relocation] | None = None,
    others: dict[str, bytes] | None = None,
) -> list[str]:
    """What is found in an object with one program `main`, whose code ends with an exit."""
    code += EXIT
    symbols = [Symbol("main", section, 0, len(code)), *(symbols or [])]
    image = elf({section: code, **(others or {})}, symbols, relocations)
    return floor.check(image, RULES[version]).findings


def refused(problem: str, at: int = 1, section: str = SECTION) -> list[str]:
    """The one finding about an instruction of program `main`."""
    return [f"Linux 5.4 refuses program main ({section}), instruction {at}: {problem}"]
