"""Our resolver and our minimizer against libbpf, on small worlds that nobody thought of.

A world is what a program declares, and what a kernel has instead (tests/support/worlds.py).
"""

from __future__ import annotations

from typing import NamedTuple

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import answers, asking, world_types, worlds
from tests.support.relocated import relocate
from tests.support.world_layout import laid_out
from tetrapy.abi import core_relocs
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_needs import Needs
from tetrapy.errors import LayoutError

# A flavour stands behind the type that it is one of.
NAMES = ["s", "s___o", "r"]
# Drawing a world costs more than all that is done with it.
EXAMPLES = settings(max_examples=400, suppress_health_check=list(HealthCheck))


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
    resolver = answers.Resolver(local, Btf(case.kernel))
    theirs = answers.read(case.program, outcomes)
    for relocation, answer in zip(relocations, theirs, strict=True):
        mine = resolver.answer(relocation)
        if isinstance(mine, str) and isinstance(answer, str):
            assert mine in answer
        else:
            assert mine == answer, core_relocs.subject(local, relocation)


@EXAMPLES
@given(cases())
def test_made_btf_relocates_as_the_kernels_own(case: Case) -> None:
    """Byte for byte; only a kernel with several types of one name may have no facts."""
    full = relocate(case.program, case.kernel)
    needs = Needs([case.program])
    try:
        made = minimal_btf(needs, needs.facts(Btf(case.kernel)))
    except LayoutError:
        assert case.is_ambiguous
        return
    # What libbpf refuses has no facts either.
    assert not any(isinstance(outcome, str) for outcome in full.values())
    assert relocate(case.program, made) == full
