# SPDX-License-Identifier: Apache-2.0
"""Layouts of C structs out of BTF, and the readers that are made of them."""

from __future__ import annotations

import struct

import pytest

from tests.support.builders import BtfBuilder
from tests.support.paths import DATA
from tetrapy.abi import kinds as k
from tetrapy.abi import layout
from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import section_data
from tetrapy.errors import LayoutError

SAMPLE = (DATA / "sample.bpf.o").read_bytes()


@pytest.fixture(name="sample")
def fixture_sample() -> Btf:
    """The BTF of the sample object."""
    return Btf(section_data(SAMPLE, ".BTF"))


def test_nested_structs_are_flattened_and_padding_is_left_out(sample: Btf) -> None:
    """The fields of a nested struct have dotted names; names with two underscores are padding."""
    found = layout.struct_layout(sample, "exec_event")
    assert found.size == 48
    assert found.members == {
        "header.ktime": (0, 8, "Q"),
        "header.kind": (8, 1, "B"),
        "pid": (16, 4, "I"),
        "error": (20, 4, "i"),
        "comm": (24, 16, "16s"),
        "setuid": (40, 1, "?"),
    }


def test_an_unpacker_reads_the_named_fields_of_the_whole_struct(sample: Btf) -> None:
    """It has the struct's size, with padding for what is not named, and writes what it reads."""
    found = layout.struct_layout(sample, "exec_event")
    reader = layout.unpacker(found, ["header.kind", "error", "comm", "setuid"])
    assert reader.size == found.size
    data = struct.pack("<Q B7x Ii 16s ?7x", 1, 2, 3, -4, b"sh", True)
    values = (2, -4, b"sh".ljust(16, b"\0"), True)
    assert reader.unpack(data) == values
    assert reader.unpack(reader.pack(*values)) == values


def test_a_field_inserted_in_c_moves_the_reader_with_it() -> None:
    """The same names read the same fields when the struct has changed around them."""
    for inserted in (0, 8):
        b = BtfBuilder()
        word = b.integer("u64", 8)
        b.composite("e", 16 + inserted, [("a", word, 0), ("b", word, 8 * (8 + inserted))])
        reader = layout.unpacker(layout.struct_layout(Btf(b.build()), "e"), ["a", "b"])
        data = struct.pack("<Q", 1) + bytes(inserted) + struct.pack("<Q", 2)
        assert reader.unpack(data) == (1, 2)


def test_a_missing_field_is_named_with_those_that_are_there(sample: Btf) -> None:
    """The error names struct and field, and what the struct has."""
    found = layout.struct_layout(sample, "exec_event")
    text = r"struct exec_event has no euid \(has header\.ktime, header\.kind, pid, error, comm"
    with pytest.raises(LayoutError, match=text):
        layout.unpacker(found, ["pid", "euid"])


def test_names_out_of_order_are_refused(sample: Btf) -> None:
    """Names must follow the offsets, since the values come in that order."""
    found = layout.struct_layout(sample, "exec_event")
    with pytest.raises(LayoutError, match="pid is named out of order, the order is pid, error"):
        layout.unpacker(found, ["error", "pid"])
    with pytest.raises(LayoutError, match="out of order"):
        layout.unpacker(found, ["pid", "pid"])


def test_a_missing_struct_is_named_with_those_that_are_there(sample: Btf) -> None:
    """So are enums, unions and sections."""
    with pytest.raises(LayoutError, match=r"no struct exec \(has .*exec_event"):
        layout.struct_layout(sample, "exec")
    with pytest.raises(LayoutError, match=r"no enum kind \(has .*event_kind"):
        layout.enum_values(sample, "kind")
    with pytest.raises(LayoutError, match=r"no union events \(has event\)"):
        layout.union_members(sample, "events")
    with pytest.raises(LayoutError, match=r"no datasec \.config \(has .*\.rodata"):
        layout.rodata_offsets(sample, ".config")


def refused(kind: str) -> Btf:
    """A BTF whose struct `e` has a member `x` of a kind that may not cross."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    members = [("ok", integer, 0)]
    if kind == "pointer":
        members.append(("x", b.add(k.KIND_PTR, ref=integer), 64))
    elif kind == "float":
        members.append(("x", b.add(k.KIND_FLOAT, "double", 8), 64))
    elif kind == "union":
        members.append(("x", b.composite("u", 4, [("a", integer, 0)], k.KIND_UNION), 64))
    elif kind == "anonymous union":
        members.append(("", b.composite("", 4, [("a", integer, 0)], k.KIND_UNION), 64))
    elif kind == "array of int":
        members.append(("x", b.array(integer, 4), 64))
    elif kind == "16 bytes wide":
        members.append(("x", b.integer("u128", 16), 64))
    elif kind == "bitfield":
        members.append(("x", integer, 65))
    b.composite("e", 64, members)
    return Btf(b.build())


@pytest.mark.parametrize(
    "kind",
    ["pointer", "float", "union", "anonymous union", "array of int", "16 bytes wide", "bitfield"],
)
def test_what_may_not_cross_is_refused(kind: str) -> None:
    """The error names the member and its kind."""
    with pytest.raises(LayoutError, match=rf"struct e\.(x|\(anonymous\)) is .*{kind}"):
        layout.struct_layout(refused(kind), "e")


def test_a_struct_inside_itself_is_refused() -> None:
    """BTF that no compiler writes, a struct that contains itself, ends in an error."""
    b = BtfBuilder()
    b.composite("e", 8, [("inner", 1, 0), ("again", 1, 0)])
    with pytest.raises(LayoutError, match="nested too deep"):
        layout.struct_layout(Btf(b.build()), "e")


def test_a_tree_of_empty_structs_is_refused() -> None:
    """Empty structs in wide, deep nesting yield no field and still come to an end."""
    b = BtfBuilder()
    inner = b.composite("leaf", 0, [])
    for level in range(6):
        inner = b.composite(f"level{level}", 0, [("m", inner, 0)] * 1000)
    with pytest.raises(LayoutError, match="too large"):
        layout.struct_layout(Btf(b.build()), "level5")


def test_a_member_past_the_end_of_its_struct_is_refused() -> None:
    """A struct's size bounds its members."""
    b = BtfBuilder()
    b.composite("e", 4, [("a", b.integer("u64", 8), 0)])
    with pytest.raises(LayoutError, match="a ends past its 4 bytes"):
        layout.struct_layout(Btf(b.build()), "e")


def test_enums_and_unions_give_names_to_kinds(sample: Btf) -> None:
    """The union has a member per kind, each a named struct."""
    values = layout.enum_values(sample, "event_kind")
    assert values == {"EVENT_EXEC": 1, "EVENT_EXIT": 2}
    assert layout.union_members(sample, "event") == {"exec": "exec_event", "exit": "exit_event"}
    b = BtfBuilder()
    b.composite("u", 4, [("x", b.integer("int", 4), 0)], k.KIND_UNION)
    with pytest.raises(LayoutError, match="union u: x is no named struct"):
        layout.union_members(Btf(b.build()), "u")


def test_constants_have_their_places_once_the_object_is_linked(sample: Btf) -> None:
    """A linked object tells offset and size of each constant; an unlinked one is refused."""
    assert layout.rodata_offsets(sample) == {"limit": (0, 4), "mask": (8, 8), "quiet": (16, 1)}
    b = BtfBuilder()
    word = b.integer("int", 4)
    b.datasec(".rodata", [("a", word, 0, 4), ("b", word, 0, 4)])
    with pytest.raises(LayoutError, match="has not been linked"):
        layout.rodata_offsets(Btf(b.build()))
