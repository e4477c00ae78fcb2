"""Whether a kernel's facts are enough for the BPF objects.

A program may ask whether a field, type or enumerator exists (bpf_core_field_exists), and do
without it, or read a field of a flavour of the same type (`struct kernfs_node___rcu`) instead.  So
what is asked about may be absent, and so may flavours' fields, as long as one of those with the
same kind of value is there.  Everything else the kernel must have: where a relocation is not
resolved, libbpf puts an instruction that the verifier refuses.
"""

from __future__ import annotations

from typing import FrozenSet, Iterable, List, NamedTuple, Sequence, Tuple

from tetrapy.abi import core_relocs as relocs
from tetrapy.abi.core_compat import essential_name
from tetrapy.abi.core_needs import Facts

_EXISTS = {relocs.KINDS.index(name) for name in ("field_exists", "type_exists", "enumval_exists")}


class Subject(NamedTuple):
    """The parts of `struct task_struct.cred pointer`: a type, a path in it, what is there."""

    root: str
    path: str
    value: str

    @classmethod
    def of(cls, text: str) -> Subject:
        """The parts of the text of a subject; a type alone has neither path nor value."""
        kind, _, rest = text.partition(" ")
        place, _, value = rest.partition(" ")
        ends = [end for end in map(place.find, (".", "[", "::")) if end >= 0]
        end = min(ends, default=len(place))
        return cls(f"{kind} {place[:end]}", place[end:], value)

    @property
    def plain_root(self) -> str:
        """The type without its flavour."""
        return essential_name(self.root)

    def is_inside(self, outer: Subject) -> bool:
        """Whether it is the same as the other one or a part of it."""
        rest = self.path[len(outer.path) :]
        return (
            self.root == outer.root
            and self.path.startswith(outer.path)
            and (not outer.path or not rest or rest[0] in ".[")
        )


def guards(objects: Iterable[bytes]) -> FrozenSet[Subject]:
    """What the programs of ELF objects ask for the existence of."""
    texts = set()
    for data in objects:
        local, found = relocs.of_object(data)
        texts |= {relocs.subject(local, one) for one in found if one.kind in _EXISTS}
    return frozenset(map(Subject.of, texts))


def subject_of(need: str) -> Subject:
    """The subject of a need's text, whose first word says what is asked about it."""
    return Subject.of(need.partition(" ")[2])


def missing(names: Sequence[str], facts: Facts, asked: FrozenSet[Subject]) -> List[str]:
    """The needs that the kernel does not answer and the programs cannot do without.

    `asked` is what `guards` found.
    """
    present = {subject_of(name) for name, fact in zip(names, facts) if fact is not None}
    stand_ins = {_family(one) for one in present if one in asked or one.root != one.plain_root}
    found = []
    for name, fact in zip(names, facts):
        one = subject_of(name)
        if fact is not None or any(one.is_inside(guard) for guard in asked):
            continue
        if one.root == one.plain_root or _family(one) not in stand_ins:
            found.append(name)
    return found


def optional(names: Sequence[str], asked: FrozenSet[Subject]) -> FrozenSet[str]:
    """The needs that any kernel may lack: asked about, and without a field that stands in.

    `asked` is what `guards` found.
    """
    renamed = {_family(one) for one in map(subject_of, names) if one.root != one.plain_root}
    free = [guard for guard in asked if _family(guard) not in renamed]
    return frozenset(
        name for name in names if any(subject_of(name).is_inside(guard) for guard in free)
    )


def _family(one: Subject) -> Tuple[str, str]:
    """What fields that stand in for each other have in common."""
    return one.plain_root, one.value
