# SPDX-License-Identifier: Apache-2.0
"""What Override of a uprobe has become of registers, as the kernel side reads it."""

from __future__ import annotations

import struct

import pytest

from tests.support.policies import spec
from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import section_data
from tetrapy.errors import PolicyUnsupportedError
from tetrapy.policy.read import read_policy
from tetrapy.policy.types import Action, Selector
from tetrapy.sensors.policy import assignments as module
from tetrapy.sensors.policy import objects
from tetrapy.sensors.policy.assignments import assignments, constants_of
from tetrapy.sensors.policy.plan import PlaceError

NUMBER, REGISTER, MEMORY = 1, 2, 3  # enum register_source of bpf/call_registers.h
ROW = struct.Struct("<qIII4x")


def nowhere(_action: Action) -> int:
    return 0


def selectors(*rows: str) -> tuple[Selector, ...]:
    actions = [f"{{matchActions: [{{action: Override, argRegs: [{row}]}}]}}" for row in rows]
    text = spec(f"  uprobes: [{{path: /f, symbols: [f], selectors: [{', '.join(actions)}]}}]")
    found: tuple[Selector, ...] = read_policy(text).policy.spec.uprobes[0].selectors
    return found


def test_rows_of_selectors(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each selector has eight, of which the first that is empty ends it."""
    monkeypatch.setattr(module, "_machine", lambda: "x86_64")
    made = assignments(selectors("rax=-1, rip=(%rsp)", "rsp=8%rsp"), "x86_64", nowhere)
    btf = Btf(section_data(objects.read(objects.RING_OBJECT), ".BTF"))
    (number,) = constants_of(made, btf).values()
    data = number.to_bytes(5 * 8 * ROW.size, "little")
    assert [ROW.unpack_from(data, at * ROW.size) for at in (0, 1, 2, 8, 9)] == [
        (-1, NUMBER, 10, 0),
        (0, MEMORY, 16, 19),
        (0, 0, 0, 0),
        (8, REGISTER, 19, 19),
        (0, 0, 0, 0),
    ]
    assert constants_of((), btf) == {}


def test_registers_of_another_machine() -> None:
    """Are named."""
    with pytest.raises(PlaceError, match="aarch64 has no register rip"):
        assignments(selectors("x0=1, rip=%x30"), "aarch64", nowhere)


def test_more_than_a_selector_may_have() -> None:
    """Also where several actions have them."""
    rows = ["rax=1, " * 4 + "rax=1"] * 2
    text = ", ".join(f"{{action: Override, argRegs: [{row}]}}" for row in rows)
    hook = f"{{path: /f, symbols: [f], selectors: [{{matchActions: [{text}]}}]}}"
    read = read_policy(spec(f"  uprobes: [{hook}]")).policy.spec.uprobes[0]
    with pytest.raises(PolicyUnsupportedError, match="more than 8 registers"):
        assignments(read.selectors, "x86_64", nowhere)
