# SPDX-License-Identifier: Apache-2.0
"""The static check of small programs: what Linux 4.19 refuses that 5.4 accepts."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.builders import EXIT, BtfBuilder, Relocation, Symbol, instruction
from tests.support.floor import CALL, LD_IMM64, MOVE, SECTION, findings
from tests.support.paths import ROOT
from tools import floor

PROGRAM = f"Linux 4.19 refuses program main ({SECTION})"
# if r0 < 8 goto ...
JUMP_IF_LESS = 0xA5
JUMP = 0x05


def refused(code: bytes, **more: object) -> list[str]:
    """What 4.19 finds in a program that 5.4 accepts."""
    assert findings(code, "5.4", **more) == []  # type: ignore[arg-type]
    return findings(code, "4.19", **more)  # type: ignore[arg-type]


@pytest.mark.parametrize("number", [1, 4, 5, 12, 25, 45, 80, 113, 114])
def test_helpers_of_the_floor_are_accepted(number: int) -> None:
    """The helpers of tracing programs in 4.19, and those that libbpf rewrites to them."""
    assert findings(instruction(CALL, number), "4.19") == []


@pytest.mark.parametrize(("number", "name"), [(87, "map_push_elem"), (109, "send_signal")])
def test_later_helpers_are_refused(number: int, name: str) -> None:
    """Those of 4.20 and 5.3."""
    assert refused(instruction(CALL, number)) == [
        f"{PROGRAM}, instruction 0: helper {number} ({name}) is not for raw_tracepoint programs"
    ]


@pytest.mark.parametrize("code", [0x16, 0x1E, 0x56, 0xD6, 0xDE])
def test_comparisons_of_32_bits_are_refused(code: int) -> None:
    """jmp32, version 3 of the instruction set."""
    assert refused(MOVE + instruction(code)) == [
        f"{PROGRAM}, instruction 1: comparison of 32 bits: instruction set v3, Linux 5.1"
    ]


@pytest.mark.parametrize(
    "code",
    [
        MOVE + instruction(JUMP_IF_LESS, 8, offset=-2),
        # The jump forwards leads behind the one backwards.
        MOVE + instruction(JUMP_IF_LESS, 8, offset=1) + instruction(JUMP, offset=-2),
        # The second half of a 16-byte load is stepped over.
        instruction(LD_IMM64) + instruction(0) + instruction(JUMP, offset=-3),
    ],
)
def test_loops_are_refused(code: bytes) -> None:
    """Whatever instruction leads back."""
    assert refused(code) == [f"{PROGRAM}: has a loop: Linux 5.3"]


def test_a_jump_backwards_need_be_no_loop() -> None:
    """Blocks may be in any order."""
    code = (
        instruction(JUMP, offset=2)  # to the last one
        + MOVE
        + EXIT
        + instruction(JUMP, offset=-3)
    )
    assert findings(code, "4.19") == []


def test_long_programs_are_refused() -> None:
    """4,096 instructions are the most, the exit included."""
    assert findings(4095 * MOVE, "4.19") == []
    assert refused(4096 * MOVE) == [f"{PROGRAM}: 4097 instructions, 4096 are too many"]


LOAD = instruction(LD_IMM64) + instruction(0)


@pytest.mark.parametrize(("section", "accepted"), [(".rodata", True), (".bss", False)])
def test_variables_are_refused(section: str, accepted: bool) -> None:
    """There is no global data; the loads of constants become loads of their values."""
    found = findings(
        LOAD,
        "4.19",
        symbols=[Symbol("number", section, 0, 8, kind=1)],
        relocations=[Relocation(SECTION, 0, "number", 1)],
        others={section: bytes(8)},
    )
    text = f"{PROGRAM}, instruction 0: the variable number is used: Linux 5.2"
    assert found == ([] if accepted else [text])


@pytest.mark.parametrize(("kind", "flags"), [(22, 0), (2, 1 << 7)])
def test_later_maps_are_refused(kind: int, flags: int) -> None:
    """Queues came with 4.20, maps that programs may only read with 5.2."""
    types = BtfBuilder()
    types.integer("int", 4)
    members = [("type", types.uint(kind), 0), ("map_flags", types.uint(flags), 64)]
    types.datasec(".maps", [("m", types.composite("", 16, members), 0, 16)])
    (found,) = refused(MOVE, others={".BTF": types.build()})
    assert found.startswith("Linux 4.19 refuses map m: ")


@pytest.mark.parametrize("name", ["base-4.19.bpf.o", "kernel_read-4.19.bpf.o"])
def test_the_flavour_is_held_to_it(name: str) -> None:
    """By the object's name; the perf buffer's flavour is not for such a kernel."""
    path = ROOT / "build/bundle/bpf" / name
    if not path.exists():
        pytest.skip(f"needs {name}: make build")
    accepted = floor.floor_of(Path(name))
    assert accepted.version == "4.19"
    assert floor.check(path.read_bytes(), accepted).findings == []
    other = path.with_name(name.replace("base-4.19", "base-perf").replace("-4.19", ""))
    assert floor.check(other.read_bytes(), accepted).findings
