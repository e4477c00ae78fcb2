"""CO-RE relocations: reading, naming, and finding them in a kernel's types."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from tests.unit.builders import EXIT, BtfBuilder, Symbol, elf
from tetrapy.abi import core_relocs, core_resolve
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_relocs import CoreRelocation
from tetrapy.errors import BtfError

SAMPLE = (Path(__file__).parent / "data/sample.bpf.o").read_bytes()

# Everything that sample.bpf.c asks of the kernel.
WANTED = {
    "enumval_value enum wide::WIDE_BIG",
    "field_byte_offset struct bpf_prog.type enum bpf_prog_type",
    "field_byte_offset struct cred.euid.val int",
    "field_byte_offset struct cred.uid.val int",
    "field_byte_offset struct task_struct.comm array",
    "field_byte_offset struct task_struct.cred pointer",
    "field_byte_offset struct task_struct.pid int",
    "field_byte_offset struct task_struct.start_boottime int",
    "field_byte_offset struct task_struct.tasks[1].next pointer",
    "field_byte_offset struct task_struct___v54.real_start_time int",
    "field_exists struct task_struct.start_boottime int",
    "field_lshift_u64 struct task_struct.flags int",
    "type_size struct cred",
}


def test_a_real_object_says_what_it_asks_of_the_kernel() -> None:
    """Each relocation has a text of names: kind, path from the outermost type, the field's kind."""
    assert core_relocs.describe_all([SAMPLE]) == WANTED


def test_relocations_point_at_instructions() -> None:
    """A relocation names its section and the index of the instruction that it changes."""
    _btf, found = core_relocs.of_object(SAMPLE)
    assert {entry.section for entry in found} == {"raw_tp/sched_process_exec"}
    assert [entry.instruction for entry in found] == sorted(entry.instruction for entry in found)
    assert all(0 < entry.instruction < 99 for entry in found)


def extension(btf: BtfBuilder, records: list[tuple[int, int, str, int]]) -> bytes:
    """A .BTF.ext section with relocations (instruction, type id, access, kind)."""
    body = struct.pack("<III", 16, btf.name("prog"), len(records))
    for at, type_id, access, kind in records:
        body += struct.pack("<IIII", 8 * at, type_id, btf.name(access), kind)
    return struct.pack("<HBBIIIIIII", 0xEB9F, 1, 0, 32, 0, 0, 0, 0, 0, len(body)) + body


def built(order: int) -> bytes:
    """An object that reads s.a and s.b; `order` changes all type ids and the order of reading."""
    b = BtfBuilder()
    for _ in range(order):
        b.integer("unused", 1)
    integer = b.integer("int", 4)
    s = b.composite("s", 8, [("a", integer, 0), ("b", integer, 32)])
    records = [(0, s, "0:0", 0), (1, s, "0:1", 0), (2, s, "0:1", 0)]
    ext = extension(b, records[::-1] if order % 2 else records)
    return elf({"prog": EXIT * 3, ".BTF": b.build(), ".BTF.ext": ext}, [Symbol("f", "prog", 0, 24)])


def test_the_digest_does_not_depend_on_numbering() -> None:
    """Objects that ask for the same have the same digest, whatever their type ids and order."""
    assert core_relocs.digest([built(0)]) == core_relocs.digest([built(3)])
    assert core_relocs.digest([built(0)]) == core_relocs.digest([built(3), built(1)])
    assert core_relocs.digest([built(0)]) != core_relocs.digest([built(0), SAMPLE])


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
        core_relocs.describe(btf, core_relocs.read(btf, ext)[0])


def kernel() -> Btf:
    """Types as a kernel may have them: other order, other sizes, anonymous members."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    pointer = b.add(k.KIND_PTR)
    node = b.composite("list", 8, [("next", pointer, 0)])
    ids = b.composite("", 8, [("tgid", integer, 0), ("pid", integer, 32)], k.KIND_STRUCT)
    long = b.integer("long", 8)
    members = [
        ("pad", long, 0),
        ("", ids, 64),
        ("tasks", b.array(node, 2), 128),
        ("cred", pointer, 256),
        ("comm", b.array(b.integer("char", 1), 16), 320),
        ("start_boottime", long, 448),
        ("flags", integer, 512),
    ]
    b.composite("task_struct", 72, members)
    value = b.composite("kuid", 4, [("val", integer, 0)])
    b.composite("cred", 12, [("usage", integer, 0), ("uid", value, 32), ("euid", value, 64)])
    b.composite("bpf_prog", 8, [("type", integer, 0)])
    body = [b.name("WIDE_BIG"), 7, 0]
    b.add(k.KIND_ENUM64, "wide", 8, body, 1)
    return Btf(b.build())


def test_relocations_are_found_by_name_in_a_kernel() -> None:
    """Fields are found through anonymous members and array elements, enums of either width."""
    local, found = core_relocs.of_object(SAMPLE)
    target = kernel()
    results = {
        core_relocs.describe(local, entry): core_resolve.find(local, entry, target)
        for entry in found
    }
    assert results == {
        "enumval_value enum wide::WIDE_BIG": {7},
        # An enum in the object, an int in the kernel: libbpf does not take one for the other.
        "field_byte_offset struct bpf_prog.type enum bpf_prog_type": set(),
        "field_byte_offset struct cred.euid.val int": {64},
        "field_byte_offset struct cred.uid.val int": {32},
        "field_byte_offset struct task_struct.comm array": {320},
        "field_byte_offset struct task_struct.cred pointer": {256},
        "field_byte_offset struct task_struct.pid int": {96},
        "field_byte_offset struct task_struct.start_boottime int": {448},
        "field_byte_offset struct task_struct.tasks[1].next pointer": {192},
        "field_byte_offset struct task_struct___v54.real_start_time int": set(),
        "field_exists struct task_struct.start_boottime int": {448},
        "field_lshift_u64 struct task_struct.flags int": {512},
        "type_size struct cred": {12},
    }


def test_two_types_of_a_name_give_two_answers() -> None:
    """A kernel with two different structs of a name leaves the relocation ambiguous."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    b.composite("s", 8, [("a", integer, 0)])
    b.composite("s", 8, [("a", integer, 32)])
    btf = Btf(b.build())
    assert core_resolve.find(btf, CoreRelocation("", 0, 2, (0, 0), 0), btf) == {0, 32}


@pytest.mark.parametrize(
    ("name", "bare"),
    [("s", "s"), ("s___old", "s"), ("s___a___b", "s___a"), ("s____b", "s____b"), ("___x", "___x")],
)
def test_a_flavour_is_what_follows_three_underscores(name: str, bare: str) -> None:
    """As libbpf's bpf_core_essential_name_len() has it."""
    assert core_resolve.essential_name(name) == bare


def test_anonymous_members_in_a_circle_come_to_an_end() -> None:
    """A struct that contains itself twice without a name is searched once."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    b.composite("s", 8, [("", 2, 0), ("", 2, 0), ("x", integer, 32)])
    local = BtfBuilder()
    local.composite("s", 4, [("y", local.integer("int", 4), 0)])
    wanted = CoreRelocation("", 0, 2, (0, 0), 0)
    assert core_resolve.find(Btf(local.build()), wanted, Btf(b.build())) == set()
