# SPDX-License-Identifier: Apache-2.0
"""The readers of ELF, BTF and relocations survive arbitrary bytes.

Whatever they are given, they return or raise FormatError or LayoutError, after work that is bounded
by the size of the input.
"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import DATA
from tetrapy.abi import core_compat, core_relocs, core_resolve, layout
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.abi.elf import Elf, section_data
from tetrapy.errors import FormatError, LayoutError

pytestmark = pytest.mark.slow

SAMPLE = (DATA / "sample.bpf.o").read_bytes()
BTF = section_data(SAMPLE, ".BTF")
EXT = section_data(SAMPLE, ".BTF.ext")
QUERIES = CoreQueries([SAMPLE])

# Answers: places as kernels have them, and numbers that no BTF can hold.
NUMBERS = st.one_of(
    st.integers(0, 4096),
    st.sampled_from([-8, 1, 1 << 24, (1 << 32) - 8, 1 << 32, 1 << 35, (1 << 64) - 1, 1 << 64]),
)

# Values that have undone parsers: ends of ranges, and small ids that are likely to exist.
WORDS = st.sampled_from([0, 1, 2, 3, 4, 5, 8, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 4 << 24 | 0xFFFF])


def flipped(data: bytes) -> st.SearchStrategy[bytes]:
    """The data with a few bytes, words or bits changed, and perhaps cut short or lengthened."""
    at = st.integers(0, len(data) - 4)
    byte = st.tuples(at, st.binary(min_size=1, max_size=1))
    word = st.tuples(at.map(lambda n: n & ~3), WORDS.map(lambda n: n.to_bytes(4, "little")))
    bit = st.tuples(at, st.integers(0, 7).map(lambda n: bytes([1 << n])))

    def apply(edits: list[tuple[int, bytes]], bits: list[tuple[int, bytes]], end: int) -> bytes:
        changed = bytearray(data)
        for place, new in edits:
            changed[place : place + len(new)] = new
        for place, mask in bits:
            changed[place] ^= mask[0]
        return bytes(changed[:end]) + bytes(max(end - len(data), 0))

    ends = st.one_of(st.just(len(data)), st.integers(0, len(data) + 64))
    edits = st.lists(st.one_of(byte, word), max_size=8)
    return st.builds(apply, edits, st.lists(bit, max_size=4), ends)


def walk(data: bytes) -> None:
    """Read everything that a BTF holds."""
    read_all(Btf(data))


def read_all(btf: Btf) -> None:
    """Read every type in every way, and those of known names."""
    for found in attempts(btf):
        for step in (btf.size_of, btf.resolve):
            quietly(step, found.id)
        for read in (btf.members, btf.enumerators, btf.variables, btf.parameters):
            quietly(read, found)
        quietly(btf.integer, found)
        quietly(btf.array, found)
    for name in ("exec_event", "exit_event", "task_struct", "header"):
        quietly(lambda name=name: readers(btf, name))
    quietly(layout.enum_values, btf, "event_kind")
    quietly(layout.union_members, btf, "event")
    quietly(layout.rodata_offsets, btf)


def attempts(btf: Btf) -> list[Type]:
    """The types that can be read at all."""
    found = []
    for number in range(len(btf)):
        quietly(lambda number=number: found.append(btf.type(number)))
    return found


def readers(btf: Btf, name: str) -> None:
    """The layout of a struct, and its unpacker."""
    found = layout.struct_layout(btf, name)
    quietly(layout.unpacker, found, list(found.members))


def quietly(function, *arguments) -> None:
    """Call, and let the documented errors pass."""
    try:
        function(*arguments)
    except (FormatError, LayoutError):
        pass


@given(st.binary(max_size=400))
def test_random_bytes_are_no_btf(data: bytes) -> None:
    """Bytes out of nowhere, bare and behind a valid header."""
    quietly(walk, data)
    types = len(data) & ~3
    header = BTF[:8] + b"".join(
        n.to_bytes(4, "little") for n in (24, 0, types, types, len(data) - types + 2)
    )
    quietly(walk, header + data[:types] + b"\0" + data[types:] + b"\0")


@given(flipped(BTF))
def test_damaged_btf_is_read_or_refused(data: bytes) -> None:
    """A real BTF with bytes, words and bits changed, cut short or lengthened."""
    quietly(walk, data)


@given(flipped(BTF), flipped(EXT))
def test_damaged_relocations_are_read_or_refused(btf: bytes, ext: bytes) -> None:
    """A real .BTF.ext over damaged types, and a damaged one over real types."""
    for types, extension in ((btf, EXT), (BTF, ext)):
        quietly(relocations, types, extension)


def relocations(types: bytes, extension: bytes) -> None:
    """Name every relocation, and look for it among the same types, damaged ones and real ones."""
    local, intact = Btf(types), Btf(BTF)
    for found in core_relocs.read(local, extension):
        quietly(core_relocs.access_name, local, found)
        for mine, target in ((local, local), (intact, local), (local, intact)):
            quietly(look_for, mine, found, target)


def look_for(local: Btf, found: core_relocs.CoreRelocation, target: Btf) -> None:
    """Ask every type that could be meant."""
    for root in core_compat.candidates(local, found.type_id, target):
        quietly(core_resolve.field, local, found, target, root)
        quietly(core_resolve.enumerator_value, local, found, target, root)
        quietly(core_compat.types_match, local, found.type_id, target, root.id)


@given(flipped(BTF))
def test_facts_of_damaged_btf_are_facts_or_refused(data: bytes) -> None:
    """What passes for the BTF of a kernel gives answers, and BTF can be made of them or not."""
    quietly(lambda: minimal_btf(QUERIES, QUERIES.answers(Btf(data))))


@given(st.dictionaries(st.integers(0, len(QUERIES.names) - 1), st.one_of(st.none(), NUMBERS)))
def test_any_numbers_are_facts_or_refused(changes: dict[int, int | None]) -> None:
    """BTF made of numbers that nobody measured answers exactly these, or is not made."""
    numbers = list(QUERIES.answers(Btf(BTF)))
    for at, number in changes.items():
        numbers[at] = number

    def check() -> None:
        made = minimal_btf(QUERIES, tuple(numbers))
        assert QUERIES.answers(Btf(made)) == tuple(numbers)

    quietly(check)


@given(flipped(BTF), flipped(BTF))
def test_damaged_split_btf_is_read_or_refused(base: bytes, data: bytes) -> None:
    """A module's BTF, of which it or its base is damaged."""
    for below, above in ((BTF, data), (base, BTF)):
        quietly(split, below, above)


def split(base: bytes, data: bytes) -> None:
    """Read a module's types, and ask for fields among both."""
    btf = Btf(data, Btf(base))
    read_all(btf)
    quietly(QUERIES.answers, btf)


@given(flipped(SAMPLE))
def test_a_damaged_object_is_read_or_refused(data: bytes) -> None:
    """A real ELF object with bytes, words and bits changed, cut short or lengthened."""
    quietly(whole, data)
    quietly(CoreQueries, [data])


def whole(data: bytes) -> None:
    """Read everything that an ELF file holds."""
    elf = Elf(data)
    for section in elf.sections:
        quietly(elf.data, section)
        quietly(elf.relocations, section)
    quietly(elf.symbols)


@given(st.binary(max_size=300))
def test_random_bytes_are_no_elf(data: bytes) -> None:
    """Bytes out of nowhere, bare and behind the identification of an ELF file."""
    quietly(whole, data)
    quietly(whole, SAMPLE[:16] + data)


def test_every_truncation_is_refused() -> None:
    """No prefix of a real BTF or object passes for the whole."""
    for size in range(len(BTF)):
        quietly(walk, BTF[:size])
        try:
            Btf(BTF[:size])
        except FormatError:
            continue
        raise AssertionError(f"{size} of {len(BTF)} bytes were taken for BTF")


def test_kinds_are_named() -> None:
    """Each kind that the reader knows has a name for messages."""
    assert len(k.KIND_NAMES) == k.KIND_ENUM64 + 1
