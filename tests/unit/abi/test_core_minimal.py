# SPDX-License-Identifier: Apache-2.0
"""BTF made of answers: it tells exactly these, whatever a kernel has and objects ask."""

from __future__ import annotations

import pytest

from tests.support.builders import BtfBuilder
from tests.unit.abi.test_core_queries import asking, struct_s
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.errors import LayoutError


def exact(program: bytes, target: BtfBuilder) -> dict[str, int | None]:
    """The answers, which the BTF that is made of them tells again."""
    queries = CoreQueries([program])
    answers = queries.answers(Btf(target.build()))
    assert queries.answers(Btf(minimal_btf(queries, answers))) == answers
    return dict(zip(queries.names, answers, strict=True))


@pytest.mark.parametrize("last", [True, False])
def test_an_array_without_elements_stays_one(last: bool) -> None:
    """At the end of its struct it takes any index, elsewhere none; a later name does not matter."""

    def with_array(elements: int, at_the_end: bool) -> tuple[BtfBuilder, int]:
        b = BtfBuilder()
        integer = b.integer("int", 4)
        members = [("x", integer, 0), ("a", b.array(integer, elements), 32)]
        members = members if at_the_end else [members[1], members[0]]
        return b, b.composite("s", 8, members)

    local, s = with_array(4, at_the_end=True)
    questions = [
        (s, "0:1", "field_byte_size"),
        (s, "0:1:2", "field_exists"),
        (s, "0:0", "field_exists"),
    ]
    target, _ = with_array(0, last)
    answers = exact(asking(local, questions), target)
    assert answers["size struct s.a array"] == 0
    assert answers["offset struct s.a[2] int"] == (8 * 12 if last else None)


@pytest.mark.parametrize("kernels", ["", "e", "f"])
def test_the_name_of_an_enum_decides_who_finds_it(kernels: str) -> None:
    """A kernel's enum is found by who calls it so or not at all, one without a name by all."""
    local = BtfBuilder()
    types = [local.enum(name, {"A": 1}) for name in ("", "e")]
    made = [local.composite(f"s___{t}", 4, [("a", t, 0)]) for t in types]
    program = asking(local, [(s, "0:0", "field_byte_offset") for s in made])
    target = BtfBuilder()
    target.composite("s", 4, [("a", target.enum(kernels, {"A": 1}), 32)])
    answers = exact(program, target)
    assert answers == {
        "offset struct s___1.a enum (anonymous)": 32,
        "offset struct s___2.a enum e": None if kernels == "f" else 32,
    }


def test_a_bitfield_is_a_place_for_who_asks_no_more() -> None:
    """One flavour asks for the bits, the other for the place of the integer that they are in."""
    local = BtfBuilder()
    integer = local.integer("int", 4)
    made = [local.composite(name, 4, [("b", integer, 0)]) for name in ("s", "s___old")]
    questions = [(made[0], "0:0", "field_byte_offset"), (made[1], "0:0", "field_rshift_u64")]
    target = BtfBuilder()
    words = [target.name("b"), target.integer("int", 4), 3 << 24 | 45]
    target.add(k.KIND_STRUCT, "s", 8, words, 1, True)
    answers = exact(asking(local, questions), target)
    assert answers["offset struct s.b int"] == 32
    assert answers["offset struct s___old.b int"] == 45
    assert answers["bits struct s___old.b int"] == 3


@pytest.mark.parametrize("pointers", [True, False])
def test_an_array_of_known_size_takes_no_more_indices(pointers: bool) -> None:
    """Who asks for the size of an array does not make it longer for who asks for an element."""

    def with_array(elements: int) -> tuple[BtfBuilder, int]:
        b = BtfBuilder()
        element = b.add(k.KIND_PTR) if pointers else b.integer("int", 8)
        return b, b.composite("s", 64, [("a", b.array(element, elements), 64), ("z", element, 0)])

    local, s = with_array(9)
    target, _ = with_array(3)
    questions = [(s, "0:0", "field_byte_size"), (s, "0:0:3", "field_exists")]
    answers = exact(asking(local, questions), target)
    assert answers["size struct s.a array"] == 24
    assert answers[f"offset struct s.a[3] {'pointer' if pointers else 'int'}"] is None


@pytest.mark.parametrize("kind", [k.KIND_STRUCT, k.KIND_UNION])
def test_a_typedef_is_of_the_kernels_kind(kind: int) -> None:
    """Its members are found in a struct or union, itself in what it was declared to be."""
    local = BtfBuilder()
    integer = local.integer("int", 4)
    t = local.add(k.KIND_TYPEDEF, "t", local.composite("", 4, [("a", integer, 0)]))
    questions = [(t, "0:0", "field_byte_offset"), (t, "0", "type_exists")]
    target = BtfBuilder()
    made = target.composite("", 4, [("a", target.integer("int", 4), 0)], kind)
    target.add(k.KIND_TYPEDEF, "t", made)
    answers = exact(asking(local, questions), target)
    assert answers["offset typedef t.a int"] == 0
    assert answers["type_exists typedef t"] == (1 if kind == k.KIND_STRUCT else None)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda answers: answers[:-1], "0 answers to 1 queries"),
        (lambda answers: (-8,), "do not fit into BTF"),
        (lambda answers: (1 << 32,), "do not fit into BTF"),
    ],
)
def test_facts_of_no_kernel_are_refused(change, text: str) -> None:
    """Numbers that BTF cannot hold, and too few of them."""
    local, s = struct_s(("a", 0))
    queries = CoreQueries([asking(local, [(s, "0:0", "field_byte_offset")])])
    with pytest.raises(LayoutError, match=text):
        minimal_btf(queries, change((0,)))


def test_facts_that_contradict_each_other_are_refused() -> None:
    """A field that has a size but no place, and one field at two places for two flavours."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    names = ("s", "s___new")
    made = [b.composite(name, 4, [("a", integer, 0)]) for name in names]
    queries = CoreQueries([asking(b, [(s, "0:0", "field_byte_offset") for s in made])])
    assert queries.answers(Btf(minimal_btf(queries, (64, 64)))) == (64, 64)
    with pytest.raises(LayoutError, match=r"contradict each other: .* has 64 for .* not 96"):
        minimal_btf(queries, (64, 96))
    queries = CoreQueries([asking(b, [(made[0], "0:0", "field_byte_size")])])
    assert queries.names[-1] == "size struct s.a int"
    with pytest.raises(LayoutError, match="contradict each other"):
        minimal_btf(queries, (None, None, None, 4))
