# SPDX-License-Identifier: Apache-2.0
"""What a relocation finds among a kernel's types, by libbpf's rules; see also tests/kernel."""

from __future__ import annotations

import pytest

from tests.support.builders import BtfBuilder
from tetrapy.abi import core_relocs, core_resolve
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_compat import candidates
from tetrapy.abi.core_relocs import CoreRelocation
from tetrapy.abi.core_resolve import Field

OFFSET = core_relocs.KINDS.index("field_byte_offset")
VALUE = core_relocs.KINDS.index("enumval_value")


def fields(local: Btf, type_id: int, access: tuple[int, ...], target: Btf) -> list[Field | None]:
    """What each candidate has for a field."""
    wanted = CoreRelocation("", 0, type_id, access, OFFSET)
    return [
        core_resolve.field(local, wanted, target, root)
        for root in candidates(local, type_id, target)
    ]


def one(members: list[tuple[str, str]], kind: int = k.KIND_STRUCT) -> tuple[Btf, int]:
    """A BTF with a struct s of 64-bit steps, its members (name, kind of type); and the id of s."""
    b = BtfBuilder()
    integer = b.integer("int", 4, k.INT_SIGNED)
    ids = {
        "int": integer,
        "long": b.integer("long", 8),
        "pointer": b.add(k.KIND_PTR),
        "enum": b.enum("e", {"ONE": 1}),
        "enum64": b.add(k.KIND_ENUM64, "e", 8, [b.name("ONE"), 1, 0], 1),
        "other enum": b.enum("f", {"ONE": 1}),
        "nameless enum": b.enum("", {"ONE": 1}),
        "struct": b.composite("t", 4, [("a", integer, 0)]),
        "union": b.composite("u", 4, [("a", integer, 0)], k.KIND_UNION),
        "array": b.array(integer, 2),
        "float": b.add(k.KIND_FLOAT, "float", 4),
    }
    ids["array of pointers"] = b.array(ids["pointer"], 2)
    ids["typedef"] = b.add(k.KIND_TYPEDEF, "int_t", b.add(k.KIND_CONST, "", integer))
    placed = [(name, ids[what], 64 * at) for at, (name, what) in enumerate(members)]
    made = b.composite("s", 8 * len(members), placed, kind)
    return Btf(b.build()), made


@pytest.mark.parametrize(
    ("mine", "theirs", "fits"),
    [
        ("int", "int", True),
        ("int", "long", True),
        ("int", "typedef", True),
        ("typedef", "long", True),
        ("int", "enum", False),
        ("int", "pointer", False),
        ("pointer", "pointer", True),
        ("pointer", "long", False),
        ("struct", "struct", True),
        ("struct", "union", True),
        ("struct", "int", False),
        ("enum", "enum", True),
        ("enum", "enum64", True),
        ("enum", "other enum", False),
        ("enum", "nameless enum", True),
        ("nameless enum", "other enum", True),
        ("array", "array", True),
        ("array", "array of pointers", False),
        ("array", "int", False),
        ("float", "float", True),
        ("float", "int", False),
    ],
)
def test_a_field_fits_by_the_kind_of_its_type(mine: str, theirs: str, fits: bool) -> None:
    """As bpf_core_fields_are_compat() in libbpf's relo_core.c has it."""
    local, s = one([("x", mine)])
    target, _ = one([("pad", "long"), ("x", theirs)])
    found = fields(local, s, (0, 0), target)
    assert [field.bit_offset if field else None for field in found] == [64 if fits else None]


def test_a_type_is_found_by_kind_and_name() -> None:
    """A struct is no union, and a flavour is the type itself, on both sides."""
    local, s = one([("x", "int")])
    union, _ = one([("x", "int")], k.KIND_UNION)
    assert fields(local, s, (0, 0), union) == []
    b = BtfBuilder()
    integer = b.integer("int", 4)
    for name in ("s___old", "s", "s___new", "xs", "s_", "s____t", "s___"):
        b.composite(name, 4, [("x", integer, 0)])
    target = Btf(b.build())
    found = {found.name for found in candidates(local, s, target)}
    assert found == {"s", "s___old", "s___new"}


def rows(elements: int, last: bool) -> Btf:
    """A struct s with an array of structs, at its end or before it."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    inner = b.composite("t", 12, [("a", integer, 0), ("b", integer, 64)])
    members = [("rows", b.array(inner, elements), 32)]
    members += [] if last else [("after", integer, 512)]
    b.composite("s", 4, members)
    return Btf(b.build())


@pytest.mark.parametrize(
    ("elements", "last", "found"),
    [(4, True, True), (3, True, True), (2, True, False), (0, True, True), (0, False, False)],
)
def test_an_index_has_to_be_within_the_array(elements: int, last: bool, found: bool) -> None:
    """But for arrays without a size at the end of their struct, which take any."""
    local = rows(5, last=True)
    s = local.find("s")
    assert s is not None
    (field,) = fields(local, s.id, (0, 0, 2, 1), rows(elements, last))
    # 4 bytes, two elements of 12, and 8 into the third one.
    assert (field and field.bit_offset) == (8 * (4 + 24 + 8) if found else None)


def test_the_first_index_counts_whole_types() -> None:
    """`p[2].x` is two of the kernel's structs further."""
    local, s = one([("x", "int")])
    target, _ = one([("pad", "long"), ("pad2", "long"), ("x", "int")])
    (field,) = fields(local, s, (2, 0), target)
    assert field == Field(2 * 24 * 8 + 128, 0, 4, True, (24,))


def test_members_without_a_name_are_looked_through() -> None:
    """On either side, at any depth; their offsets add up."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    deep = b.composite("", 8, [("x", integer, 32)])
    union = b.composite("", 16, [("", deep, 64)], k.KIND_UNION)
    s = b.composite("s", 32, [("y", integer, 0), ("", union, 128)])
    nested = Btf(b.build())
    flat, flat_s = one([("x", "int")])
    (field,) = fields(flat, flat_s, (0, 0), nested)
    assert field is not None
    assert field.bit_offset == 128 + 64 + 32
    (field,) = fields(nested, s, (0, 1, 0, 0), flat)
    assert field is not None
    assert field.bit_offset == 0


def test_anonymous_members_in_a_circle_come_to_an_end() -> None:
    """A struct that contains itself twice without a name is searched once."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    b.composite("s", 8, [("", 2, 0), ("", 2, 0), ("x", integer, 32)])
    local, s = one([("y", "int")])
    assert fields(local, s, (0, 0), Btf(b.build())) == [None]


@pytest.mark.parametrize(
    ("size", "at", "bits", "storage"),
    [
        (4, 35, 3, (4, 4)),  # within its integer
        (1, 6, 4, (0, 2)),  # over the end of a byte: two are read
        (2, 14, 20, (0, 8)),  # even eight
        (8, 70, 58, (8, 8)),
    ],
)
def test_a_bitfield_is_read_from_an_aligned_integer(
    size: int, at: int, bits: int, storage: tuple[int, int]
) -> None:
    """The smallest of the type's size and its doubles that holds all bits, as libbpf reads it."""
    field = Field(at, bits, size, False, ())
    assert field.storage() == storage
    assert field.byte_offset == storage[0]
    assert field.is_readable


def test_a_bitfield_in_two_words_cannot_be_read() -> None:
    """libbpf refuses what eight bytes do not hold."""
    assert not Field(60, 8, 8, False, ()).is_readable


@pytest.mark.parametrize(
    ("kind", "value", "found"),
    [
        (k.KIND_ENUM, 5, 5),
        (k.KIND_ENUM, 0x7FFFFFFF, 0x7FFFFFFF),
        # 32 bits are extended by their sign whatever the enum says of it.
        (k.KIND_ENUM, 0x80000000, 0xFFFFFFFF80000000),
        (k.KIND_ENUM, 0xFFFFFFFE, 0xFFFFFFFFFFFFFFFE),
        (k.KIND_ENUM64, 0x80000000, 0x80000000),
        (k.KIND_ENUM64, 0xFFFFFFFFFFFFFFFE, 0xFFFFFFFFFFFFFFFE),
    ],
)
@pytest.mark.parametrize("signed", [False, True])
def test_values_of_enums_are_64_bits_wide(kind: int, value: int, found: int, signed: bool) -> None:
    """Enumerators match without flavour, in enums of either width."""
    local = BtfBuilder()
    local.enum("e___x", {"A": 1, "B___y": 2})
    b = BtfBuilder()
    words = [b.name("A"), 0, b.name("B"), value & 0xFFFFFFFF]
    if kind == k.KIND_ENUM64:
        words = [b.name("A"), 0, 0, b.name("B"), value & 0xFFFFFFFF, value >> 32]
    b.add(kind, "e", 4, words, 2, signed)
    target = Btf(b.build())
    wanted = CoreRelocation("", 0, 1, (1,), VALUE)
    (root,) = candidates(Btf(local.build()), 1, target)
    assert core_resolve.enumerator_value(Btf(local.build()), wanted, target, root) == found
