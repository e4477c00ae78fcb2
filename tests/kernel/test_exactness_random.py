# SPDX-License-Identifier: Apache-2.0
"""Our resolver and our minimizer against libbpf, on small worlds that nobody thought of.

A world is what a program declares, and what a kernel has instead (tests/support/worlds.py).
"""

from __future__ import annotations

import os
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import answers as instructions
from tests.support import asking, world_types, worlds
from tests.support.builders import instruction
from tests.support.relocated import relocate
from tests.support.world_layout import laid_out
from tests.support.world_types import Composite, Member, World
from tetrapy.abi import core_relocs
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.errors import LayoutError

# A flavour stands behind the type that it is one of.
NAMES = ["s", "s___o", "r"]
# Drawing a world costs more than all that is done with it. A longer run asks for more of them.
EXAMPLES = settings(
    max_examples=int(os.environ.get("TETRAPY_WORLDS", "400")),
    suppress_health_check=list(HealthCheck),
)


class Case(NamedTuple):
    """An object, a kernel's BTF, and whether that has several types of a name."""

    program: bytes
    kernel: bytes
    is_ambiguous: bool


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """A program and a kernel that has about the same types."""
    world = draw(worlds.worlds(NAMES))
    mine = draw(laid_out(world))
    theirs = draw(laid_out(draw(worlds.changed(world))))
    written = world_types.write(mine)
    program = asking.assemble(written, draw(asking.asks(mine, written)))
    return Case(program, world_types.write(theirs).builder.build(), theirs.is_ambiguous())


@EXAMPLES
@given(cases())
def test_the_resolver_finds_what_libbpf_finds(case: Case) -> None:
    """The same value for each relocation, the same refusal, or nothing alike."""
    outcomes = relocate(case.program, case.kernel)
    local, relocations = core_relocs.of_object(case.program)
    resolver = instructions.Resolver(local, Btf(case.kernel))
    theirs = instructions.read(case.program, outcomes)
    for relocation, answer in zip(relocations, theirs, strict=True):
        mine = resolver.answer(relocation)
        if isinstance(mine, str) and isinstance(answer, str):
            assert mine in answer
        else:
            assert mine == answer, core_relocs.access_name(local, relocation)


@EXAMPLES
@given(cases())
def test_made_btf_relocates_as_the_kernels_own(case: Case) -> None:
    """Byte for byte; only a kernel with several types of one name may have no answers."""
    assert made_is_as_good(case) or case.is_ambiguous


def made_is_as_good(case: Case) -> bool:
    """Whether there are answers; AssertionError when they say other than the kernel's own BTF."""
    full = relocate(case.program, case.kernel)
    queries = CoreQueries([case.program])
    try:
        made = minimal_btf(queries, queries.answers(Btf(case.kernel)))
    except LayoutError:
        return False
    # What libbpf refuses has no answers either.
    assert not any(isinstance(outcome, str) for outcome in full.values())
    assert relocate(case.program, made) == full
    return True


def asked(mine: Composite, kernel: list[Composite], kind: str, code: bytes) -> Case:
    """One question about the first member of a struct."""
    written = world_types.write(World((mine,), (), ()))
    question = asking.Ask(written.composites[0], (0, 0), asking.KIND[kind], code)
    theirs = World(tuple(kernel), (), ())
    program = asking.assemble(written, [question])
    return Case(program, world_types.write(theirs).builder.build(), theirs.is_ambiguous())


def holding(size: int = 1, at: int = 0, bits: int = 0, encoding: int = 0) -> Composite:
    """A struct s with an integer `a`."""
    kind = ("int", size, encoding)
    return Composite("struct", "s", (Member("a", kind, bits, at),), at // 8 + size)


@pytest.mark.parametrize("places", [(0, 1), (3, 3)])
@pytest.mark.parametrize("kind", ["field_byte_offset", "field_byte_size", "field_exists"])
def test_two_bits_of_one_byte_are_two_places(places: tuple[int, int], kind: str) -> None:
    """Types of one name have to agree on the bit, even where only the byte is asked for."""
    code = asking.move(int(kind != "field_byte_offset"))
    case = asked(holding(bits=1), [holding(at=at, bits=1) for at in places], kind, code)
    (full,) = relocate(case.program, case.kernel).values()
    assert ("field offset ambiguity" in str(full)) is (places[0] != places[1])
    assert made_is_as_good(case) is (places[0] == places[1])


@pytest.mark.parametrize(
    ("theirs", "refusal"),
    [
        (holding(4, 8 * 0x7FFC), None),
        (holding(4, 8 * 0x8000), "value too big"),
        (holding(8, 64), None),
        (holding(16, 128), "invalid new mem size"),
        (holding(16, 128, encoding=k.INT_SIGNED), None),
    ],
)
def test_what_no_instruction_can_load_has_no_facts(theirs: Composite, refusal: str | None) -> None:
    """Too far away, or more bytes than a register has."""
    load = instruction(0x61, 0, 0)
    case = asked(holding(4), [theirs], "field_byte_offset", load)
    (full,) = relocate(case.program, case.kernel).values()
    assert refusal is None or refusal in str(full)
    assert made_is_as_good(case) is (refusal is None)


def test_an_array_whose_size_nobody_asks_has_no_elements() -> None:
    """It may have none in the kernel either, where an element of it is not found then."""
    array = ("array", ("int", 4, 0), 0)
    mine = Composite("struct", "s", (Member("f", ("int", 4, 0)), Member("a", array, 0, 32)), 4)
    theirs = Composite("struct", "s", (Member("a", array), Member("f", ("int", 4, 0))), 4)
    written = world_types.write(World((mine,), (), ()))
    (type_id,) = written.composites
    offset = asking.KIND["field_byte_offset"]
    questions = [
        asking.Ask(type_id, (0, 1), offset, asking.move(4)),
        asking.Ask(type_id, (0, 1, 0), offset, instruction(0x61, 0, 4)),
    ]
    kernel = world_types.write(World((theirs,), (), ())).builder.build()
    assert made_is_as_good(Case(asking.assemble(written, questions), kernel, is_ambiguous=False))


@pytest.mark.parametrize("kind", ["field_byte_offset", "field_exists"])
@pytest.mark.parametrize("inner", [("ptr",), ("int", 8, 0)])
def test_a_row_of_an_array_of_pointers(inner: world_types.Type, kind: str) -> None:
    """The row's size counts and nobody asks for an element's: a pointer has a size of its own."""
    array = ("array", ("array", inner, 3), 2)
    mine = Composite("struct", "s", (Member("a", array),), 48)
    theirs = Composite("struct", "s", (Member("a", array, 0, 64),), 56)
    written = world_types.write(World((mine,), (), ()))
    (type_id,) = written.composites
    move = asking.move(24 if kind == "field_byte_offset" else 1)
    questions = [asking.Ask(type_id, (0, 0, 1, 0), asking.KIND[kind], move)]
    kernel = world_types.write(World((theirs,), (), ())).builder.build()
    assert made_is_as_good(Case(asking.assemble(written, questions), kernel, is_ambiguous=False))
