"""The readers of ELF, BTF and relocations survive arbitrary bytes.

Whatever they are given, they return or raise FormatError or LayoutError, after work that is bounded
by the size of the input.
"""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from tetrapy.abi import core_relocs, core_resolve, layout
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type
from tetrapy.abi.elf import Elf, section_data
from tetrapy.errors import FormatError, LayoutError

SAMPLE = (Path(__file__).parent / "data/sample.bpf.o").read_bytes()
BTF = section_data(SAMPLE, ".BTF")
EXT = section_data(SAMPLE, ".BTF.ext")

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
    btf = Btf(data)
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
    """Name every relocation, and look for it among the same types."""
    local = Btf(types)
    for found in core_relocs.read(local, extension):
        quietly(core_relocs.describe, local, found)
        quietly(core_resolve.find, local, found, local)
        quietly(core_resolve.find, Btf(BTF), found, local)


@given(flipped(SAMPLE))
def test_a_damaged_object_is_read_or_refused(data: bytes) -> None:
    """A real ELF object with bytes, words and bits changed, cut short or lengthened."""
    quietly(whole, data)
    quietly(core_relocs.digest, [data])


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
