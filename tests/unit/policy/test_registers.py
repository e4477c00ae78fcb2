# SPDX-License-Identifier: Apache-2.0
"""Texts that say what becomes of registers."""

from __future__ import annotations

import pytest

from tetrapy.policy.registers import Assignment, assignment
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
