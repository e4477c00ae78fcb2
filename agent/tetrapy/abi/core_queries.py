# SPDX-License-Identifier: Apache-2.0
"""What the relocations of BPF objects ask of a kernel, and a kernel's answers.

Each question has a text that does not depend on numbering, such as `offset struct task_struct.pid
int`.  Kernels with the same answers are the same to the objects, whatever else differs, and the
answers are enough to make BTF from which libbpf relocates the objects as from the kernel's own
(`core_minimal`).  The questions, and when they are asked:

    offset ACCESS    bits from the start of the type                 of every field
    bits ACCESS      width of a bitfield, 0 for other fields         if the field's size matters
    size ACCESS      bytes of the field's type                       likewise
    signed ACCESS    1 or 0                                          likewise
    stride ACCESS    bytes of an array's element                     for indices other than 0
    type_exists T    1
    type_size T      bytes
    enumval E::V     value, 64 bits wide

The answer to each is None where the kernel has no such thing.  A field's size matters when it is
asked for, and where an instruction loads or stores it: libbpf adjusts the instruction.
"""

from __future__ import annotations

from typing import Dict, Iterable, List, Optional, Set, Tuple

from tetrapy.abi import core_relocs as relocs
from tetrapy.abi import core_resolve
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type
from tetrapy.abi.core_compat import candidates, types_match
from tetrapy.abi.core_relocs import CoreRelocation
from tetrapy.abi.core_resolve import Field
from tetrapy.errors import LayoutError
from tetrapy.named import NamedTuple

# A kernel's answers, in the order of the texts of what is asked.
Answers = Tuple[Optional[int], ...]

_SIZE_KINDS = frozenset(
    relocs.KINDS.index(name)
    for name in (
        "field_byte_size",
        "field_signed",
        "field_lshift_u64",
        "field_rshift_u64",
        "type_size",
    )
)
_DETAILS = ("bits", "size", "signed")
# What a BPF instruction can load or store: how far from its register, and how many bytes.
_MAX_OFFSET = 0x7FFF
_MAX_ACCESS = 8


class Question(NamedTuple):
    """One access: the relocations that ask about it have these types and fields in common."""

    access: str
    local: Btf
    relocation: CoreRelocation
    sized: bool  # whether the size of the field or type matters
    accessed: bool = False  # whether an instruction loads or stores the field


class CoreQueries:
    """The questions of a set of objects, sorted, and how a kernel's BTF answers them."""

    def __init__(self, objects: Iterable[bytes]) -> None:
        """Read ELF objects.

        Raises ElfError or BtfError for damaged ones; LayoutError for a relocation whose answer
        holds for one kernel's own BTF only, so that no other BTF can give it.
        """
        self.fields: Dict[str, Question] = {}
        self.types: Dict[str, Question] = {}
        self.enums: Dict[str, Question] = {}
        names: Set[str] = set()
        for data in objects:
            local, relocations = relocs.of_object(data)
            for relocation in relocations:
                if relocation.kind != relocs.TYPE_ID_LOCAL:
                    names.update(self._ask(local, relocation))
        self.names: Tuple[str, ...] = tuple(sorted(names))
        by_root: Dict[str, List[Question]] = {}
        for question in self.questions():
            root = question.local.type(question.relocation.type_id)
            by_root.setdefault(str(root), []).append(question)
        self._by_root = list(by_root.values())

    def questions(self) -> List[Question]:
        """All questions, by access."""
        found = (*self.fields.values(), *self.types.values(), *self.enums.values())
        return sorted(found, key=lambda question: question.access)

    def _ask(self, local: Btf, relocation: CoreRelocation) -> List[str]:
        access = relocs.access_name(local, relocation)
        kind = relocs.KINDS[relocation.kind]
        if not local.type(relocation.type_id).name:
            raise LayoutError(f"{kind} of {access}: libbpf does not look for types without a name")
        sized = relocation.is_access or relocation.kind in _SIZE_KINDS
        if relocation.kind in relocs.FIELD_KINDS:
            question = Question(access, local, relocation, sized, relocation.is_access)
            self._add(self.fields, question)
            details = _DETAILS if sized else ()
            strides = [f"stride {text}" for _, text in stride_texts(local, relocation)]
            return [f"{what} {access}" for what in ("offset", *details)] + strides
        if relocation.kind in relocs.ENUM_KINDS:
            self._add(self.enums, Question(access, local, relocation, sized=False))
            return [f"enumval {access}"]
        if kind not in ("type_exists", "type_size"):
            raise LayoutError(
                f"{kind} of {access}: only the kernel's own BTF can answer it; a program that has"
                " to run where there is none must do without"
            )
        self._add(self.types, Question(access, local, relocation, sized))
        return [f"{kind} {access}"]

    @staticmethod
    def _add(questions: Dict[str, Question], new: Question) -> None:
        known = questions.get(new.access, new)
        questions[new.access] = new._replace(
            sized=new.sized or known.sized, accessed=new.accessed or known.accessed
        )

    def answers(self, target: Btf) -> Answers:
        """A kernel's answers, of its full BTF or of one made by `core_minimal`.

        Raises BtfError when it is damaged, LayoutError when libbpf would refuse a relocation: for
        types of one name that differ, say.
        """
        answers: Dict[str, int] = {}
        for questions in self._by_root:
            first = questions[0]
            roots = candidates(first.local, first.relocation.type_id, target)
            answers.update(_agreed(questions, [_answers(questions, target, r) for r in roots]))
        return tuple(map(answers.get, self.names))


def stride_texts(local: Btf, relocation: CoreRelocation) -> List[Tuple[int, str]]:
    """Number among the index steps, and text, of each array of which not the first element counts.

    `struct pid.numbers` for `struct pid.numbers[1].nr`.
    """
    field_access = relocs.field_access(local, relocation)
    found, number = [], -1
    for at, step in enumerate(field_access.steps):
        number += step.name is None
        if step.name is None and step.number:
            whole = field_access.steps[: at or 1]
            text = relocs.access_text(field_access.root, whole) if at else str(field_access.root)
            found.append((number, text))
    return found


def _answers(questions: List[Question], target: Btf, root: Type) -> List[Dict[str, int]]:
    """The answers of one of the kernel's types to each question; none where it does not match."""
    return [_answer(question, target, root) for question in questions]


def _answer(question: Question, target: Btf, root: Type) -> Dict[str, int]:
    local, relocation, access = question.local, question.relocation, question.access
    if relocation.kind in relocs.FIELD_KINDS:
        field = core_resolve.field(local, relocation, target, root)
        return {} if field is None else _field_answer(question, field)
    if relocation.kind in relocs.ENUM_KINDS:
        value = core_resolve.enumerator_value(local, relocation, target, root)
        return {} if value is None else {f"enumval {access}": value}
    if not types_match(local, relocation.type_id, target, root.id):
        return {}
    answers = {f"type_exists {access}": 1}
    if question.sized:
        answers[f"type_size {access}"] = target.size_of(root.id)
    return answers


def _field_answer(question: Question, field: Field) -> Dict[str, int]:
    access = question.access
    # A bitfield of which only the place is asked is read as the integer that it is a part of.
    offset = field.bit_offset if question.sized else field.byte_offset * 8
    if not field.is_readable:
        raise LayoutError(f"{access} is a bitfield that lies in two words: libbpf cannot read it")
    if question.accessed and (field.byte_offset > _MAX_OFFSET or _is_too_wide(question, field)):
        raise LayoutError(
            f"{access} has {field.size} bytes at byte {field.byte_offset}: libbpf has no"
            " instruction for that"
        )
    # Types of one name have to agree on the bit, whatever is asked. It is no answer by itself.
    answers = {f"offset {access}": offset, f"bit {access}": field.bit_offset}
    if question.sized:
        values = (field.bits, field.size, int(field.signed))
        answers.update({f"{what} {access}": v for what, v in zip(_DETAILS, values)})
    for number, text in stride_texts(question.local, question.relocation):
        answers[f"stride {text}"] = field.strides[number]
    return answers


def _is_too_wide(question: Question, field: Field) -> bool:
    """Whether libbpf would widen a load to more bytes than there are instructions for.

    It does so for unsigned integers; any other field of another size it has the verifier refuse.
    """
    if field.size <= _MAX_ACCESS or field.signed:
        return False
    local = question.local
    mine = relocs.field_access(local, question.relocation).field
    return (
        mine.kind == k.KIND_INT
        and mine.ref != field.size
        and local.integer(mine).encoding != k.INT_SIGNED
    )


def _agreed(questions: List[Question], found: List[List[Dict[str, int]]]) -> Dict[str, int]:
    """What the kernel's types of one name say together. Raises LayoutError when they differ.

    libbpf forgets a type that does not match while another does, so what it finds depends on what
    it looked for before, unless one of the types answers all that any of them answers.
    """
    best = max(found, key=lambda answers: sum(map(bool, answers)), default=[])
    for answers in found:
        for question, ours, theirs in zip(questions, best, answers):
            if theirs and theirs != ours:
                raise LayoutError(
                    "the BTF has several types of one name that differ, which libbpf refuses or"
                    f" takes by chance: {question.access} is {_text(ours)} and {_text(theirs)}"
                )
    return {text: value for answers in best for text, value in answers.items()}


def _text(answers: Dict[str, int]) -> str:
    return (
        ", ".join(f"{text.partition(' ')[0]} {value}" for text, value in answers.items()) or "none"
    )
