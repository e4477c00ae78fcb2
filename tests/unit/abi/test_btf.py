# SPDX-License-Identifier: Apache-2.0
"""The reader of BTF."""

from __future__ import annotations

import struct

import pytest

from tests.support.builders import BtfBuilder
from tests.support.paths import DATA
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf, read_header
from tetrapy.abi.elf import section_data
from tetrapy.errors import BtfError

SAMPLE = section_data((DATA / "sample.bpf.o").read_bytes(), ".BTF")


def every_kind() -> Btf:
    """A BTF with one type of each kind, in the order of their numbers."""
    b = BtfBuilder()
    integer = b.integer("int", 4, k.INT_SIGNED)
    b.add(k.KIND_PTR, ref=integer)
    b.array(integer, 3)
    b.composite("s", 8, [("a", integer, 0), ("b", integer, 32)])
    b.composite("u", 4, [("a", integer, 0)], k.KIND_UNION)
    b.enum("e", {"ONE": 1, "MINUS": -1}, signed=True)
    b.add(k.KIND_FWD, "f")
    b.add(k.KIND_TYPEDEF, "t", integer)
    for kind in (k.KIND_VOLATILE, k.KIND_CONST, k.KIND_RESTRICT):
        b.add(kind, ref=integer)
    prototype = 13
    b.add(k.KIND_FUNC, "fn", prototype)
    b.add(k.KIND_FUNC_PROTO, ref=integer, body=[b.name("x"), integer, 0, 0], vlen=2)
    b.datasec(".data", [("v", integer, 8, 4)])
    b.add(k.KIND_FLOAT, "double", 8)
    b.add(k.KIND_DECL_TAG, "tag", 4, [0xFFFFFFFF])
    b.add(k.KIND_TYPE_TAG, "rcu", integer)
    b.add(k.KIND_ENUM64, "big", 8, [b.name("HUGE"), 0x89ABCDEF, 0x81234567], vlen=1)
    return Btf(b.build())


def test_all_kinds_are_read() -> None:
    """The nineteen kinds from INT to ENUM64 are found where they are, with names and details."""
    btf = every_kind()
    assert [found.kind for found in btf] == list(range(1, 20))
    assert len(btf) == 20
    assert str(btf.type(0)) == "void void"
    assert btf.integer(btf.type(1)).bits == 32
    assert btf.array(btf.type(3)) == (1, 3)
    assert [member.name for member in btf.members(btf.type(4))] == ["a", "b"]
    assert btf.enumerators(btf.type(6)) == (("ONE", 1), ("MINUS", -1))
    assert btf.parameters(btf.type(13)) == [("x", 1), ("", 0)]
    assert btf.variables(btf.type(15)) == [("v", 1, 8, 4)]
    assert btf.enumerators(btf.type(19)) == (("HUGE", 0x8123456789ABCDEF),)


def test_sizes_follow_typedefs_and_arrays() -> None:
    """A size is that of the type behind qualifiers, times the elements of arrays."""
    btf = every_kind()
    sizes = {2: 8, 3: 12, 4: 8, 6: 4, 8: 4, 9: 4, 14: 4, 16: 8, 18: 4, 19: 8}
    assert {number: btf.size_of(number) for number in sizes} == sizes
    with pytest.raises(BtfError, match="fwd f has no size"):
        btf.size_of(7)


def test_bitfields_of_both_forms_are_reported() -> None:
    """With the kind flag a member's word holds the width above 24 bits of offset."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    words = [b.name("x"), integer, 3 << 24 | 5]
    b.add(k.KIND_STRUCT, "s", 4, words, vlen=1, flag=True)
    btf = Btf(b.build())
    assert btf.members(btf.type(2)) == (("x", 1, 5, 3),)


def test_a_name_may_belong_to_several_types() -> None:
    """Types are found by name and kind; the first one or all."""
    b = BtfBuilder()
    b.integer("same", 4)
    b.composite("same", 0, [])
    btf = Btf(b.build())
    assert [found.kind for found in btf.find_all("same")] == [k.KIND_INT, k.KIND_STRUCT]
    struct_type = btf.find("same", k.KIND_STRUCT)
    assert struct_type is not None
    assert struct_type.id == 2
    assert btf.find("same", k.KIND_UNION) is None


def test_a_real_object_is_read() -> None:
    """The BTF that clang and bpftool wrote for the sample has its structs, enums and variables."""
    btf = Btf(SAMPLE)
    task = btf.find("task_struct", k.KIND_STRUCT)
    assert task is not None
    assert [member.name for member in btf.members(task)][:3] == ["tasks", "", "tgid"]
    kinds = btf.find("event_kind", k.KIND_ENUM)
    assert kinds is not None
    assert btf.enumerators(kinds) == (("EVENT_EXEC", 1), ("EVENT_EXIT", 2))


def test_a_loop_of_typedefs_ends_in_an_error() -> None:
    """A typedef of itself is a BtfError, not an endless loop."""
    b = BtfBuilder()
    b.add(k.KIND_TYPEDEF, "t", 1)
    b.array(2, 2)
    btf = Btf(b.build())
    with pytest.raises(BtfError, match="in a row"):
        btf.resolve(1)
    with pytest.raises(BtfError, match="inside each other"):
        btf.size_of(2)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "too few"),
        (bytes(24), "no BTF: starts with 0x0000"),
        (b"\xeb\x9f" + bytes(30), "no BTF: starts with 0x9feb"),
        (b"\x9f\xeb\x02" + bytes(30), "version 2"),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 8, 0, 0, 0, 0), "header of 8 bytes"),
        (SAMPLE[:-1], "cut short"),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 0, 0, 1) + b"x", "zero byte"),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 3, 3, 1) + bytes(4), "multiple of 4"),
        (struct.pack("<HBBIIIII", 0xEB9F, 1, 0, 24, 0, 4, 4, 1) + bytes(5), "type 1 .*cut short"),
        (
            struct.pack("<HBBIIIII4I", 0xEB9F, 1, 0, 24, 0, 12, 12, 1, 0, 20 << 24, 0, 0),
            "type 1 is of an unknown kind",
        ),
        (struct.pack("<HBBIIIII4I", 0xEB9F, 1, 0, 24, 0, 12, 12, 1, 0, 0, 0, 0), "kind 0"),
    ],
)
def test_damage_is_a_btf_error(data: bytes, text: str) -> None:
    """What is no BTF, of another version or cut short raises BtfError that says so."""
    with pytest.raises(BtfError, match=text):
        Btf(data)


def test_a_header_is_judged_by_the_size_of_all() -> None:
    """The header alone tells whether the data behind it is complete."""
    assert read_header(SAMPLE[:24], len(SAMPLE)).types == 24
    with pytest.raises(BtfError, match="cut short"):
        read_header(SAMPLE[:24], len(SAMPLE) - 1)


def test_ids_and_names_out_of_range_are_errors() -> None:
    """A type id or a name's offset that does not exist is named in the error."""
    btf = every_kind()
    with pytest.raises(BtfError, match="type 20 does not exist, there are 19"):
        btf.type(20)
    with pytest.raises(BtfError, match="name offset"):
        btf.string(1 << 20)
    with pytest.raises(BtfError, match="not of kind struct or union"):
        btf.members(btf.type(1))


def test_a_name_without_end_is_an_error() -> None:
    """Names of 512 bytes and more, which no kernel accepts, are refused."""
    b = BtfBuilder()
    b.composite("n" * 511, 0, [])
    b.composite("n" * 512, 0, [])
    btf = Btf(b.build())
    assert len(btf.type(1).name) == 511
    with pytest.raises(BtfError, match="512 or more"):
        btf.type(2)


def test_flavours_of_a_name_are_found() -> None:
    """Types whose names go on with three underscores and a flavour, and no others."""
    b = BtfBuilder()
    for name in ("s", "s___old", "s___", "s____old", "xs___old", "s___a___b", "t"):
        b.composite(name, 0, [])
    btf = Btf(b.build())
    assert [found.name for found in btf.find_flavours("s")] == ["s", "s___old", "s___a___b"]
    assert [found.name for found in btf.find_flavours("s", k.KIND_UNION)] == []


def test_a_name_may_be_the_end_of_another() -> None:
    """Writers save space so: the offset of a name need not follow a zero byte."""
    b = BtfBuilder()
    b.composite("my_struct", 0, [])
    b.name = lambda text: 1 + len("my_")  # type: ignore[method-assign]
    b.composite("struct", 4, [])
    btf = Btf(b.build())
    assert [found.name for found in btf] == ["my_struct", "struct"]
    assert [found.id for found in btf.find_all("struct")] == [2]


class SplitBuilder(BtfBuilder):
    """Writes BTF that goes on where that of another builder ends."""

    def __init__(self, base: BtfBuilder) -> None:
        super().__init__()
        self._count = base._count
        self._before = len(base._strings)

    def name(self, text: str) -> int:
        """Behind the names of the base."""
        return super().name(text) + self._before if text else 0


def test_split_btf_goes_on_where_its_base_ends() -> None:
    """Ids and names below are the base's, and its types are read through the split one."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    inner = b.composite("inner", 8, [("a", integer, 0), ("b", integer, 32)])
    b.enum("choice", {"ONE": 1})
    split = SplitBuilder(b)
    pair = split.array(inner, 2)
    outer = split.composite("outer", 24, [("pair", pair, 0), ("b", integer, 128)])
    base = Btf(b.build())
    btf = Btf(split.build(), base)
    assert (pair, outer, len(btf)) == (4, 5, 6)
    assert [str(found) for found in btf] == [
        "int int", "struct inner", "enum choice", "array (anonymous)", "struct outer",
    ]  # fmt: skip
    assert btf.size_of(pair) == 16
    assert [member.name for member in btf.members(btf.type(inner))] == ["a", "b"]
    assert [member.name for member in btf.members(btf.type(outer))] == ["pair", "b"]
    assert btf.find("inner") == base.find("inner")
    assert btf.enumerators(btf.type(3)) == (("ONE", 1),)
    assert btf.integer(btf.type(1)).bits == 32
    assert base.find("outer") is None
    with pytest.raises(BtfError, match="type 6 does not exist, there are 5"):
        btf.type(6)
    with pytest.raises(BtfError, match="zero byte"):
        Btf(split.build()[:-1] + b"x", base)
