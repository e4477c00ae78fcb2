# SPDX-License-Identifier: Apache-2.0
"""The static check that holds BPF objects to what Linux 5.4 and 5.8 accept: each rule fires."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.builders import EXIT, BtfBuilder, Symbol, elf, instruction
from tests.support.floor import CALL, LD_IMM64, MOVE, SECTION, findings, refused
from tests.support.paths import DATA
from tetrapy.errors import ElfError, TetrapyError
from tools import floor
from tools.floor_rules import RULES

SAMPLE = (DATA / "sample.bpf.o").read_bytes()


def test_a_real_object_is_accepted() -> None:
    """The sample, with a subprogram, maps, constants and helpers that libbpf rewrites, passes."""
    report = floor.check(SAMPLE, RULES["5.4"])
    assert report.findings == []
    assert [(program.name, program.section) for program in report.programs] == [
        ("on_exec", SECTION)
    ]
    assert report.programs[0].instructions > 90


@pytest.mark.parametrize(
    "code",
    [
        0x61, 0x69, 0x71, 0x79, 0x62, 0x7A, 0x63, 0x6B, 0x73, 0x7B,
        0x07, 0x0F, 0x04, 0x0C, 0x87, 0x84, 0xC4, 0xC7, 0xB4, 0xBC, 0x97, 0x37,
        0x05, 0x15, 0x1D, 0x55, 0xA5, 0xD5, 0x16, 0x1E, 0x56, 0xD6, 0xDE,
    ],
)  # fmt: skip
def test_version_3_of_the_instruction_set_is_accepted(code: int) -> None:
    """Loads, stores, arithmetic and jumps of 32 and 64 bits."""
    assert findings(MOVE + instruction(code)) == []


@pytest.mark.parametrize("bits", [16, 32, 64])
@pytest.mark.parametrize("code", [0xD4, 0xDC])
def test_conditional_byte_swaps_are_accepted(code: int, bits: int) -> None:
    """The swaps to little and big endian are as old as BPF."""
    assert findings(MOVE + instruction(code, bits)) == []


@pytest.mark.parametrize("code", [0xC3, 0xDB])
def test_the_plain_atomic_add_is_accepted(code: int) -> None:
    """BPF_XADD of 4 and 8 bytes is what clang makes of an addition whose result is not used."""
    assert findings(MOVE + instruction(code)) == []


@pytest.mark.parametrize(
    ("code", "immediate", "offset", "problem"),
    [
        (0xDB, 0x01, 0, "atomic operation 0x1: only plain add, without fetch, before 5.12"),
        (0xC3, 0xE1, 0, "atomic operation 0xe1: only plain add, without fetch, before 5.12"),
        (0xDB, 0x40, 0, "atomic operation 0x40: only plain add, without fetch, before 5.12"),
        (0xCB, 0x00, 0, "atomic add of less than 4 bytes"),
        (0xD7, 16, 0, "unconditional byte swap: instruction set v4, Linux 6.6"),
        (0xDC, 8, 0, "byte swap of 8 bits"),
        (0xBF, 0, 8, "offset 8 (signed division or sign-extending move): v4, Linux 6.6"),
        (0x3F, 0, 1, "offset 1 (signed division or sign-extending move): v4, Linux 6.6"),
        (0x9C, 0, 1, "offset 1 (signed division or sign-extending move): v4, Linux 6.6"),
        (0x81, 0, 0, "sign-extending load: instruction set v4, Linux 6.6"),
        (0x91, 0, 0, "sign-extending load: instruction set v4, Linux 6.6"),
        (0x06, 5, 0, "long jump: instruction set v4, Linux 6.6"),
        (0xE5, 0, 0, "may_goto: Linux 6.9"),
        (0x05, 5, 0, "jump with an immediate"),
        (0x0D, 0, 0, "opcode 0x0d: a jump or call through a register"),
        (0x8D, 0, 0, "opcode 0x8d: a jump or call through a register"),
        (0x86, 0, 0, "opcode 0x86 is not known"),
        (0x96, 0, 0, "opcode 0x96 is not known"),
        (0xF5, 0, 0, "opcode 0xf5 is not known"),
        (0xE7, 0, 0, "opcode 0xe7 is not known"),
        (0xA3, 0, 0, "opcode 0xa3 is not known"),
        (0xC1, 0, 0, "opcode 0xc1 is not known"),
        (0x20, 0, 0, "opcode 0x20: packet loads are for socket programs"),
        (0x40, 0, 0, "opcode 0x40: packet loads are for socket programs"),
    ],
)
def test_newer_instructions_are_refused(
    code: int, immediate: int, offset: int, problem: str
) -> None:
    """The finding names program, section and instruction, and what is too new about it."""
    assert findings(MOVE + instruction(code, immediate, offset)) == refused(problem)


@pytest.mark.parametrize("source", [3, 4, 5, 6])
def test_newer_forms_of_the_wide_load_are_refused(source: int) -> None:
    """Addresses of BTF variables and functions, and map indices, are of 5.10 and later."""
    code = MOVE + instruction(LD_IMM64, source=source) + bytes(8)
    problem = f"16-byte load of kind {source} (BTF variable, function or map index): 5.10 and later"
    assert findings(code) == refused(problem)


def test_the_second_half_of_a_wide_load_is_no_instruction() -> None:
    """Its first byte is zero, which would be an opcode of its own kind."""
    assert findings(instruction(LD_IMM64) + instruction(0, 0x12345678)) == []


@pytest.mark.parametrize("number", [1, 4, 5, 12, 25, 45, 109, 112, 113, 114, 115])
def test_helpers_of_the_floor_are_accepted(number: int) -> None:
    """The helpers of tracing programs in 5.4, and those that libbpf rewrites to them."""
    assert findings(instruction(CALL, number)) == []


@pytest.mark.parametrize(
    ("number", "name"),
    [
        (58, "override_return"),
        (110, "unnamed"),
        (117, "send_signal_thread"),
        (125, "ktime_get_boot_ns"),
        (130, "ringbuf_output"),
        (181, "loop"),
    ],
)
def test_newer_helpers_and_those_of_other_programs_are_refused(number: int, name: str) -> None:
    """A helper must be of 5.4, and for this type of program."""
    problem = f"helper {number} ({name}) is not for raw_tracepoint programs"
    assert findings(MOVE + instruction(CALL, number)) == refused(problem)


def test_the_ring_buffer_is_accepted_from_5_8_on() -> None:
    """Its helpers, its map type, and not what came later."""
    assert findings(instruction(CALL, 131) + instruction(CALL, 125), "5.8") == []
    assert findings(instruction(CALL, 181), "5.8") != []


def test_kprobes_may_do_what_tracepoints_may_not() -> None:
    """bpf_override_return() is a helper of kprobe programs only."""
    assert findings(instruction(CALL, 58), section="kprobe/sys_mount") == []


@pytest.mark.parametrize(
    "section", ["fentry/x", "fexit/x", "tp_btf/x", "lsm/x", "iter/task", "kprobe.multi/x", "xdp"]
)
def test_program_types_that_are_not_in_the_list_are_refused(section: str) -> None:
    """Types that came after 5.4, and those that nobody has checked the helpers of."""
    text = (
        f"Linux 5.4 refuses program main ({section}): programs of section {section} are not known"
    )
    assert findings(MOVE, section=section) == [text]


@pytest.mark.parametrize(
    ("section", "refused"), [("?fentry/x", False), ("?raw_tp", True), ("?raw_tp/5.17", False)]
)
def test_optional_programs(section: str, refused: bool) -> None:
    """They are held to the rules too, but for types that an oldest kernel is not asked to load."""
    code = instruction(CALL, 181) + EXIT
    symbols = [Symbol("main", SECTION, 0, 8), Symbol("late", section, 0, len(code))]
    image = elf({SECTION: EXIT, section: code}, symbols)
    assert bool(floor.check(image, RULES["5.4"]).findings) == refused


def test_a_program_has_at_most_a_million_instructions(monkeypatch: pytest.MonkeyPatch) -> None:
    """The limit holds for a program with the functions that it calls."""
    monkeypatch.setattr("tools.floor_rules.MAX_INSTRUCTIONS", 3)
    assert findings(MOVE * 2) == []
    text = "4 instructions, 3 are too many"
    assert findings(MOVE * 3) == [f"Linux 5.4 refuses program main ({SECTION}): {text}"]


def with_map(**numbers: int) -> list[str]:
    """What is found in an object with a map `m` of these __uint() members."""
    b = BtfBuilder()
    b.integer("int", 4)
    members = [(name, b.uint(value), 64 * at) for at, (name, value) in enumerate(numbers.items())]
    b.datasec(".maps", [("m", b.composite("", 8 * len(members), members), 0, 8 * len(members))])
    return findings(MOVE, others={".BTF": b.build()})


def test_maps_of_the_floor_are_accepted() -> None:
    """Hash tables, arrays, perf buffers, and flags up to BPF_F_CLONE."""
    for kind in (1, 2, 4, 6, 9, 12, 25):
        assert with_map(type=kind, max_entries=1, map_flags=0x3FF) == []


@pytest.mark.parametrize(
    ("numbers", "problem"),
    [
        ({"type": 27}, "type 27 is not known"),
        ({"type": 29, "max_entries": 1}, "type 29 is not known"),
        ({"type": 2, "map_flags": 1 << 10}, "flags 0x400 are not known"),
        ({"type": 2, "map_flags": 1 << 12}, "flags 0x1000 are not known"),
        ({"type": 2, "map_extra": 1}, "map_extra is not known"),
    ],
)
def test_newer_maps_are_refused(numbers: dict[str, int], problem: str) -> None:
    """The finding names the map and what is too new about it."""
    assert with_map(**numbers) == [f"Linux 5.4 refuses map m: {problem}"]


def test_what_is_no_bpf_object_is_an_error() -> None:
    """Other files, and objects without programs, are no success."""
    with pytest.raises(ElfError):
        floor.check(b"rubbish", RULES["5.4"])
    with pytest.raises(TetrapyError, match="holds no programs"):
        floor.check(elf({".maps": b""}, []), RULES["5.4"])


def test_the_command_refuses_what_is_found(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Exit code 1 and a line per finding; the object's name decides the floor."""
    code = instruction(CALL, 131) + EXIT
    image = elf({SECTION: code}, [Symbol("main", SECTION, 0, len(code))])
    for name in ("base.bpf.o", "base-perf.bpf.o"):
        (tmp_path / name).write_bytes(image)
    assert floor.main([str(tmp_path / "base.bpf.o")]) == 0
    assert capsys.readouterr().out == "base.bpf.o: Linux 5.8: accepted; instructions: main 2\n"
    assert floor.main([str(tmp_path / "base-perf.bpf.o")]) == 1
    printed = capsys.readouterr()
    assert "base-perf.bpf.o: Linux 5.4: 1 findings" in printed.out
    assert "instruction 0: helper 131" in printed.err
    assert floor.main([str(tmp_path / "nothing.o")]) == 1
