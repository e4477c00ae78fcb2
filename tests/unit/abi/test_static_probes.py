# SPDX-License-Identifier: Apache-2.0
"""Notes of static probes, made by hand; operands of both machines; whatever is damaged is told."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.abi.elf import EM_AARCH64, EM_X86_64
from tetrapy.abi.static_probes import (
    MAX_ARGUMENTS,
    Operand,
    StaticProbe,
    parse_operand,
    read_notes,
    split_arguments,
)
from tetrapy.errors import FormatError


def note(
    probe: StaticProbe, base: int = 0x9000, owner: bytes = b"stapsdt\0", kind: int = 3
) -> bytes:
    """A note as sys/sdt.h has the assembler write it."""
    texts = (probe.provider, probe.name, probe.arguments)
    body = struct.pack("<QQQ", probe.address, base, probe.semaphore)
    body += b"".join(text.encode() + b"\0" for text in texts)
    head = struct.pack("<III", len(owner), len(body), kind)
    return head + owner + bytes(-len(owner) % 4) + body + bytes(-len(body) % 4)


ONE = StaticProbe("p", "n", 0x1000, 0x2000, "-4@%eax 8@-16(%rbp)")
TWO = StaticProbe("provider", "a_name", 0x1234, 0, "")


def test_notes() -> None:
    """One for each place, notes of others between them."""
    data = note(ONE) + note(TWO, owner=b"GNU\0") + note(TWO, kind=1) + note(TWO) + note(ONE)
    assert list(read_notes(data, None)) == [ONE, TWO, ONE]
    assert not list(read_notes(b"", None))


def test_moved() -> None:
    """By as much as the section that stands for the program; a semaphore of 0 is none."""
    one, two = read_notes(note(ONE, base=0x9000) + note(TWO, base=0x9000), 0x9800)
    assert (one.address, one.semaphore) == (0x1800, 0x2800)
    assert (two.address, two.semaphore) == (0x1A34, 0)
    assert list(read_notes(note(ONE, base=0), 0x9800)) == [ONE]


@pytest.mark.parametrize(
    "data", [note(ONE)[:-8], note(ONE)[:20], note(ONE).replace(b"p\0n", b"pnn")]
)
def test_damaged_notes(data: bytes) -> None:
    """They are told, wherever they end."""
    with pytest.raises(FormatError):
        list(read_notes(data, None))


@given(st.binary(max_size=200), st.integers(0, 60), st.binary(max_size=8))
def test_any_bytes(data: bytes, at: int, changed: bytes) -> None:
    """Random ones, and real ones with random changes: probes or a FormatError, nothing else."""
    real = bytearray(note(ONE) + note(TWO))
    real[at : at + len(changed)] = changed
    for one in (data, bytes(real)):
        try:
            probes = list(read_notes(one, 7))
        except FormatError:
            continue
        for probe in probes:
            assert 0 <= probe.address < 1 << 64


X86 = {
    "-4@%eax": Operand(4, True, "rax"),
    "1@%dil": Operand(1, False, "rdi"),
    "2@%r10w": Operand(2, False, "r10"),
    "8@%r15": Operand(8, False, "r15"),
    "8@$-9223372036854775808": Operand(8, False, constant=-(1 << 63)),
    "-4@$0x10": Operand(4, True, constant=16),
    "8@(%rsp)": Operand(8, False, "rsp", is_memory=True),
    "-8@-1204(%rbp)": Operand(8, True, "rbp", is_memory=True, offset=-1204),
    "4@+8(%rax,%rcx,4)": Operand(4, False, "rax", True, 8, "rcx", 4),
    "4@(%rax, %r8)": Operand(4, False, "rax", True, 0, "r8", 1),
}
ARM = {
    "-4@x0": Operand(4, True, "x0"),
    "4@w30": Operand(4, False, "x30"),
    "8@sp": Operand(8, False, "sp"),
    "8@-5": Operand(8, False, constant=-5),
    "8@[sp, 12]": Operand(8, False, "sp", is_memory=True, offset=12),
    "8@[x1,#-16]": Operand(8, False, "x1", is_memory=True, offset=-16),
    "1@[x19]": Operand(1, False, "x19", is_memory=True),
    "4@[x2, x3]": Operand(4, False, "x2", True, 0, "x3", 1),
    "4@[x2, x3, lsl 3]": Operand(4, False, "x2", True, 0, "x3", 8),
}


@pytest.mark.parametrize(
    ("machine", "operands"), [(EM_X86_64, X86), (EM_AARCH64, ARM)], ids=["x86_64", "arm64"]
)
def test_operands(machine: int, operands: dict[str, Operand]) -> None:
    """Each form, alone and among the others."""
    assert {text: parse_operand(text, machine) for text in operands} == operands
    assert split_arguments("  ".join(operands)) == list(operands)


@pytest.mark.parametrize("text", ["8f@%xmm0", "4@foo(%rip)", "4@8(%rip)", "4@%ah", "3@%eax", "4@",
                                  "4@(%eax)", "4@(%rax,%rcx,3)", "%eax", "4@$",
                                  "4@8(%rax"])  # fmt: skip
def test_other_operands_of_x86_64(text: str) -> None:
    """They are refused, never guessed."""
    with pytest.raises(FormatError, match="argument"):
        parse_operand(text, EM_X86_64)


@pytest.mark.parametrize("text", ["4@d0", "4@[w0]", "4@[x0, w1, uxtw 2]", "4@[x0, x1, lsl 9]",
                                  "4@x31", "8@[x0", "8@symbol"])  # fmt: skip
def test_other_operands_of_arm64(text: str) -> None:
    """The same there; a vector register holds no number that is read."""
    with pytest.raises(FormatError, match="argument"):
        parse_operand(text, EM_AARCH64)


def test_too_many_arguments() -> None:
    """As many as a probe can have, and no other texts."""
    assert len(split_arguments("8@%rax " * MAX_ARGUMENTS)) == MAX_ARGUMENTS
    for text in ("8@%rax " * (MAX_ARGUMENTS + 1), "%eax", "x 8@%rax"):
        with pytest.raises(FormatError):
            split_arguments(text)


@given(st.text("0123456789-+f@%$()[],# raxcdibpsl", max_size=40))
def test_any_text(text: str) -> None:
    """An operand or a FormatError, and soon."""
    for machine in (EM_X86_64, EM_AARCH64):
        try:
            for one in split_arguments(text):
                parse_operand(one, machine)
        except FormatError:
            continue
