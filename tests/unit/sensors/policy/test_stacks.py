# SPDX-License-Identifier: Apache-2.0
"""Stacks of calls -> entries of stack traces."""

from __future__ import annotations

import ctypes
import os
import struct
from pathlib import Path

import pytest

from tests.support.calls import CallWorld, body, call, flags_of, kprobe, number, value
from tetrapy.events.arguments import StackEntry
from tetrapy.kernel.kallsyms import KernelSymbol, KernelSymbols
from tetrapy.sensors.policy import user_symbols
from tetrapy.sensors.policy.stacks import Stacks
from tetrapy.sensors.policy.user_symbols import Mapping, UserSymbols, parse_mapping


def test_stacks(world: CallWorld) -> None:
    """Behind the values: names at once, since a process that is gone has none."""
    hook = kprobe("int", stacks=True)
    number_of_hook = world.hooks.add(hook)
    indexes = flags_of("stack_index")
    kernel = value(indexes["STACK_OF_KERNEL"], struct.pack("<3Q", 1, 0, 2))
    user = value(indexes["STACK_OF_USER"], struct.pack("<Q", 3))
    told: list[tuple[str, object]] = []

    class Named:
        """Names everything alike."""

        def of_kernel(self, data: bytes) -> tuple[StackEntry, ...]:
            told.append(("kernel", data))
            return (StackEntry(0, 5, "do_it", ""),)

        def of_process(self, pid: int, data: bytes) -> tuple[StackEntry, ...]:
            told.append(("user", (pid, data)))
            return (StackEntry(7, 5, "main", "/bin/x"),)

    world.hooks._stacks = Named()  # type: ignore[assignment]
    made = body(world, call(number_of_hook, number(0, 1), kernel, user, tid=77))
    assert made["kernel_stack_trace"] == [{"offset": "5", "symbol": "do_it"}]
    assert made["user_stack_trace"] == [
        {"address": "7", "offset": "5", "symbol": "main", "module": "/bin/x"}
    ]
    assert told == [("kernel", struct.pack("<3Q", 1, 0, 2)), ("user", (77, struct.pack("<Q", 3)))]
    made = body(world, call(number_of_hook, number(0, 1)))
    assert "kernel_stack_trace" not in made
    assert "user_stack_trace" not in made


KALLSYMS = """\
0000000000000000 A fixed_percpu_data
ffffffff81000000 T _stext
ffffffff81000100 t inner
ffffffff81000100 T outer
ffffffff81000200 D data
ffffffffc0000000 t of_module	[dummy]
"""


def test_functions_of_the_kernel(tmp_path: Path) -> None:
    """The function before an address; data is none. Of two at one place the later one counts."""
    kallsyms, modules = tmp_path / "kallsyms", tmp_path / "modules"
    kallsyms.write_text(KALLSYMS)
    modules.write_text("dummy 16384 0 - Live 0xffffffffc0000000\n")
    symbols = KernelSymbols(str(kallsyms), str(modules))
    symbols.read()
    assert symbols.find(0xFFFFFFFF81000000) == KernelSymbol("_stext", 0)
    assert symbols.find(0xFFFFFFFF81000105) == KernelSymbol("outer", 5)
    assert symbols.find(0xFFFFFFFFC0000008) == KernelSymbol("of_module", 8)
    assert symbols.find(0xFFFFFFFF80000000) is None


def test_modules_that_come_later(tmp_path: Path) -> None:
    """What is behind the kernel itself is read anew when other modules are there."""
    kallsyms, modules = tmp_path / "kallsyms", tmp_path / "modules"
    kallsyms.write_text(KALLSYMS)
    symbols = KernelSymbols(str(kallsyms), str(modules))
    symbols.read()
    assert symbols.find(0xFFFFFFFFC000FFFF) == KernelSymbol("of_module", 0xFFFF)
    assert symbols.find(0xFFFFFFFFC0010000) is None  # too far to be the same function
    kallsyms.write_text(KALLSYMS + "ffffffffc0100000 t new_one\t[other]\n")
    modules.write_text("other 16384 0 - Live 0xffffffffc0100000\n")
    symbols._checked = -100.0
    assert symbols.find(0xFFFFFFFFC0100000) == KernelSymbol("new_one", 0)
    kallsyms.write_text("")  # as for those who may not see addresses any more
    modules.write_text("")
    symbols._checked = -100.0
    assert symbols.find(0xFFFFFFFFC0100000) is None
    assert symbols.find(0xFFFFFFFF81000001) == KernelSymbol("_stext", 1)


def test_hidden_addresses(tmp_path: Path) -> None:
    """A kernel that shows nobody its addresses has no names, nor has one that is not there."""
    kallsyms = tmp_path / "kallsyms"
    kallsyms.write_text("0000000000000000 T one\n0000000000000000 T two\n")
    for place in (str(kallsyms), "/nowhere"):
        symbols = KernelSymbols(place, "/nowhere")
        symbols.read()
        assert symbols.find(1 << 63) is None
    stacks = Stacks(with_addresses=True)
    stacks.kernel = symbols
    assert stacks.of_kernel(struct.pack("<Q", 9)) == (StackEntry(9, 0, "", ""),)


def test_functions_of_this_process() -> None:
    """By what is mapped, and the symbols of its file."""
    libc = ctypes.CDLL(None)
    address = ctypes.cast(libc.getpid, ctypes.c_void_p).value
    assert address is not None
    stacks = Stacks()
    (entry,) = stacks.of_process(os.getpid(), struct.pack("<Q", address + 1))
    assert entry.symbol in {"getpid", "__getpid"}
    assert entry.address == 0
    assert "libc" in entry.module
    assert stacks.of_process(0, struct.pack("<Q", address)) == ()


def test_what_is_mapped_nowhere() -> None:
    """It belongs to what is mapped before it, as Tetragon has it, and has no name."""
    symbols = UserSymbols()
    below, above = symbols.find(os.getpid(), [5, (1 << 64) - 9])
    assert below is None
    assert above is not None
    assert above.name == ""
    assert above.module.startswith("[")


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (
            b"00400000-00452000 r-xp 00001000 08:02 173521      /usr/bin/a b",
            Mapping(0x400000, 0x452000, 0x1000, 173521, "/usr/bin/a b", 8 << 20 | 2),
        ),
        (b"7f0-7f8 rw-p 00000000 00:00 0 ", Mapping(0x7F0, 0x7F8, 0, 0, "", 0)),
    ],
)
def test_a_mapping(line: bytes, expected: Mapping) -> None:
    """With and without a file, whose path may have spaces."""
    assert parse_mapping(line) == expected


class Reader:
    """Programs, of which users have the functions looked up: a user has its own number as pid."""

    def __init__(self, directory: Path) -> None:
        self.symbols = UserSymbols()
        self.files = [directory / str(number) for number in range(6)]
        for file in self.files:
            file.write_bytes(Path("/bin/true").read_bytes() + file.name.encode())

    def read(self, number: int, user: int) -> bool:
        fd = os.open(self.files[number], os.O_RDONLY)
        try:
            return self.symbols._functions(fd, os.fstat(fd), user) is not None
        finally:
            os.close(fd)

    @property
    def kept(self) -> set[int]:
        inodes = [key[1] for key in self.symbols._files]
        return {at for at, file in enumerate(self.files) if file.stat().st_ino in inodes}


@pytest.fixture
def reader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Reader:
    """One that nobody has used."""
    monkeypatch.setattr(user_symbols, "owner_of", lambda procfs, pid: pid)
    return Reader(tmp_path)


def test_reading_files_has_a_bound(reader: Reader) -> None:
    """Who runs one program after another does not have the agent read symbols all the time, nor
    does he use up what others have.
    """
    assert reader.read(0, user=7)
    reader.symbols._spend(7, 100.0)
    assert not reader.read(1, user=7)
    assert reader.read(0, user=7)  # is known
    assert reader.read(1, user=8)
    reader.symbols._spend(8, 100.0)
    assert not reader.read(2, user=8)


def test_what_is_kept_of_files_has_a_bound(reader: Reader, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of whoever has most that file goes which was asked for longest ago."""
    monkeypatch.setattr(user_symbols, "MAX_FILES", 3)
    assert reader.read(0, user=8)
    assert all(reader.read(number, user=7) for number in (1, 2, 3))
    assert reader.kept == {0, 2, 3}
    assert reader.read(2, user=8)
    assert reader.read(4, user=7)
    assert reader.kept == {0, 2, 4}
    monkeypatch.setattr(user_symbols, "MAX_BYTES", 1)
    assert reader.read(5, user=8)
    assert len(reader.kept) <= 1
