# SPDX-License-Identifier: Apache-2.0
"""Answers: what objects need to know of a kernel, and the BTF that is made of the answers."""

from __future__ import annotations

import struct

import pytest

from tests.support.builders import EXIT, BtfBuilder, Symbol, elf
from tests.support.paths import DATA
from tests.unit.abi.test_core_relocs import extension
from tetrapy.abi import core_relocs
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.errors import LayoutError

SAMPLE = (DATA / "sample.bpf.o").read_bytes()
KIND = {name: number for number, name in enumerate(core_relocs.KINDS)}


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


ANSWERS = {
    "enumval enum wide::WIDE_BIG": 7,
    # An enum in the object, an int in the kernel: libbpf does not take one for the other.
    "offset struct bpf_prog.type enum bpf_prog_type": None,
    "offset struct cred.euid.val int": 64,
    "offset struct cred.uid.val int": 32,
    "offset struct task_struct.comm array": 320,
    "offset struct task_struct.cred pointer": 256,
    "offset struct task_struct.pid int": 96,
    "offset struct task_struct.start_boottime int": 448,
    "offset struct task_struct.tasks[1].next pointer": 192,
    "stride struct task_struct.tasks": 8,
    "offset struct task_struct___v54.real_start_time int": None,
    "offset struct task_struct.flags int": 512,
    "bits struct task_struct.flags int": 0,
    "size struct task_struct.flags int": 4,
    "signed struct task_struct.flags int": 0,
    "type_size struct cred": 12,
}


def test_facts_answer_each_need() -> None:
    """Fields are found through anonymous members and array elements, enums of either width."""
    queries = CoreQueries([SAMPLE])
    assert list(queries.names) == sorted(ANSWERS)
    assert dict(zip(queries.names, queries.answers(kernel()), strict=True)) == ANSWERS


def test_the_made_btf_answers_the_same() -> None:
    """And equal answers make equal bytes, of which the object needs a few."""
    queries = CoreQueries([SAMPLE])
    answers = queries.answers(kernel())
    made = minimal_btf(queries, answers)
    assert queries.answers(Btf(made)) == answers
    assert made == minimal_btf(CoreQueries([SAMPLE, SAMPLE]), answers)
    assert len(made) < 1200


def asking(local: BtfBuilder, questions: list[tuple[int, str, str]], code: bytes = EXIT) -> bytes:
    """An object with relocations (type, access, name of the kind), an instruction for each."""
    records = [(at, t, access, KIND[kind]) for at, (t, access, kind) in enumerate(questions)]
    ext = extension(local, records)
    symbols = [Symbol("f", "prog", 0, 8 * len(records))]
    return elf({"prog": code * len(records), ".BTF": local.build(), ".BTF.ext": ext}, symbols)


def struct_s(*members: tuple[str, int], flavour: str = "") -> tuple[BtfBuilder, int]:
    """A struct s of integers (name, offset in bits)."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    return b, b.composite("s" + flavour, 64, [(name, integer, at) for name, at in members])


def test_numbering_does_not_matter() -> None:
    """Objects that ask for the same have the same needs, whatever their type ids and order."""
    one, s = struct_s(("a", 0), ("b", 32))
    other, t = struct_s(("b", 0), ("x", 32), ("a", 64))
    first = asking(one, [(s, "0:0", "field_byte_offset"), (s, "0:1", "field_exists")])
    second = asking(other, [(t, "0:0", "field_byte_offset"), (t, "0:2", "field_byte_offset")])
    assert (
        CoreQueries([first]).names
        == CoreQueries([second]).names
        == CoreQueries([second, first]).names
    )
    target, _ = struct_s(("b", 96), ("a", 128))
    assert CoreQueries([first]).answers(Btf(target.build())) == (128, 96)


@pytest.mark.parametrize(
    ("first", "second", "refused"),
    [
        ([("a", 0)], [("a", 32)], True),
        ([("a", 0)], [("a", 0)], False),
        ([("a", 0)], [("a", 0), ("b", 32)], False),
        ([("a", 0)], [("c", 0)], False),
        # Which of them libbpf takes depends on what it looks for first.
        ([("a", 0)], [("b", 32)], True),
        ([("a", 0), ("c", 64)], [("b", 32), ("a", 0)], False),
    ],
)
def test_several_types_of_a_name_have_to_agree(
    first: list[tuple[str, int]], second: list[tuple[str, int]], refused: bool
) -> None:
    """One of them has to have all that any of them has, at the same place."""
    local, s = struct_s(("a", 0), ("b", 0))
    kinds = [(s, "0:0", "field_byte_offset"), (s, "0:1", "field_byte_offset")]
    queries = CoreQueries([asking(local, kinds)])
    for pair in ((first, second), (second, first)):
        b = BtfBuilder()
        integer = b.integer("int", 4)
        for members in pair:
            b.composite("s", 8, [(name, integer, at) for name, at in members])
        target = Btf(b.build())
        if refused:
            with pytest.raises(LayoutError, match="several types of one name"):
                queries.answers(target)
        else:
            answers = queries.answers(target)
            assert queries.answers(Btf(minimal_btf(queries, answers))) == answers


@pytest.mark.parametrize("kind", ["type_id_target", "type_matches"])
def test_what_only_the_kernels_own_btf_can_answer_is_refused(kind: str) -> None:
    """The id of a type means something for one BTF only."""
    local, s = struct_s(("a", 0))
    with pytest.raises(LayoutError, match=f"{kind} of struct s: only the kernel's own"):
        CoreQueries([asking(local, [(s, "0", kind)])])


def test_types_without_a_name_are_refused() -> None:
    """libbpf looks for types by name."""
    b = BtfBuilder()
    made = b.composite("", 4, [("a", b.integer("int", 4), 0)])
    with pytest.raises(LayoutError, match="without a name"):
        CoreQueries([asking(b, [(made, "0:0", "field_byte_offset")])])


def test_a_load_asks_for_the_width_too() -> None:
    """An instruction that accesses memory gets the width of the kernel's field."""
    local, s = struct_s(("a", 0))
    load = struct.pack("<BBhi", 0x61, 0, 0, 0)
    queries = CoreQueries([asking(local, [(s, "0:0", "field_byte_offset")], load)])
    assert queries.names == tuple(
        f"{what} struct s.a int" for what in ("bits", "offset", "signed", "size")
    )
