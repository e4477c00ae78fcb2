# SPDX-License-Identifier: Apache-2.0
"""CO-RE relocations: reading and naming them."""

from __future__ import annotations

import re
import struct

import pytest

from tests.support.builders import BtfBuilder, Symbol, elf, instruction
from tests.support.paths import DATA
from tetrapy.abi import core_relocs
from tetrapy.abi.btf import Btf
from tetrapy.errors import BtfError

SAMPLE = (DATA / "sample.bpf.o").read_bytes()

# Everything that sample.bpf.c asks of the kernel.
WANTED = {
    ("enumval_value", "enum wide::WIDE_BIG"),
    ("field_byte_offset", "struct bpf_prog.type enum bpf_prog_type"),
    ("field_byte_offset", "struct cred.euid.val int"),
    ("field_byte_offset", "struct cred.uid.val int"),
    ("field_byte_offset", "struct task_struct.comm array"),
    ("field_byte_offset", "struct task_struct.cred pointer"),
    ("field_byte_offset", "struct task_struct.pid int"),
    ("field_byte_offset", "struct task_struct.start_boottime int"),
    ("field_byte_offset", "struct task_struct.tasks[1].next pointer"),
    ("field_byte_offset", "struct task_struct___v54.real_start_time int"),
    ("field_exists", "struct task_struct.start_boottime int"),
    ("field_lshift_u64", "struct task_struct.flags int"),
    ("type_size", "struct cred"),
}


def test_a_real_object_says_what_it_asks_of_the_kernel() -> None:
    """Each relocation is about a text of names: path from the outermost type, the field's kind."""
    btf, found = core_relocs.of_object(SAMPLE)
    assert {
        (core_relocs.KINDS[entry.kind], core_relocs.access_name(btf, entry)) for entry in found
    } == WANTED


def test_relocations_point_at_instructions() -> None:
    """A relocation names its section and the index of the instruction that it changes."""
    _btf, found = core_relocs.of_object(SAMPLE)
    assert {entry.section for entry in found} == {"raw_tp/sched_process_exec"}
    assert [entry.instruction for entry in found] == sorted(entry.instruction for entry in found)
    assert all(0 < entry.instruction < 99 for entry in found)


Records = list[tuple[int, int, str, int]]


def extension(btf: BtfBuilder, records: Records | dict[str, Records]) -> bytes:
    """A .BTF.ext section with relocations (instruction, type id, access, kind) of sections."""
    body = struct.pack("<I", 16)
    for section, listed in (records if isinstance(records, dict) else {"prog": records}).items():
        body += struct.pack("<II", btf.name(section), len(listed))
        for at, type_id, access, kind in listed:
            body += struct.pack("<IIII", 8 * at, type_id, btf.name(access), kind)
    return struct.pack("<HBBIIIIIII", 0xEB9F, 1, 0, 32, 0, 0, 0, 0, 0, len(body)) + body


def test_loads_and_stores_are_distinguished_from_arithmetic() -> None:
    """An instruction that accesses memory is marked, since libbpf changes its width."""
    b = BtfBuilder()
    s = b.composite("s", 4, [("a", b.integer("int", 4), 0)])
    ext = extension(b, [(at, s, "0:0", 0) for at in range(4)])
    code = b"".join(map(instruction, (0x61, 0x62, 0x6B, 0xB7)))
    data = elf({"prog": code, ".BTF": b.build(), ".BTF.ext": ext}, [Symbol("f", "prog", 0, 32)])
    _btf, found = core_relocs.of_object(data)
    assert [entry.is_access for entry in found] == [True, True, True, False]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda ext: ext[:4], "too few"),
        (lambda ext: b"\0\0" + ext[2:], "starts with 0x0000"),
        (lambda ext: ext[:-1], "relocations end at byte"),
        (lambda ext: ext[:32] + struct.pack("<I", 8) + ext[36:], "records of 8 bytes"),
        (lambda ext: ext[:40] + struct.pack("<I", 9) + ext[44:], "9 relocations do not fit"),
        (lambda ext: ext[:-4] + struct.pack("<I", 13), "kind 13 is not known"),
        (lambda ext: ext[:28] + struct.pack("<I", 8) + ext[32:40], "cut short"),
    ],
)
def test_damage_is_a_btf_error(change, text: str) -> None:
    """Damaged relocation records raise BtfError that says what is wrong."""
    b = BtfBuilder()
    s = b.composite("s", 4, [("a", b.integer("int", 4), 0)])
    ext = extension(b, [(0, s, "0:0", 0)])
    btf = Btf(b.build())
    assert len(core_relocs.read(btf, ext)) == 1
    with pytest.raises(BtfError, match=text):
        core_relocs.read(btf, change(ext))


@pytest.mark.parametrize("access", ["", "0:x", "0:-1", "0:" * 64 + "0", "0:99999999999"])
def test_an_access_that_is_no_list_of_numbers_is_an_error(access: str) -> None:
    """Access strings are numbers between colons, 64 of them at most."""
    b = BtfBuilder()
    s = b.composite("s", 4, [("a", b.integer("int", 4), 0)])
    ext = extension(b, [(0, s, access, 0)])
    with pytest.raises(BtfError, match=re.escape(repr(access))):
        core_relocs.read(Btf(b.build()), ext)


@pytest.mark.parametrize(("access", "text"), [("0:7", "no 7"), ("0:0:0", "goes into int")])
def test_an_access_into_nothing_is_an_error(access: str, text: str) -> None:
    """An index without a member, or a step into an integer, is a BtfError."""
    b = BtfBuilder()
    s = b.composite("s", 4, [("a", b.integer("int", 4), 0)])
    ext = extension(b, [(0, s, access, 0)])
    btf = Btf(b.build())
    with pytest.raises(BtfError, match=text):
        core_relocs.access_name(btf, core_relocs.read(btf, ext)[0])


def test_iterators_ask_the_kernels_own_types_alone() -> None:
    """What they read is nothing that other BTF has to answer."""
    b = BtfBuilder()
    s = b.composite("s", 4, [("a", b.integer("int", 4), 0)])
    sections = ("prog", "iter/task", "?iter/task")
    ext = extension(b, {name: [(0, s, "0:0", 0)] for name in sections})
    code = instruction(0x61)
    symbols = [Symbol(f"f{at}", name, 0, 8) for at, name in enumerate(sections)]
    data = elf({**dict.fromkeys(sections, code), ".BTF": b.build(), ".BTF.ext": ext}, symbols)
    _btf, found = core_relocs.of_object(data)
    assert [entry.section for entry in found] == ["prog"]
