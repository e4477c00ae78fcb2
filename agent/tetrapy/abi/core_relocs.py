# SPDX-License-Identifier: Apache-2.0
"""The CO-RE relocations of BPF objects: which kernel types and fields a program asks for.

They are in the `.BTF.ext` section; the format is described in the kernel tree, in
Documentation/bpf/btf.rst and llvm_reloc.rst, and at struct bpf_core_relo of the header
include/uapi/linux/bpf.h.

A relocation names its type by an id and its fields by indices into the object's own types.  Both
change whenever the source does, so what a relocation is about is expressed here by a text of names:
`struct task_struct.real_parent.tgid int`.
"""

from __future__ import annotations

from struct import Struct
from typing import Iterable, List, Optional, Sequence, Tuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type
from tetrapy.abi.elf import Elf
from tetrapy.errors import BtfError
from tetrapy.named import NamedTuple

KINDS = (
    "field_byte_offset", "field_byte_size", "field_exists", "field_signed", "field_lshift_u64",
    "field_rshift_u64", "type_id_local", "type_id_target", "type_exists", "type_size",
    "enumval_exists", "enumval_value", "type_matches",
)  # fmt: skip
FIELD_KINDS = range(6)
TYPE_ID_LOCAL = 6
ENUM_KINDS = (10, 11)

_HEADER = Struct("<HBBIIIIIII")
_BLOCK = Struct("<II")
_RECORD = Struct("<IIII")
# As libbpf's BPF_CORE_SPEC_MAX_LEN.
_MAX_ACCESS = 64


class CoreRelocation(NamedTuple):
    """One relocation; `kind` indexes KINDS, `instruction` counts from the section's start.

    `is_access` says that the instruction loads or stores: libbpf adjusts its size to the field's.
    """

    section: str
    instruction: int
    type_id: int
    access: Tuple[int, ...]
    kind: int
    is_access: bool = False


class Step(NamedTuple):
    """One step of a field access: to a member ("" if it has no name), or to an array's element."""

    name: Optional[str]
    number: int


_ITERATORS = ("iter/", "?iter/")  # beginnings of the names of their sections


class FieldAccess(NamedTuple):
    """A field access by names: the outermost type, the steps from it, and the field's type."""

    root: Type  # as it is declared, which may be a typedef
    steps: Tuple[Step, ...]
    field: Type


def read(btf: Btf, ext: bytes) -> List[CoreRelocation]:
    """All relocations of an object, of the bytes of `.BTF` (parsed) and `.BTF.ext`."""
    if len(ext) < 8:
        raise BtfError(f"{len(ext)} bytes are too few for a .BTF.ext header")
    # Zero bytes stand in for the fields that older, shorter headers lack.
    fields = _HEADER.unpack(ext[: _HEADER.size].ljust(_HEADER.size, b"\0"))
    header_size = fields[3]
    if fields[0] != 0xEB9F or fields[1] != 1:
        raise BtfError(f".BTF.ext starts with {fields[0]:#06x}, version {fields[1]}")
    if header_size < _HEADER.size:
        return []
    start, size = header_size + fields[8], fields[9]
    if not size:
        return []
    data = ext[start : start + size]
    if len(data) != size or size < 4:
        raise BtfError(f".BTF.ext: relocations end at byte {start + size}, data at {len(ext)}")
    record_size = int.from_bytes(data[:4], "little")
    if record_size < _RECORD.size:
        raise BtfError(f".BTF.ext: relocation records of {record_size} bytes")
    return list(_records(btf, data, record_size))


def of_object(data: bytes) -> Tuple[Btf, List[CoreRelocation]]:
    """The types and the relocations of an ELF object; none if it has no `.BTF.ext`.

    Without those of iterators: where these can be had, the kernel has BTF of its own, which is what
    they refer to.
    """
    elf = Elf(data)
    section, ext = elf.section(".BTF"), elf.section(".BTF.ext")
    if section is None:
        raise BtfError("the object has no .BTF section")
    btf = Btf(elf.data(section))
    relocations = [
        found
        for found in (read(btf, elf.data(ext)) if ext else [])
        if not found.section.startswith(_ITERATORS)
    ]
    code = {name: _code(elf, name) for name in {found.section for found in relocations}}
    return btf, [
        found._replace(is_access=_is_access(code[found.section], found)) for found in relocations
    ]


def field_access(btf: Btf, relocation: CoreRelocation) -> FieldAccess:
    """The names behind a field relocation's indices."""
    root, current = btf.type(relocation.type_id), btf.resolve(relocation.type_id)
    indices = relocation.access
    steps = [Step(None, indices[0])]
    for index in indices[1:]:
        if current.kind in (k.KIND_STRUCT, k.KIND_UNION):
            members = btf.members(current)
            if index >= len(members):
                raise BtfError(f"{current} has {len(members)} members, no {index}")
            steps.append(Step(members[index].name, index))
            current = btf.resolve(members[index].type_id)
        elif current.kind == k.KIND_ARRAY:
            steps.append(Step(None, index))
            current = btf.resolve(btf.array(current).element_id)
        else:
            raise BtfError(f"{root}: access {indices} goes into {current}")
    return FieldAccess(root, tuple(steps), current)


def access_name(btf: Btf, relocation: CoreRelocation) -> str:
    """What a relocation is about: a field with the kind of its type, a type, or an enumerator."""
    if relocation.kind in FIELD_KINDS:
        access = field_access(btf, relocation)
        return f"{access_text(access.root, access.steps)} {_type_text(access.field)}"
    if relocation.kind in ENUM_KINDS:
        enum = btf.resolve(relocation.type_id)
        values, index = btf.enumerators(enum), relocation.access[0]
        if index >= len(values):
            raise BtfError(f"{enum} has {len(values)} values, no {index}")
        return f"enum {enum.name}::{values[index][0]}"
    return str(btf.type(relocation.type_id))


def access_text(root: Type, steps: Sequence[Step]) -> str:
    """`struct pid.numbers[1].nr`; the first step counts elements of the root type itself."""
    first = steps[0].number
    return f"{root}{f'[{first}]' if first else ''}" + "".join(map(_step_text, steps[1:]))


def _records(btf: Btf, data: bytes, record_size: int) -> Iterable[CoreRelocation]:
    at = 4
    while at < len(data):
        if at + _BLOCK.size > len(data):
            raise BtfError(".BTF.ext: a relocation block is cut short")
        name, count = _BLOCK.unpack_from(data, at)
        at += _BLOCK.size
        if at + count * record_size > len(data):
            raise BtfError(f".BTF.ext: {count} relocations do not fit into the section")
        section = btf.string(name)
        for _ in range(count):
            offset, type_id, access, kind = _RECORD.unpack_from(data, at)
            if kind >= len(KINDS):
                raise BtfError(f".BTF.ext: relocation kind {kind} is not known")
            yield CoreRelocation(section, offset // 8, type_id, _indices(btf, access), kind)
            at += record_size


def _indices(btf: Btf, offset: int) -> Tuple[int, ...]:
    text = btf.string(offset)
    parts = text.split(":")
    if len(parts) > _MAX_ACCESS or not all(part.isdigit() and len(part) < 11 for part in parts):
        raise BtfError(f".BTF.ext: access {text!r} is not understood")
    return tuple(map(int, parts))


def _step_text(step: Step) -> str:
    if step.name is None:
        return f"[{step.number}]"
    # An anonymous member is looked through, as libbpf does when it matches names.
    return f".{step.name}" if step.name else ""


def _type_text(found: Type) -> str:
    """What decides whether a kernel's field fits: the kind, and for enums the name."""
    named = found.kind in (k.KIND_ENUM, k.KIND_ENUM64, k.KIND_FWD)
    return str(found) if named else k.KIND_NAMES[found.kind]


def _code(elf: Elf, section: str) -> bytes:
    found = elf.section(section)
    return elf.data(found) if found else b""


def _is_access(code: bytes, relocation: CoreRelocation) -> bool:
    """Whether the class of the instruction is BPF_LDX, BPF_ST or BPF_STX (linux/bpf_common.h)."""
    opcode = code[relocation.instruction * 8 : relocation.instruction * 8 + 1]
    return bool(opcode) and opcode[0] & 7 in (1, 2, 3)
