# SPDX-License-Identifier: Apache-2.0
"""Which sources make which BPF object."""

from __future__ import annotations

import itertools
import struct
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tetrapy.abi import core_relocs
from tetrapy.abi import elf as e
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_queries import CoreQueries
from tetrapy.abi.layout import enum_values
from tools import bpf_objects
from tools.errors import BuildError


def test_every_source_belongs_to_an_object(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A source that no object names stops the build, as does one that is not there."""
    monkeypatch.setattr(bpf_objects, "ROOT", tmp_path)
    (tmp_path / "bpf").mkdir()
    named = {source for recipe in bpf_objects.OBJECTS.values() for source in recipe.sources}
    for source in (named - {"exit.bpf.c"}) | {"forgotten.bpf.c"}:
        (tmp_path / "bpf" / source).touch()
    with pytest.raises(BuildError, match=r"exit\.bpf\.c, forgotten\.bpf\.c"):
        bpf_objects.build(tmp_path)


def test_flavours_are_objects() -> None:
    """The two flavours of the base object are made of the same sources."""
    ring, perf = bpf_objects.FLAVOURS.values()
    assert ring.sources == perf.sources
    assert ring.flags != perf.flags
    assert bpf_objects.OBJECTS.items() >= bpf_objects.FLAVOURS.items()


def test_the_small_flavour() -> None:
    """It is made of the same sources but those for later kernels, and asks them no more."""
    large = bpf_objects.FLAVOURS["base-perf.bpf.o"]
    small = bpf_objects.OBJECTS[bpf_objects.SMALL_FLAVOUR]
    assert set(large.sources) - set(small.sources) == {"gates.bpf.c", "executables.bpf.c"}
    assert set(small.sources) <= set(large.sources)
    paths = [ROOT / "build/bundle/bpf" / name for name in ("base-perf.bpf.o", "base-4.19.bpf.o")]
    if not all(path.exists() for path in paths):
        pytest.skip("the BPF objects are not built: make build")
    needs = [set(CoreQueries([path.read_bytes()]).names) for path in paths]
    assert needs[1] <= needs[0]


@pytest.mark.parametrize("name", sorted(bpf_objects.OBJECTS))
def test_line_information_takes_no_room(name: str) -> None:
    """.BTF.ext is functions and relocations, and what stands behind it moved up."""
    path = ROOT / "build/bundle/bpf" / name
    if not path.exists():
        pytest.skip("the BPF objects are not built: make build")
    data = path.read_bytes()
    types = e.section_data(data, ".BTF.ext")
    size, functions, count, lines, length, relocations, rest = struct.unpack_from("<7I", types, 4)
    assert (functions, length) == (0, 0)
    assert count == lines == relocations
    assert size + count + rest == len(types)
    taken = sorted(
        (one.offset, one.offset + one.size)
        for one in e.Elf(data).sections
        if one.number and one.type != e.SHT_NOBITS
    )
    assert all(0 <= there - end < 16 for (_, end), (there, _) in itertools.pairwise(taken))


# What has_cgroups() of bpf/cgroup.h asks for together: several reads stand behind one look.
TOGETHER = frozenset(
    {
        "struct task_struct.cgroups pointer",
        "struct css_set.dfl_cgrp pointer",
        "struct css_set.subsys array",
        "struct cgroup.kn pointer",
        "struct cgroup_subsys_state.cgroup pointer",
    }
)


def unguarded(data: bytes) -> list[str]:
    """Reads of members that not every kernel has, without a look whether this one has it."""
    btf, found = core_relocs.of_object(data)
    asked = [
        (
            one.section,
            one.instruction,
            core_relocs.KINDS[one.kind],
            core_relocs.access_name(btf, one),
        )
        for one in found
        if one.kind in core_relocs.FIELD_KINDS
    ]
    doubtful = {subject for _, _, kind, subject in asked if kind == "field_exists"}
    bare, guarded = [], set()
    for section, instruction, kind, subject in sorted(asked):
        if kind == "field_exists":
            guarded.add((section, subject))
        elif subject in doubtful and kind == "field_byte_offset":
            if (section, subject) not in guarded:
                bare.append(f"{section}, instruction {instruction}: {subject}")
            if subject not in TOGETHER:
                guarded.discard((section, subject))
    return bare


@pytest.mark.parametrize("name", sorted([*bpf_objects.FLAVOURS, bpf_objects.SMALL_FLAVOUR]))
def test_what_some_kernels_lack_is_read_behind_a_guard(name: str) -> None:
    """Each such read has a guard of its own, or has_cgroups() before it; libbpf spoils a read of a
    member that is not there, and the verifier then refuses the program wherever it can be reached.
    """
    path = ROOT / "build/bundle/bpf" / name
    if not path.exists():
        pytest.skip(f"needs {name}: make build")
    assert unguarded(path.read_bytes()) == []


TAIL_CALL = b"\x85\0\0\0\x0c\0\0\0"


@pytest.mark.parametrize("name", sorted(bpf_objects.FLAVOURS))
def test_what_gates_lead_to_has_a_stack_of_its_own(name: str) -> None:
    """Each such program makes a tail call: the others get one stack a CPU from Linux 6.13 on."""
    path = ROOT / "build/bundle/bpf" / name
    if not path.exists():
        pytest.skip(f"needs {name}: make build")
    data = path.read_bytes()
    image = e.Elf(data)
    code = {}
    for symbol in image.symbols():
        if symbol.type == e.STT_FUNC:
            section = image.data(image.sections[symbol.section])
            code[symbol.name] = section[symbol.value : symbol.value + symbol.size]
    calls = enum_values(Btf(e.section_data(data, ".BTF")), "exec_call")
    led_to = [call[len("CALL_") :].lower() for call in calls if call.startswith("CALL_")]
    assert set(led_to) >= {"on_exec", "on_fork", "on_exit"}
    for program in led_to:
        body = code[program]
        assert TAIL_CALL in [body[at : at + 8] for at in range(0, len(body), 8)], program
