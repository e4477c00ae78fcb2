# SPDX-License-Identifier: Apache-2.0
"""The static check of BPF objects: functions, which programs call or whose addresses they take."""

from __future__ import annotations

import pytest

from tests.support.builders import EXIT, Relocation, Symbol, elf, instruction
from tests.support.floor import CALL, LD_IMM64, MOVE, SECTION, findings, refused
from tools import floor
from tools.floor_rules import RULES


def called(binding: int = 0, visibility: int = 0, body: bytes = MOVE) -> list[str]:
    """What is found when `main` calls a function of .text with that body."""
    body += EXIT
    return findings(
        MOVE + instruction(CALL, -1, source=1),
        symbols=[Symbol("inner", ".text", 8, len(body), 2, binding, visibility)],
        relocations=[Relocation(SECTION, 8, "inner", 10)],
        others={".text": EXIT + body},
    )


def test_static_and_hidden_functions_may_be_called() -> None:
    """libbpf takes both for static: they are verified as part of their caller."""
    assert called() == []
    assert called(binding=1, visibility=2) == []


def test_global_functions_are_refused() -> None:
    """5.4 does not verify a function on its own."""
    assert called(binding=1) == refused(
        "calls the global function inner, known as such since 5.6; make it static"
    )


def test_what_is_wrong_in_a_function_is_found_through_its_caller() -> None:
    """The finding names program, function and the function's own instruction."""
    text = (
        f"Linux 5.4 refuses program main ({SECTION}), function inner (.text), instruction 1:"
        " helper 130 (ringbuf_output) is not for raw_tracepoint programs"
    )
    assert called(body=MOVE + instruction(CALL, 130)) == [text]


@pytest.mark.parametrize(
    ("section", "body", "problem"),
    [
        (SECTION, MOVE, "the address of the function turn is taken: Linux 5.13"),
        ("raw_tp/5.17", MOVE, ""),
        ("raw_tp/5.17", instruction(CALL, 58), "helper 58 (override_return) is not for"),
    ],
)
def test_functions_whose_addresses_are_taken(section: str, body: bytes, problem: str) -> None:
    """Programs for kernels that have bpf_loop() may; what is wrong in such a function is found."""
    found = findings(
        instruction(LD_IMM64) + instruction(0) + instruction(CALL, 12),
        section=section,
        symbols=[Symbol("turn", ".text", 0, len(body) + 8, 2, 0)],
        relocations=[Relocation(section, 0, "turn", 1)],
        others={".text": body + EXIT},
    )
    assert all(problem in line for line in found)
    assert bool(found) == bool(problem)


def test_functions_of_the_same_section_are_found_without_relocation() -> None:
    """A call inside a section has the distance in the instruction."""
    code = instruction(CALL, 1, source=1) + EXIT + instruction(0xE5) + EXIT
    symbols = [Symbol("main", SECTION, 0, 16), Symbol("inner", SECTION, 16, 16, binding=0)]
    image = elf({SECTION: code}, symbols)
    found = floor.check(image, RULES["5.4"]).findings
    assert any("function inner" in text and "may_goto" in text for text in found)


def test_a_call_into_nothing_is_refused() -> None:
    """The target of a call is the start of a function."""
    assert findings(instruction(CALL, 7, source=1)) == refused(
        "calls instruction +7, which is no function of the object", 0
    )


def test_kernel_functions_are_refused() -> None:
    """A call of an external function (kfunc), before and after libbpf's work on it."""
    assert findings(instruction(CALL, 1, source=2)) == refused(
        "a kernel function is called: Linux 5.13", 0
    )
    found = findings(
        instruction(CALL, -1, source=1),
        symbols=[Symbol("bpf_rcu_read_lock", kind=0)],
        relocations=[Relocation(SECTION, 0, "bpf_rcu_read_lock", 10)],
    )
    assert found == refused("calls bpf_rcu_read_lock, which is no function of the object", 0)


def test_symbols_of_the_kernel_are_refused() -> None:
    """A wide load that refers to nothing in the object asks the kernel's symbol table."""
    found = findings(
        instruction(LD_IMM64) + bytes(8),
        symbols=[Symbol("init_task", kind=0)],
        relocations=[Relocation(SECTION, 0, "init_task")],
    )
    assert found == refused("the kernel's symbol init_task is used", 0)


def test_addresses_of_functions_are_refused() -> None:
    """Callbacks came with bpf_for_each_map_elem() in 5.13."""
    found = findings(
        instruction(LD_IMM64) + bytes(8),
        symbols=[Symbol("callback", ".text", 0, 8, binding=0)],
        relocations=[Relocation(SECTION, 0, "callback")],
        others={".text": EXIT},
    )
    assert found == refused("the address of the function callback is taken: Linux 5.13", 0)


def test_tail_calls_and_functions_do_not_go_together() -> None:
    """Before 5.10 a program makes tail calls or calls functions."""
    found = findings(
        instruction(CALL, 12) + instruction(CALL, -1, source=1),
        symbols=[Symbol("inner", ".text", 0, 8, binding=0)],
        relocations=[Relocation(SECTION, 8, "inner", 10)],
        others={".text": EXIT},
    )
    text = "calls functions and makes tail calls: Linux 5.10"
    assert found == [f"Linux 5.4 refuses program main ({SECTION}): {text}"]
