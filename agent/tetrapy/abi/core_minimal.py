# SPDX-License-Identifier: Apache-2.0
"""Makes BTF out of answers: the least that relocates BPF objects as the kernel's own BTF does.

Its types are those that the objects declare, with the kernel's offsets and sizes in place of
theirs.  Nothing else of the kernel is in it, so kernels with equal answers have equal bytes.
"""

from __future__ import annotations

import struct
from typing import Dict, List, Optional, Sequence, Tuple

from tetrapy.abi import core_members
from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type
from tetrapy.abi.btf_writer import BtfWriter, MemberSpec
from tetrapy.abi.core_compat import COMPOSITE, ENUMS, essential_name
from tetrapy.abi.core_members import MemberPath
from tetrapy.abi.core_queries import Answers, CoreQueries, Question
from tetrapy.errors import LayoutError

# A root type: its kind and its name without flavour.
_Root = Tuple[int, str]

# Prototypes of functions may nest; libbpf's limit for types inside each other.
_MAX_DEPTH = 32


def minimal_btf(queries: CoreQueries, answers: Answers) -> bytes:
    """The canonical BTF of these answers.

    It answers exactly so: LayoutError is raised for answers that no BTF can have.
    """
    if len(answers) != len(queries.names):
        raise LayoutError(f"{len(answers)} answers to {len(queries.names)} queries")
    try:
        made = _Maker(queries, answers).make()
        returned = queries.answers(Btf(made))
    except (struct.error, OverflowError) as err:
        raise LayoutError(f"the answers do not fit into BTF: {err}") from err
    if returned != answers:
        different = zip(queries.names, answers, returned)
        name, wanted, found = next(row for row in different if row[1] != row[2])
        raise LayoutError(
            f"the answers contradict each other: BTF made of them has {found} for {name}, not"
            f" {wanted}"
        )
    return made


class _Maker:
    def __init__(self, queries: CoreQueries, answers: Answers) -> None:
        self._queries = queries
        self._known: Dict[str, int] = {
            name: value for name, value in zip(queries.names, answers) if value is not None
        }
        self._writer = BtfWriter()

    def make(self) -> bytes:
        roots: Dict[_Root, List[Question]] = {}
        for question in self._queries.questions():
            roots.setdefault(_root(question), []).append(question)
        for root in sorted(roots):
            if any(map(self._is_answered, roots[root])):
                self._root_type(root, roots[root])
        return self._writer.build()

    def _is_answered(self, question: Question) -> bool:
        kinds = ("offset", "type_exists", "type_size", "enumval")
        return any(f"{kind} {question.access}" in self._known for kind in kinds)

    def _root_type(self, root: _Root, questions: Sequence[Question]) -> None:
        """A named type with what is asked of it, whichever flavours ask."""
        kind, name = root
        answered = [question for question in questions if self._is_answered(question)]
        fields = [question for question in answered if question.access in self._queries.fields]
        paths = [core_members.member_path(question, self._known) for question in fields]
        values = self._values(answered)
        # Everybody who asks for the size of this type got the same answer.
        declared = {str(q.local.type(q.relocation.type_id)) for q in questions}
        sizes = (
            self._known.get(f"{what} {t}") for what in ("type_size", "stride") for t in declared
        )
        size = next((size for size in sizes if size is not None), None)
        own_name = "" if kind == k.KIND_TYPEDEF else name
        model = next((q for q in answered if q.access in self._queries.types), answered[0])
        local, type_id = model.local, model.relocation.type_id
        behind = local.resolve(type_id)
        if paths and paths[0].steps[0].name is None:
            made = self._array(paths, size)
        elif paths:
            made = self._composite(self._kind(behind.kind, questions), own_name, paths, size)
        elif values or behind.kind in ENUMS:
            made = self._writer.enum(own_name, size or 0, signed=False, values=values)
        elif behind.kind in (*COMPOSITE, k.KIND_INT, k.KIND_FWD):
            made = self._plain(behind, own_name, size)
        else:
            made = self._copy(local, type_id, size)
        if kind == k.KIND_TYPEDEF:
            self._writer.add(k.KIND_TYPEDEF, name, made)

    def _kind(self, declared: int, questions: Sequence[Question]) -> int:
        """Struct or union: a program that asks for the type tells, found or not."""
        for question in questions:
            behind = question.local.resolve(question.relocation.type_id)
            if question.access in self._queries.types and behind.kind in COMPOSITE:
                if self._is_answered(question):
                    return behind.kind
                declared = k.KIND_STRUCT + k.KIND_UNION - behind.kind
        return declared

    def _values(self, questions: Sequence[Question]) -> List[Tuple[str, int]]:
        """The enumerators of an enum that are asked for."""
        values: Dict[str, int] = {}
        for question in questions:
            value = self._known.get(f"enumval {question.access}")
            if value is not None:
                enum = question.local.resolve(question.relocation.type_id)
                name = question.local.enumerators(enum)[question.relocation.access[0]][0]
                values[essential_name(name)] = value
        return sorted(values.items())

    def _composite(
        self, kind: int, name: str, paths: Sequence[MemberPath], size: Optional[int]
    ) -> int:
        """A struct or union with the fields that the paths lead to."""
        groups = core_members.by_member(paths)
        members = [self._member(name, groups[name]) for name in sorted(groups)]
        end = max((offset // 8 + 8 for _, _, offset, _ in members), default=0)
        return self._writer.composite(kind, name, end if size is None else size, members)

    def _member(self, name: str, paths: Sequence[MemberPath]) -> MemberSpec:
        """A member of a struct: name, type, bit offset, width."""
        offset = core_members.start(paths)
        inside = core_members.moved(paths, offset)
        own = core_members.own(paths)
        made = self._type(inside, None)
        if self._count(inside) != 0:
            return name, made, offset, (own.bits or 0) if own else 0
        # libbpf takes any index into an array without elements if it ends its struct, and none
        # otherwise: a struct of its own makes sure of that.
        members: List[MemberSpec] = [(name, made, 0, 0)]
        if not any(path.steps for path in inside):
            members.append(("?", self._writer.integer(1, signed=False), 0, 0))
        return "", self._writer.composite(k.KIND_STRUCT, "", 1, members), offset, 0

    def _type(self, paths: Sequence[MemberPath], size: Optional[int]) -> int:
        """The type of a place; `size` in bytes if it is known from elsewhere."""
        own = core_members.own(paths)
        if own and own.size is not None:
            size = own.size
        inner = [path for path in paths if path.steps]
        if not inner:
            assert own is not None
            return self._plain(own.declared, core_members.enum_name(paths), size, own)
        if inner[0].steps[0].name is None:
            return self._array(paths, size)
        return self._composite(k.KIND_STRUCT, "", inner, size)

    def _array(self, paths: Sequence[MemberPath], size: Optional[int]) -> int:
        inner = [path for path in paths if path.steps]
        count, stride = self._count(paths, size), core_members.stride(inner)
        if stride is None and size:
            stride = size
        return self._writer.array(self._type(core_members.elements(inner), stride), count or 0)

    @staticmethod
    def _count(paths: Sequence[MemberPath], size: Optional[int] = None) -> Optional[int]:
        """The number of elements of a place that is an array, None if it is none."""
        own = core_members.own(paths)
        inner = [path for path in paths if path.steps]
        if own and own.size is not None:
            size = own.size
        if not inner:
            is_array = own is not None and own.declared.kind == k.KIND_ARRAY
            return (size or 0) if is_array else None
        if inner[0].steps[0].name is not None:
            return None
        most = max(path.steps[0].number for path in inner) + 1
        stride = core_members.stride(inner)
        if size is None or stride == 0:
            return most
        return size // stride if stride else int(size > 0)

    def _plain(
        self, declared: Type, name: str, size: Optional[int], path: Optional[MemberPath] = None
    ) -> int:
        """A type of the kind that the object declares, nothing inside."""
        kind, writer = declared.kind, self._writer
        signed = bool(path and path.signed)
        if kind == k.KIND_INT:
            return writer.integer(4 if size is None else size, signed, name if not path else "")
        if kind in ENUMS:
            return writer.enum(name, 4 if size is None else size, signed, ())
        if kind in COMPOSITE:
            return writer.composite(kind, "" if path else name, size or 0, [])
        if kind == k.KIND_FLOAT:
            return writer.add(kind, "float", 4 if size is None else size)
        if kind == k.KIND_FWD:
            return writer.add(kind, name, flag=declared.kind_flag)
        if kind == k.KIND_ARRAY and path:
            # Only the size of the whole can matter: it is that of one element, but for pointers.
            # With more of them an index would be found that the kernel's array does not have; where
            # nobody asks for the size, with any.
            inner = path.local.resolve(path.local.array(declared).element_id)
            element = self._plain(inner, name, size or None, path)
            count = int(bool(size))
            if inner.kind == k.KIND_PTR and size:
                count = size // core_members.POINTER_SIZE
            return writer.array(element, count)
        return writer.add(k.KIND_PTR)

    def _copy(self, local: Btf, type_id: int, size: Optional[int], depth: int = 0) -> int:
        """A type as the object declares it, with everything that decides whether types match."""
        found, writer = local.resolve(type_id), self._writer
        if depth > _MAX_DEPTH:
            raise LayoutError(f"{found} has more than {_MAX_DEPTH} types inside each other")
        if found.kind == k.KIND_PTR:
            return writer.add(k.KIND_PTR, ref=self._copy(local, found.ref, None, depth + 1))
        if found.kind == k.KIND_ARRAY:
            element_id = local.array(found).element_id
            inner = local.resolve(element_id)
            unit = core_members.POINTER_SIZE if inner.kind == k.KIND_PTR else size or 1
            element = self._copy(local, element_id, unit, depth + 1)
            return writer.array(element, 1 if size is None else size // unit)
        if found.kind == k.KIND_FUNC_PROTO:
            words: List[int] = []
            for _name, parameter_id in local.parameters(found):
                words += [0, self._copy(local, parameter_id, None, depth + 1)]
            result = self._copy(local, found.ref, None, depth + 1)
            return writer.add(k.KIND_FUNC_PROTO, "", result, words, vlen=found.vlen)
        if found.kind == k.KIND_VOID:
            return 0
        name = essential_name(found.name) if found.kind in (k.KIND_FWD, *ENUMS) else ""
        return self._plain(found, name, size)


def _root(question: Question) -> _Root:
    declared = question.local.type(question.relocation.type_id)
    # Enums of 32 and of 64 bits stand for each other.
    kind = k.KIND_ENUM if declared.kind in ENUMS else declared.kind
    return kind, essential_name(declared.name)
