# SPDX-License-Identifier: Apache-2.0
"""Where functions are in the files of programs and libraries."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.compile import program
from tetrapy.abi.elf import FileBytes
from tetrapy.abi.executable import Executable, Segment
from tetrapy.errors import ElfError

_CODE, _READ = 5, 4


def made(
    segments: list[tuple[int, int, int, int]],
    symbols: dict[str, int],
    *,
    kind: int = 3,
    table: int = 2,
    build_id: bytes = b"",
) -> bytes:
    """An ELF file: segments as flags, offset, address, size; symbols with their addresses."""
    names = b"\0" + b"".join(name.encode() + b"\0" for name in symbols)
    rows = [struct.pack("<IBBHQQ", 0, 0, 0, 0, 0, 0)]
    at = 1
    for name, address in symbols.items():
        rows.append(struct.pack("<IBBHQQ", at, 0x12, 0, 1, address, 0))
        at += len(name) + 1
    body = b"".join(rows)
    note = struct.pack("<III", 4, len(build_id), 3) + b"GNU\0" + build_id
    titles = b"\0"
    head = 64 + 56 * len(segments)
    parts = [body, names, titles, note]
    offsets = [head + sum(map(len, parts[:number])) for number in range(4)]
    sections = [
        struct.pack("<IIQQQQIIQQ", 0, *[0] * 9),
        struct.pack("<IIQQQQIIQQ", 0, table, 0, 0, offsets[0], len(body), 2, 0, 8, 24),
        struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, offsets[1], len(names), 0, 0, 1, 0),
        struct.pack("<IIQQQQIIQQ", 0, 3, 0, 0, offsets[2], len(titles), 0, 0, 1, 0),
        struct.pack("<IIQQQQIIQQ", 0, 7, 0, 0, offsets[3], len(note), 0, 0, 4, 0),
    ]
    headers = b"".join(
        struct.pack("<IIQQQQQQ", 1, flags, offset, address, 0, size, size, 4096)
        for flags, offset, address, size in segments
    )
    ident = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    start = offsets[3] + len(note)
    counts = (64, 56, len(segments), 64, len(sections), 3)
    header = struct.pack("<16sHHIQQQIHHHHHH", ident, kind, 62, 1, 0, 64, start, 0, *counts)
    return header + headers + b"".join(parts) + b"".join(sections)


PIE = [(_READ, 0, 0, 0x1000), (_CODE, 0x1000, 0x2000, 0x800)]


@pytest.mark.parametrize("table", [2, 11], ids=["symtab", "dynsym"])
def test_the_offset_of_a_symbol(table: int) -> None:
    """It is that of the segment, not the address; from either table."""
    found = Executable(made(PIE, {"other": 0x2010, "wanted": 0x2123}, table=table))
    assert found.segments == [Segment(0, 0, 0x1000, False), Segment(0x1000, 0x2000, 0x800, True)]
    assert found.offset_of_symbol("wanted") == 0x1123


def test_the_address_of_an_offset() -> None:
    """What is found of a symbol's offset is its address; beside the segments is nothing."""
    executable = Executable(made(PIE, {}))
    assert executable.address_of_offset(executable.offset_of_address(0x2123)) == 0x2123
    for offset in (-1, 0x1800):
        with pytest.raises(ElfError, match="is in no segment"):
            executable.address_of_offset(offset)


def test_a_program_of_fixed_addresses() -> None:
    """ET_EXEC: addresses far from offsets."""
    data = made([(_CODE, 0, 0x400000, 0x5000)], {"main": 0x401234}, kind=2)
    assert Executable(data).offset_of_symbol("main") == 0x1234
    assert Executable(data).offset_of_address(0x400000) == 0


def test_names_that_end_alike() -> None:
    """Linkers put a name into the end of a longer one; a part of a name is none."""
    found = Executable(made(PIE, {"xmain": 0x2001, "main": 0x2002, "main2": 0x2003}))
    assert found.offset_of_symbol("main") == 0x1002
    with pytest.raises(ElfError, match="no symbol ain"):
        found.offset_of_symbol("ain")


def test_a_version_is_no_part_of_a_name() -> None:
    """The table of all symbols names the default version behind two signs."""
    found = Executable(made(PIE, {"read@GLIBC_2.1": 0x2001, "read@@GLIBC_2.2.5": 0x2002}))
    assert found.offset_of_symbol("read") == 0x1002


def test_what_is_not_there() -> None:
    """An unknown symbol, an address outside of the file, an object that is no program."""
    found = Executable(made(PIE, {"bss": 0x9000}))
    for name, text in (("nothing", "there is no symbol nothing"), ("bss", "is in no segment")):
        with pytest.raises(ElfError, match=text):
            found.offset_of_symbol(name)
    with pytest.raises(ElfError, match="address 0x3000 is in no segment"):
        found.offset_of_address(0x3000)
    with pytest.raises(ElfError, match="no program or library"):
        Executable(made(PIE, {}, kind=1))


class Watched(FileBytes):
    """A file of which is known how much was read at once."""

    most = 0

    def __getitem__(self, span: slice) -> bytes:
        data = super().__getitem__(span)
        self.most = max(self.most, len(data))
        return data


@pytest.mark.slow
def test_large_tables(tmp_path: Path) -> None:
    """They are read in pieces, across whose ends names and symbols are found; holes cost nobody
    memory.
    """
    names = ["x" * 30 + str(number) for number in range(40_000)]
    size = sum(len(name) + 1 for name in names[:20_000])
    # The name begins three bytes before the end of a piece, and ends behind it.
    before = [*names[:20_000], "y" * ((1 << 20) - size - 5)]
    symbols = {**dict.fromkeys(before, 0x2000), "wanted": 0x2123}
    symbols.update(dict.fromkeys(names[20_000:], 0x2000))
    symbols["last"] = 0x2124
    path = tmp_path / "large"
    path.write_bytes(made(PIE, symbols))
    with path.open("rb") as file:
        watched = Watched(file.fileno())
        found = Executable(watched)
        assert (found.offset_of_symbol("wanted"), found.offset_of_symbol("last")) == (
            0x1123,
            0x1124,
        )
        with pytest.raises(ElfError, match="there is no symbol nothing"):
            found.offset_of_symbol("nothing")
    assert watched.most < 1 << 20 | 1 << 16


@pytest.mark.slow
@pytest.mark.parametrize("repeated", ["names", "symbols"])
def test_a_name_that_everything_has(repeated: str) -> None:
    """A file whose owner has it name nothing else is refused before it costs minutes."""
    data = made(PIE, {"wanted": 0x9000})
    more = 70_000
    if repeated == "names":
        row, tail = 2, b"wanted\0" * more
    else:
        row, tail = 1, struct.pack("<IBBHQQ", 1, 0x12, 0, 1, 0x9000, 0) * more
    at = struct.unpack_from("<Q", data, 40)[0] + 64 * row
    changed = bytearray(data + tail)
    struct.pack_into("<QQ", changed, at + 24, len(data), len(tail))
    with pytest.raises(ElfError, match="more than 65536 symbols"):
        Executable(bytes(changed)).offset_of_symbol("wanted")


def test_a_build_id() -> None:
    """What the linker noted, in digits; nothing where it noted something else."""
    assert Executable(made(PIE, {}, build_id=b"\xab\x01")).build_id() == "ab01"
    other = made(PIE, {}, build_id=b"\xab\x01").replace(b"GNU\0", b"BSD\0")
    assert Executable(other).build_id() is None


def test_real_files() -> None:
    """The interpreter of these tests, and a program of the pinned compiler."""
    for path, symbol in ((Path(sys.executable), "Py_Main"), (program("called"), "called")):
        with path.open("rb") as file:
            found = Executable(FileBytes(file.fileno()))
            try:
                offset = found.offset_of_symbol(symbol)
            except ElfError:
                continue  # an interpreter whose library has it
            assert 0 < offset < path.stat().st_size


SAMPLE = made(PIE, {"other": 0x2010, "wanted": 0x2123}, build_id=b"1234")


@pytest.mark.slow
@given(
    st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.integers(0, 255)), max_size=8),
    st.integers(0, len(SAMPLE)),
)
def test_damaged_files(changes: list[tuple[int, int]], end: int) -> None:
    """They give an offset or ElfError, after bounded work."""
    data = bytearray(SAMPLE)
    for at, value in changes:
        data[at] = value
    try:
        found = Executable(bytes(data[:end]))
        found.build_id()
        assert found.offset_of_symbol("wanted") >= 0
    except ElfError:
        pass
