# SPDX-License-Identifier: Apache-2.0
"""Every kind of relocation comes out as libbpf has it with the kernel's whole BTF.

The object (relocations/every.bpf.c) asks what the shipped ones do not: sizes, signs and shifts of
bitfields, arrays of every form, flavours, enums of 64 bits, what kernels do not have.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import answers as instructions
from tests.support import asking, exactness
from tests.support.bpf_compile import bpf_object
from tests.support.builders import EXIT, BtfBuilder, Symbol, elf, instruction
from tests.support.relocated import relocate
from tests.unit.abi.test_core_relocs import extension
from tetrapy.abi import core_relocs
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.errors import LayoutError

SOURCE = Path(__file__).parent / "relocations/every.bpf.c"
KINDS_ASKED = set(core_relocs.KINDS) - {"type_id_local", "type_id_target", "type_matches"}


@pytest.fixture(scope="module")
def every() -> bytes:
    """The object that asks everything."""
    return bpf_object(SOURCE)


def test_the_object_asks_everything(every: bytes) -> None:
    """Each kind of relocation that a made BTF can answer is there, on each kind of instruction."""
    _btf, relocations = core_relocs.of_object(every)
    assert {core_relocs.KINDS[found.kind] for found in relocations} == KINDS_ASKED
    assert len(relocations) > 500
    assert sum(found.is_access for found in relocations) > 30


def test_every_relocation_is_exact(every: bytes) -> None:
    """On kernels of each series and machine, and on those of other vendors."""
    paths = exactness.spread()
    assert len(paths) > 40
    comparisons = exactness.compare_all(paths, [every])
    assert [text for found in comparisons for text in found.unequal] == []


def test_the_resolver_finds_what_libbpf_finds(every: bytes) -> None:
    """Value by value, on a kernel of each kind."""
    local, relocations = core_relocs.of_object(every)
    for path in exactness.spread()[::4]:
        target = Btf(path.read_bytes())
        theirs = instructions.read(every, relocate(every, path))
        resolver = instructions.Resolver(local, target)
        for relocation, answer in zip(relocations, theirs, strict=True):
            text = f"{path.name}: {core_relocs.access_name(local, relocation)}"
            assert resolver.answer(relocation) == answer, text


# Fields of structs of which some kernels have several of one name.
TWICE = [
    ("slot", "number", "int"),
    ("slot", "bus", "pointer"),
    ("mm_slot", "mm", "pointer"),
    ("irq_info", "irq", "int"),
    ("bpf_htab", "count", "struct"),
    ("bpf_htab", "elem_size", "int"),
    ("its_device", "device_id", "int"),
]


def reading(name: str, member: str, kind: str) -> bytes:
    """An object that asks for the place of one member of a struct."""
    b = BtfBuilder()
    integer = b.integer("int", 4)
    inner = b.composite("inner", 4, [("a", integer, 0)])
    types = {"int": integer, "struct": inner, "pointer": b.add(k.KIND_PTR)}
    made = b.composite(name, 8, [(member, types[kind], 0)])
    ext = extension(b, {asking.SECTION: [(0, made, "0:0", 0)]})
    code = instruction(0xB7) + EXIT
    sections = {asking.SECTION: code, ".BTF": b.build(), ".BTF.ext": ext}
    return elf(sections, [Symbol("f", asking.SECTION, 0, len(code))])


def test_types_that_are_there_twice_are_refused_when_libbpf_refuses_them() -> None:
    """And have answers when libbpf finds the same in all of them."""
    refused, taken = set(), set()
    for path in exactness.spread()[::4]:
        target = Btf(path.read_bytes())
        for question in TWICE:
            program = reading(*question)
            queries = CoreQueries([program])
            (full,) = relocate(program, path).values()
            if isinstance(full, str):
                assert "ambiguity" in full
                with pytest.raises(LayoutError, match="several types of one name"):
                    queries.answers(target)
                refused.add(question)
            else:
                made = minimal_btf(queries, queries.answers(target))
                assert relocate(program, made) == {"f": full}, (path.name, question)
                taken.add(question)
    assert len(refused) > 2
    assert len(taken) > 2


def test_bpftool_agrees(every: bytes, tmp_path: Path) -> None:
    """The BTF that `bpftool gen min_core_btf` cuts out gives the same instructions too."""
    bpftool = shutil.which("bpftool")
    if bpftool is None:
        pytest.skip("needs bpftool: make setup")
    source, small = tmp_path / "every.o", tmp_path / "small.btf"
    source.write_bytes(every)
    for path in exactness.spread()[::4]:
        subprocess.run([bpftool, "gen", "min_core_btf", path, small, source], check=True)
        assert relocate(every, small) == relocate(every, path), path.name
