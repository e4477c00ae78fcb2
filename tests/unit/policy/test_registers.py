# SPDX-License-Identifier: Apache-2.0
"""Texts that say what becomes of registers."""

from __future__ import annotations

import pytest

from tests.support.policies import spec
from tetrapy.policy.read import read_policy
from tetrapy.policy.registers import Assignment, assignment, assignments_of
from tetrapy.policy.values import UnfitError


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("rax=11", Assignment("rax", 11)),
        ("rax=-1", Assignment("rax", -1)),
        ("x0=0xffffffffffffffff", Assignment("x0", (1 << 64) - 1)),
        ("rax=%rbx", Assignment("rax", 0, "rbx")),
        ("rsp=8%rsp", Assignment("rsp", 8, "rsp")),
        ("rip=(%rsp)", Assignment("rip", 0, "rsp", in_memory=True)),
        ("rdi = -0x10(%rsi)", Assignment("rdi", -16, "rsi", in_memory=True)),
    ],
)
def test_assignments(text: str, found: Assignment) -> None:
    """A number, a register, their sum, or the memory that it points to."""
    assert assignment(text) == found


@pytest.mark.parametrize(
    "text",
    [
        *("", "rax", "rax=", "=1", "rax=1%", "rax=%", "rax=(rsp)", "rax=8%rsp)", "rax=1x"),
        *("rax=1=2", "cs=1", "eflags=%rax", "rax=%ss", "orig_rax=1", f"rax={1 << 64}"),
        "rax=%rsp\n%rbp",
    ],
)
def test_what_is_no_assignment(text: str) -> None:
    """Nor may registers be named that say what the process may do."""
    with pytest.raises(UnfitError):
        assignment(text)


@pytest.mark.parametrize(
    ("words", "machine", "found"),
    [
        ("", "x86_64", "rax=0 rip=(%rsp) rsp=8%rsp"),
        (", argError: -13", "x86_64", "rax=-13 rip=(%rsp) rsp=8%rsp"),
        (", argError: -13", "aarch64", "x0=-13 pc=%x30"),
        (", argNewSymbol: g", "x86_64", "rip=-48%rip"),
        (", argNewAddr: 0x1000", "aarch64", "pc=-48%pc"),
        (", argNewOffset: 64, argRegs: ['rdi=1']", "x86_64", "rdi=1 rip=-48%rip"),
        (", argError: 3, argRegs: ['rdi=1']", "x86_64", "rdi=1"),
    ],
)
def test_other_forms(words: str, machine: str, found: str) -> None:
    """A function that returns at once, or another one in its place; registers as well."""
    selectors = f"[{{matchActions: [{{action: Override{words}}}]}}]"
    text = spec(f"  uprobes: [{{path: /f, symbols: [f], selectors: {selectors}}}]")
    (action,) = read_policy(text).policy.spec.uprobes[0].selectors[0].match_actions
    made = assignments_of(action, machine, -48)
    assert made == tuple(map(assignment, found.split()))
