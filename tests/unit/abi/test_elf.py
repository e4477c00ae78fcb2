# SPDX-License-Identifier: Apache-2.0
"""The reader of ELF files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.builders import EXIT, Relocation, Symbol, elf
from tests.support.paths import DATA
from tetrapy.abi.elf import EM_BPF, STT_FUNC, Elf, FileBytes, section_data
from tetrapy.errors import ElfError

SAMPLE = (DATA / "sample.bpf.o").read_bytes()


def test_the_sections_of_a_real_object_are_found_by_name() -> None:
    """An object of clang and bpftool has programs, maps and BTF under their names."""
    found = Elf(SAMPLE)
    assert found.machine == EM_BPF
    for name in ("raw_tp/sched_process_exec", ".maps", ".rodata", ".BTF", ".BTF.ext"):
        section = found.section(name)
        assert section is not None
        assert len(found.data(section)) == section.size
    assert section_data(SAMPLE, "license") == b"GPL\0"
    assert found.section(".nothing") is None


def test_symbols_and_relocations_of_a_real_object_refer_to_each_other() -> None:
    """The call of the subprogram and the use of the map are relocations that name their symbols."""
    found = Elf(SAMPLE)
    symbols = found.symbols()
    program = next(symbol for symbol in symbols if symbol.name == "on_exec")
    section = found.sections[program.section]
    assert program.type == STT_FUNC
    assert (section.name, program.size) == ("raw_tp/sched_process_exec", section.size)
    targets = {symbols[entry.symbol].name for entry in found.relocations(section)}
    assert {"scratch", "limit", "quiet"} <= targets


def test_a_section_without_bytes_in_the_file_has_none() -> None:
    """A .bss section has a size in memory and no data."""
    found = Elf(SAMPLE)
    section = found.section(".bss")
    assert section is not None
    assert section.size > 0
    assert found.data(section) == b""


def test_an_absent_section_is_named_with_those_that_are_there() -> None:
    """The error for a missing section lists the sections of the file."""
    data = elf({"prog": EXIT}, [Symbol("f", "prog", 0, 8)])
    with pytest.raises(ElfError, match=r"no section \.BTF \(has prog, \.symtab"):
        section_data(data, ".BTF")


def test_relocations_belong_to_their_section() -> None:
    """Relocations of one section are not those of another."""
    symbols = [Symbol("a", "one", 0, 8), Symbol("b", "two", 0, 8)]
    found = Elf(elf({"one": EXIT, "two": EXIT}, symbols, [Relocation("two", 0, "a", 10)]))
    one, two = found.section("one"), found.section("two")
    assert one is not None
    assert two is not None
    assert found.relocations(one) == []
    assert [(entry.type, entry.symbol) for entry in found.relocations(two)] == [(10, 1)]


def test_a_file_is_read_in_parts(tmp_path: Path) -> None:
    """A file that is given as a descriptor yields what its bytes yield."""
    path = tmp_path / "object"
    path.write_bytes(SAMPLE)
    fd = os.open(path, os.O_RDONLY)
    try:
        assert section_data(FileBytes(fd), ".BTF") == section_data(SAMPLE, ".BTF")
    finally:
        os.close(fd)


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "no little-endian ELF64"),
        (b"\x7fELF\x02\x02\x01" + bytes(100), "no little-endian ELF64"),
        (b"\x7fELF\x01\x01\x01" + bytes(100), "no little-endian ELF64"),
        (SAMPLE[:100], "ends at byte"),
        (SAMPLE[:-1], "ends at byte"),
    ],
    ids=["empty", "big-endian", "32-bit", "short", "one byte short"],
)
def test_damage_is_an_elf_error(data: bytes, text: str) -> None:
    """What is no ELF64 file, or is cut short, raises ElfError that says so."""
    with pytest.raises(ElfError, match=text):
        Elf(data)


def test_a_compressed_section_is_refused() -> None:
    """SHF_COMPRESSED sections are named as such instead of being read as if they were plain."""
    found = Elf(SAMPLE)
    section = found.section(".BTF")
    assert section is not None
    with pytest.raises(ElfError, match="compressed"):
        found.data(section._replace(flags=0x800))
