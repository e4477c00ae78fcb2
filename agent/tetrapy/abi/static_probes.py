# SPDX-License-Identifier: Apache-2.0
"""The static probes (USDT) of a program: notes that say where each is, and where its arguments are.

The format is SystemTap's (sys/sdt.h, "UserSpaceProbeImplementation"): a note of type 3 called
`stapsdt` in section .note.stapsdt for each place of a probe; its arguments are operands in the
words of the machine's assembler, each with its size in front: `-4@%eax 8@-16(%rbp) 4@$3`.
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Iterator, List, Mapping, Optional

from tetrapy.abi.elf import EM_AARCH64, EM_X86_64
from tetrapy.errors import FormatError
from tetrapy.named import NamedTuple

SECTION, BASE_SECTION = ".note.stapsdt", ".stapsdt.base"
MAX_SECTION = 16 << 20
"""Bytes of notes that are read."""
MAX_PROBES = 1 << 16
MAX_ARGUMENTS = 12
"""Of a probe, as sys/sdt.h has it."""

_TYPE, _OWNER = 3, b"stapsdt\0"
_NOTE = Struct("<III")  # bytes of the name and of what follows it, type
_PLACES = Struct("<QQQ")  # addresses: of the probe, of .stapsdt.base, of the semaphore
_MAX_NAME = 4096


class StaticProbe(NamedTuple):
    """One place of a probe; addresses are those that the linker gave them."""

    provider: str
    name: str
    address: int
    semaphore: int  # address of a counter that is above 0 while somebody looks; 0: none
    arguments: str  # operands


class Operand(NamedTuple):
    """Where an argument is: in a register, in memory, or it is a constant."""

    size: int  # bytes: 1, 2, 4 or 8
    is_signed: bool
    register: str = ""  # of the machine's widest name for it (rax, x0); "" for a constant
    is_memory: bool = False  # the register has an address
    offset: int = 0  # added to it
    added: str = ""  # a register that is added too,
    scale: int = 1  # times this
    constant: int = 0


def read_notes(data: bytes, base: Optional[int]) -> Iterator[StaticProbe]:
    """The probes of a section; `base` is where .stapsdt.base is, if there is one.

    Who moved the program after it was linked (prelink) moved that section, but changed no notes.
    Raises FormatError for what is damaged.
    """
    at = count = 0
    while at + _NOTE.size <= len(data):
        name_size, size, kind = _NOTE.unpack_from(data, at)
        name_at = at + _NOTE.size
        begin = name_at + (name_size + 3 & ~3)
        end = begin + size
        if end > len(data):
            raise FormatError(f"{SECTION}: the note at byte {at} ends beyond the section")
        if kind == _TYPE and data[name_at : name_at + name_size] == _OWNER:
            count += 1
            if count > MAX_PROBES:
                raise FormatError(f"{SECTION}: more than {MAX_PROBES} probes")
            yield _probe(data[begin:end], base, at)
        at = end + 3 & ~3


def _probe(data: bytes, base: Optional[int], at: int) -> StaticProbe:
    if len(data) < _PLACES.size:
        raise FormatError(f"{SECTION}: the note at byte {at} is too short")
    address, own_base, semaphore = _PLACES.unpack_from(data)
    parts = data[_PLACES.size :].split(b"\0")
    if len(parts) < 4 or max(map(len, parts[:2])) > _MAX_NAME:
        raise FormatError(f"{SECTION}: the note at byte {at} has no three texts")
    moved = base - own_base if base is not None and own_base else 0
    provider, name, arguments = (part.decode("utf-8", "backslashreplace") for part in parts[:3])
    return StaticProbe(
        provider,
        name,
        (address + moved) % (1 << 64),
        (semaphore + moved) % (1 << 64) if semaphore else 0,
        arguments,
    )


_BEGIN = re.compile(r"(?:(?<=\s)|\A)-?[0-9]+f?@")


def split_arguments(text: str) -> List[str]:
    """The operands of a probe: `-4@[sp, 12] 8@x0` are two. Raises FormatError."""
    begins = [match.start() for match in _BEGIN.finditer(text)]
    if len(begins) > MAX_ARGUMENTS:
        raise FormatError(f"{len(begins)} arguments; at most {MAX_ARGUMENTS} are supported")
    if text[: begins[0] if begins else None].strip():
        raise FormatError(f"the arguments {text!r} are not written as SIZE@OPERAND")
    return [text[a:b].strip() for a, b in zip(begins, [*begins[1:], len(text)])]


_OPERAND = re.compile(r"(-?)([1248])@(.+)", re.DOTALL)
_NUMBER = r"[+-]?(?:0[xX][0-9a-fA-F]{1,16}|[0-9]{1,20})"
_X86_CONSTANT = re.compile(rf"\$({_NUMBER})")
_X86_REGISTER = re.compile(r"%([a-z0-9]+)")
_X86_MEMORY = re.compile(
    rf"({_NUMBER})?\(%([a-z0-9]+)(?:\s*,\s*%([a-z0-9]+)(?:\s*,\s*([1248]))?)?\s*\)"
)
_ARM_CONSTANT = re.compile(rf"#?({_NUMBER})")
_ARM_REGISTER = re.compile(r"([a-z0-9]+)")
_ARM_MEMORY = re.compile(
    rf"\[\s*([a-z0-9]+)\s*(?:,\s*(?:#?({_NUMBER})|([a-z0-9]+)(?:\s*,\s*lsl\s+#?([0-3]))?)\s*)?\]"
)


def parse_operand(text: str, machine: int) -> Operand:
    """An operand as a machine of ELF writes it. Raises FormatError."""
    found = _OPERAND.fullmatch(text)
    if found is None:
        raise FormatError(f"argument {text!r} is no number of 1, 2, 4 or 8 bytes")
    size, is_signed, where = int(found[2]), bool(found[1]), found[3].strip()
    parse = {EM_X86_64: _x86, EM_AARCH64: _arm}.get(machine)
    operand = parse(where, Operand(size, is_signed)) if parse else None
    if operand is None:
        raise FormatError(
            f"argument {text!r} is neither in a register nor in memory that registers point to,"
            " and no constant"
        )
    return operand


def _x86(where: str, operand: Operand) -> Optional[Operand]:
    found = _X86_CONSTANT.fullmatch(where)
    if found:
        return operand._replace(constant=_number(found[1]))
    found = _X86_REGISTER.fullmatch(where)
    if found:
        name = _X86_NAMES.get(found[1])
        return operand._replace(register=name) if name else None
    found = _X86_MEMORY.fullmatch(where)
    if found is None:
        return None
    # 32-bit registers are in no address that a program of 64 bits has.
    base, added = (_whole(_X86_NAMES, name) for name in found.group(2, 3))
    if not base or (found[3] and not added):
        return None
    return operand._replace(
        register=base,
        is_memory=True,
        offset=_number(found[1] or "0"),
        added=added,
        scale=int(found[4] or 1),
    )


def _arm(where: str, operand: Operand) -> Optional[Operand]:
    found = _ARM_CONSTANT.fullmatch(where)
    if found:
        return operand._replace(constant=_number(found[1]))
    found = _ARM_REGISTER.fullmatch(where)
    if found:
        name = _ARM_NAMES.get(found[1])
        return operand._replace(register=name) if name else None
    found = _ARM_MEMORY.fullmatch(where)
    if found is None:
        return None
    base, added = (_whole(_ARM_NAMES, name) for name in found.group(1, 3))
    if not base or (found[3] and not added):
        return None
    return operand._replace(
        register=base,
        is_memory=True,
        offset=_number(found[2] or "0"),
        added=added,
        scale=1 << int(found[4] or 0),
    )


def _whole(known: Mapping[str, str], name: Optional[str]) -> str:
    """The register if that is a whole one, else nothing."""
    return name if name and known.get(name) == name else ""


def _number(text: str) -> int:
    sign, digits = (-1, text[1:]) if text[0] == "-" else (1, text.lstrip("+"))
    return sign * (int(digits, 16) if digits[:2] in ("0x", "0X") else int(digits))


def _x86_names() -> Iterator[tuple[str, str]]:
    for name in "abcd":
        for text in (f"r{name}x", f"e{name}x", f"{name}x", f"{name}l"):
            yield text, f"r{name}x"
    for name in ("si", "di", "bp", "sp"):
        for text in (f"r{name}", f"e{name}", name, f"{name}l"):
            yield text, f"r{name}"
    for number in range(8, 16):
        for ending in ("", "d", "w", "b"):
            yield f"r{number}{ending}", f"r{number}"


_X86_NAMES = dict(_x86_names())
_ARM_NAMES = {
    **{f"{letter}{number}": f"x{number}" for number in range(31) for letter in "xw"},
    "sp": "sp",
}
