# SPDX-License-Identifier: Apache-2.0
"""What `core_resolve` says about each relocation of an object, in the form of libbpf's result.

It is libbpf's arithmetic of relo_core.c (bpf_core_calc_relo_insn and below) once more, but for the
search, which is the resolver's under test: so the two can be compared value by value.
"""

from __future__ import annotations

from typing import NamedTuple

from tetrapy.abi import core_compat, core_relocs, core_resolve
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type
from tetrapy.abi.core_relocs import CoreRelocation
from tetrapy.abi.elf import STT_FUNC, Elf

POISONED = bytes([0x85, 0, 0, 0]) + (0xBAD2310).to_bytes(4, "little")


class Answer(NamedTuple):
    """A value of 64 bits; `size` is set for loads and stores: bytes of the access, 0 if refused."""

    value: int
    size: int | None = None


def read(data: bytes, outcomes: dict[str, bytes | str]) -> list[Answer | str | None]:
    """libbpf's answers, in the order of the relocations: None if it found nothing, or its refusal.

    Relocations must not be in functions that others call.
    """
    _btf, relocations = core_relocs.of_object(data)
    elf = Elf(data)
    names = {section.number: section.name for section in elf.sections}
    places = {
        (names.get(symbol.section), symbol.value // 8 + at): (symbol.name, at)
        for symbol in elf.symbols()
        if symbol.type == STT_FUNC
        for at in range(symbol.size // 8)
    }
    found: list[Answer | str | None] = []
    for relocation in relocations:
        program, at = places[relocation.section, relocation.instruction]
        outcome = outcomes[program]
        if isinstance(outcome, str):
            found.append(outcome)
        else:
            found.append(_decode(outcome[8 * at : 8 * at + 16], relocation.is_access))
    return found


def _decode(code: bytes, is_access: bool) -> Answer | None:
    if code[:8] == POISONED:
        return Answer(0, 0) if is_access else None
    if is_access:
        # BPF_SIZE: bits 3 and 4 of the opcode.
        size = {0: 4, 1: 2, 2: 1, 3: 8}[code[0] >> 3 & 3]
        return Answer(int.from_bytes(code[2:4], "little"), size)
    low = int.from_bytes(code[4:8], "little")
    return Answer(low | int.from_bytes(code[12:16], "little") << 32 if code[0] == 0x18 else low)


class Resolver:
    """Answers of our own, one relocation after the other."""

    def __init__(self, local: Btf, target: Btf) -> None:
        self._local = local
        self._target = target
        # As libbpf does: what matched once is what the next relocations of the type can match.
        self._candidates: dict[int, list[Type]] = {}

    def answer(self, relocation: CoreRelocation) -> Answer | str | None:
        """The answer, or a few words of the refusal that libbpf should make."""
        known = self._candidates.get(relocation.type_id)
        if known is None:
            known = core_compat.candidates(self._local, relocation.type_id, self._target)
        matches = []
        for root in known:
            matched = self._match(relocation, root)
            if isinstance(matched, str):
                return matched
            if matched is not None:
                matches.append((root, *matched))
        if len({place for _root, place, _value, _answer in matches}) > 1:
            return "field offset ambiguity"
        # By how many bytes an access is wide, libbpf does not compare: that of the first counts.
        if len({value for _root, _place, value, _answer in matches}) > 1:
            return "relocation decision ambiguity"
        self._candidates[relocation.type_id] = [root for root, *_ in matches] or known
        return matches[0][3] if matches else self._nothing(relocation)

    def _nothing(self, relocation: CoreRelocation) -> Answer | None:
        kind = core_relocs.KINDS[relocation.kind]
        if kind.endswith("_exists") or kind == "type_size":
            return Answer(0)
        return Answer(0, 0) if relocation.is_access else None

    def _match(
        self, relocation: CoreRelocation, root: Type
    ) -> tuple[int, int, Answer] | str | None:
        """Bit offset, value and answer, None without a match, or a refusal."""
        local, target = self._local, self._target
        if relocation.kind in core_relocs.FIELD_KINDS:
            found = core_resolve.field(local, relocation, target, root)
            return None if found is None else self._field(relocation, found)
        kind = core_relocs.KINDS[relocation.kind]
        if kind.startswith("type_"):
            if not core_compat.types_match(local, relocation.type_id, target, root.id):
                return None
            value: int | None = 1 if kind == "type_exists" else target.size_of(root.id)
        else:
            value = core_resolve.enumerator_value(local, relocation, target, root)
            value = 1 if value is not None and kind == "enumval_exists" else value
        return None if value is None else (0, value, Answer(value))

    def _field(
        self, relocation: CoreRelocation, found: core_resolve.Field
    ) -> tuple[int, int, Answer] | str:
        kind = core_relocs.KINDS[relocation.kind]
        if kind == "field_exists":
            return found.bit_offset, 1, Answer(1)
        start, size = found.byte_offset, found.size
        bits = found.bits or 8 * size
        if found.bits:
            start, size = found.storage()
            if not found.is_readable:
                return "can't be satisfied for bitfield"
        if relocation.is_access:
            return found.bit_offset, start, self._access(relocation, found)
        value = {
            "field_byte_offset": start,
            "field_byte_size": size,
            "field_signed": int(found.signed),
            "field_lshift_u64": 64 - (found.bit_offset + bits - 8 * start),
            "field_rshift_u64": 64 - bits,
        }[kind] & 0xFFFFFFFF
        return found.bit_offset, value, Answer(value)

    def _access(self, relocation: CoreRelocation, found: core_resolve.Field) -> Answer:
        """A load or store, whose width libbpf changes for pointers and unsigned integers."""
        mine = core_relocs.field_access(self._local, relocation).field
        while mine.kind == k.KIND_ARRAY:
            mine = self._local.resolve(self._local.array(mine).element_id)
        size = self._local.size_of(mine.id)
        if found.bits:
            return Answer(0, 0)
        if found.size == size:
            return Answer(found.byte_offset, size)
        unsigned = mine.kind == k.KIND_PTR or (
            mine.kind == k.KIND_INT
            and self._local.integer(mine).encoding != k.INT_SIGNED
            and not found.signed
        )
        return Answer(found.byte_offset, found.size) if unsigned else Answer(0, 0)
