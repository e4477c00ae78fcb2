# SPDX-License-Identifier: Apache-2.0
"""Whether a kernel's answers are enough for the BPF objects.

A program may ask whether a field, type or enumerator exists (bpf_core_field_exists), and do
without it, or read a field of a flavour of the same type (`struct kernfs_node___rcu`) instead.  So
what is asked about may be absent, and so may flavours' fields, as long as one of those with the
same kind of value is there.  Everything else the kernel must have: where a relocation is not
resolved, libbpf puts an instruction that the verifier refuses.

Of what only an optional program reads, the kernel must have nothing: the program is left out then.
A program says in C that it is optional, by libbpf's own sign: a question mark before the name of
its section (`SEC("?raw_tp")`) has it loaded only where somebody asks.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Iterable, List, Sequence, Set, Tuple

from tetrapy.abi import core_relocs as relocs
from tetrapy.abi.btf import Btf
from tetrapy.abi.core_compat import essential_name
from tetrapy.abi.core_queries import Answers, stride_texts
from tetrapy.abi.core_relocs import CoreRelocation
from tetrapy.abi.elf import STT_FUNC, Elf
from tetrapy.btf.inference.view import CGROUPS, key
from tetrapy.named import NamedTuple

_OPTIONAL = "?"  # the first character of an optional program's section

_EXISTS = {relocs.KINDS.index(name) for name in ("field_exists", "type_exists", "enumval_exists")}


class AccessPath(NamedTuple):
    """The parts of `struct task_struct.cred pointer`: a type, a path in it, what is there."""

    root: str
    path: str
    value: str

    @classmethod
    def of(cls, text: str) -> AccessPath:
        """The parts of the text of an access; a type alone has neither path nor value."""
        kind, _, rest = text.partition(" ")
        place, _, value = rest.partition(" ")
        ends = [end for end in map(place.find, (".", "[", "::")) if end >= 0]
        end = min(ends, default=len(place))
        return cls(f"{kind} {place[:end]}", place[end:], value)

    @property
    def plain_root(self) -> str:
        """The type without its flavour."""
        return essential_name(self.root)

    def is_inside(self, outer: AccessPath) -> bool:
        """Whether it is the same as the other one or a part of it."""
        rest = self.path[len(outer.path) :]
        return (
            self.root == outer.root
            and self.path.startswith(outer.path)
            and (not outer.path or not rest or rest[0] in ".[")
        )


_CGROUPS = ("struct task_struct", ".cgroups")
_DIRECTORIES = "struct kernfs_node"


class Programs:
    """What the programs of ELF objects read, and what they do without: texts of accesses."""

    def __init__(self, objects: Iterable[bytes]) -> None:
        """`optional` has those of each optional program, `essential` those of all others."""
        self.essential: Set[str] = set()
        self.optional: Dict[str, Set[str]] = {}
        existence_checks: Set[str] = set()
        for data in objects:
            local, relocations = relocs.of_object(data)
            places = _places(Elf(data))
            for listed in places.values():
                for name, _, _ in listed:
                    self.optional.setdefault(name, set())
            readers: Dict[CoreRelocation, Set[str]] = {}
            for one in relocations:
                found = readers.setdefault(one._replace(section="", instruction=0), set())
                found.add(_program(places.get(one.section, ()), 8 * one.instruction))
            for one, names in readers.items():
                texts = _texts(local, one)
                if one.kind in _EXISTS:
                    existence_checks |= texts
                for name in names:
                    (self.optional[name] if name else self.essential).update(texts)
        self.existence_checks: FrozenSet[AccessPath] = frozenset(
            map(AccessPath.of, existence_checks)
        )

    def exclusive_accesses(self) -> Set[str]:
        """What optional programs alone read."""
        return set().union(*self.optional.values()) - self.essential

    def optional_accesses(self) -> FrozenSet[AccessPath]:
        """What any kernel may lack: what is asked about, and what optional programs alone read."""
        # Without a kind of value, these stand in for nothing.
        exclusive_accesses = {
            AccessPath.of(text)._replace(value="") for text in self.exclusive_accesses()
        }
        read = list(map(AccessPath.of, self.essential))
        return self.existence_checks | {
            one for one in exclusive_accesses if not any(r.is_inside(one) for r in read)
        }

    def disabled(self, names: Sequence[str], answers: Answers) -> Tuple[str, ...]:
        """The optional programs that a kernel with these answers cannot load."""
        lacking = {
            query.partition(" ")[2] for query in missing(names, answers, self.existence_checks)
        }
        return tuple(name for name, texts in sorted(self.optional.items()) if texts & lacking)


def optional_accesses(objects: Iterable[bytes]) -> FrozenSet[AccessPath]:
    """What the programs of ELF objects may do without."""
    return Programs(objects).optional_accesses()


def _texts(local: Btf, one: CoreRelocation) -> Set[str]:
    """The access paths of a relocation: its own, and the arrays on the way of which it asks
    strides.
    """
    arrays = stride_texts(local, one) if one.kind in relocs.FIELD_KINDS else []
    return {relocs.access_name(local, one), *(text for _, text in arrays)}


def _program(places: Sequence[Tuple[str, int, int]], at: int) -> str:
    """The optional program in which a place is; "" if it is in another one."""
    return next((name for name, start, end in places if start <= at < end), "")


def _places(elf: Elf) -> Dict[str, List[Tuple[str, int, int]]]:
    """Section -> name, start and end of each optional program in it."""
    found: Dict[str, List[Tuple[str, int, int]]] = {}
    for symbol in elf.symbols():
        if symbol.type != STT_FUNC or not 0 < symbol.section < len(elf.sections):
            continue
        section = elf.sections[symbol.section].name
        if section.startswith(_OPTIONAL):
            place = (symbol.name, symbol.value, symbol.value + symbol.size)
            found.setdefault(section, []).append(place)
    return found


def access_of(query: str) -> AccessPath:
    """The access in a query's text, whose first word says what is asked about it."""
    return AccessPath.of(query.partition(" ")[2])


def missing(
    names: Sequence[str], answers: Answers, existence_checks: FrozenSet[AccessPath]
) -> List[str]:
    """The queries that the kernel does not answer and the programs cannot do without.

    `existence_checks`: what `Programs.optional_accesses` found.
    """
    present = {access_of(name) for name, answer in zip(names, answers) if answer is not None}
    stand_ins = {
        _family(one) for one in present if one in existence_checks or one.root != one.plain_root
    }
    # In a kernel without cgroups nothing leads to their directories.
    cgroups = [one for one in map(access_of, names) if one[:2] == _CGROUPS]
    unread = _DIRECTORIES if cgroups and not present & set(cgroups) else ""
    found = []
    for name, answer in zip(names, answers):
        one = access_of(name)
        if answer is not None or any(one.is_inside(guard) for guard in existence_checks):
            continue
        if one.plain_root == unread:
            continue
        if one.root == one.plain_root or _family(one) not in stand_ins:
            found.append(name)
    return found


def optional(names: Sequence[str], existence_checks: FrozenSet[AccessPath]) -> FrozenSet[str]:
    """The queries that any kernel may lack: asked about, and without a field that stands in.

    Cgroups are not among them: whether the running kernel has these is known, and decides.
    `existence_checks`: what `Programs.optional_accesses` found.
    """
    renamed = {_family(one) for one in map(access_of, names) if one.root != one.plain_root}
    free = [guard for guard in existence_checks if _family(guard) not in renamed]
    return frozenset(
        name
        for name in names
        if key(name) not in CGROUPS and any(access_of(name).is_inside(guard) for guard in free)
    )


def _family(one: AccessPath) -> Tuple[str, str]:
    """What fields that stand in for each other have in common."""
    return one.plain_root, one.value
