# SPDX-License-Identifier: Apache-2.0
"""Memory that the kernel uses at the same time: words are whole, and only one module touches it."""

from __future__ import annotations

import ast
import mmap
import multiprocessing
import os
from struct import Struct

import pytest

from tests.support.paths import ROOT
from tetrapy.kernel.shared_memory import Fence, Fields, Word, map_memory, words32

AGENT = ROOT / "agent/tetrapy"
HOME = "kernel/shared_memory.py"

# Names that reach memory by address or piece by piece, and who else may use them, and why.
BANNED = {
    "mmap": {
        "kernel/decompress/library.py": "memory of its own, given to a library",
        "kernel/features.py": "the kernel's types, which do not change",
    },
    "pack_into": {},
    "from_address": {},
    "memmove": {"kernel/bpf_object.py": "before the object is loaded, so nobody shares it yet"},
}
# Who maps, or holds, memory of the kernel's; `unpack_from` elsewhere is about bytes.
HOLDERS = (
    "kernel/ringbuf.py",
    "kernel/data_section.py",
    "kernel/kernel_memory.py",
    "kernel/reference_process/exec_capture.py",
    "sensors/base.py",
)


def names_of(source: str) -> set[str]:
    """Modules that it imports, attributes that it takes, names that it uses."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(alias.name for alias in node.names)}
        elif isinstance(node, ast.Attribute):
            found.add(node.attr)
        elif isinstance(node, ast.Name):
            found.add(node.id)
    return found


@pytest.mark.slow
def test_only_one_module_touches_memory_that_is_shared() -> None:
    """Mapping, packing into and reading by address are shared_memory.py's; exceptions say why."""
    found = []
    for path in AGENT.rglob("*.py"):
        place = str(path.relative_to(AGENT))
        names = names_of(path.read_text())
        found += [
            f"{place}: {name}"
            for name, excused in BANNED.items()
            if name in names and place not in {HOME, *excused}
        ]
        if place in HOLDERS and names & {"unpack_from", "from_bytes"}:
            found.append(f"{place}: unpack_from")
    assert found == []


def test_exceptions_are_needed() -> None:
    """An excuse for what is not done any more would cover what comes later."""
    for name, excused in BANNED.items():
        for place in excused:
            assert name in names_of((AGENT / place).read_text()), (name, place)
    assert all((AGENT / place).exists() for place in HOLDERS)


WHOLE = (0, (1 << 64) - 1, 0x00FF00FF00FF00FF)
STORES = 300_000


def _store(fd: int, offset: int) -> None:
    word = Word(map_memory(fd, mmap.PAGESIZE, writable=True), offset, 8)
    for _ in range(STORES):
        for value in WHOLE:
            word.store(value)
    word.store(1)  # the end


@pytest.mark.slow
def test_nobody_sees_a_part_of_a_word() -> None:
    """Another process finds whole values only, one that was stored, in either direction."""
    fd = os.memfd_create("words")
    os.ftruncate(fd, mmap.PAGESIZE)
    writer = multiprocessing.get_context("fork").Process(target=_store, args=(fd, 8))
    word = Word(map_memory(fd, mmap.PAGESIZE), 8, 8)
    writer.start()
    seen = set()
    while (value := word.load()) != 1:
        seen.add(value)
    writer.join()
    assert seen <= set(WHOLE)
    os.close(fd)


@pytest.mark.parametrize("size", [4, 8])
def test_a_word_is_where_it_is_said_to_be(size: int) -> None:
    """Its neighbours keep what they have."""
    memory = bytearray(b"\xee" * 24)
    word = Word(memory, 8, size)
    word.store(5)
    assert word.load() == 5
    assert memory == b"\xee" * 8 + (5).to_bytes(size, "little") + b"\xee" * (16 - size)
    word.release()
    memory.clear()


@pytest.mark.parametrize(("offset", "size"), [(4, 8), (2, 4), (1, 8)])
def test_a_word_that_is_not_aligned(offset: int, size: int) -> None:
    """It would be two loads on some machines."""
    with pytest.raises(ValueError, match="not aligned"):
        Word(bytearray(16), offset, size)


def test_a_mapping_is_closed_when_its_views_are_released() -> None:
    """Nothing of them is left."""
    fd = os.memfd_create("words")
    os.ftruncate(fd, mmap.PAGESIZE)
    memory = map_memory(fd, mmap.PAGESIZE)
    lengths, word = words32(memory), Word(memory, 0, 8)
    with pytest.raises(BufferError):
        memory.close()
    lengths.release()
    word.release()
    memory.close()
    os.close(fd)


def test_fields_and_fences() -> None:
    """What was written is read; a fence can be passed any number of times."""
    memory = bytearray(16)
    fields = Fields(Struct("=QI"), memory, 4)
    fields.write(7, 9)
    assert fields.read() == (7, 9)
    fence = Fence()
    for _ in range(3):
        fence()
