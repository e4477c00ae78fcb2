"""Which of the known layouts is the running kernel's: the only one that passes all facts."""

from __future__ import annotations

from typing import AbstractSet, Dict, List, Mapping, NamedTuple, Optional, Protocol, Sequence, Tuple

from tetrapy.abi.core_needs import Facts
from tetrapy.btf.inference.facts import judge
from tetrapy.btf.inference.memory import Memory
from tetrapy.btf.inference.nearest import KernelName, order
from tetrapy.btf.inference.subject import Subject
from tetrapy.btf.inference.view import RENAMED, View, key


class Layouts(Protocol):
    """Known layouts, of which `tetrapy.btf.archive.Archive` holds many."""

    @property
    def needs(self) -> Tuple[str, ...]:
        """The texts of the needs, sorted."""

    @property
    def layouts(self) -> Sequence[Facts]:
        """Distinct facts, in the order of the needs."""

    @property
    def kernels(self) -> Mapping[str, int]:
        """ID/VERSION_ID/arch/<uname -r> -> number of the layout."""


class Inference(NamedTuple):
    """What became of the search.

    `layout` is None if it failed; `reason` then says why.  `kernel` names the known kernel whose
    layout it is.  `refused` has for each candidate that failed the name of its nearest kernel and
    of the first fact that it failed.  `unproven` are needs that no fact could confirm on this host,
    `off` optional ones without an answer: the kernel has no such thing, or layouts that pass differ
    in it.  Both are to be told.
    """

    layout: Optional[Facts]
    kernel: str
    tested: int
    passed: List[str]
    refused: Dict[str, str]
    unproven: List[str]
    off: List[str]
    reason: str


class _Candidate(NamedTuple):
    layout: Facts
    kernel: str
    proven: AbstractSet[str]


def check(needs: Sequence[str], layout: Facts, subject: Subject) -> Tuple[List[str], List[str]]:
    """Hold one layout against the facts: names of those that fail, and needs that stay unproven.

    The subject is ended by this, unless the layout fails before.
    """
    view = View(needs, layout, Memory(subject.read))
    living = judge(view, subject, ended=False)
    if living.failed:
        return living.failed, []
    subject.end()
    view.memory.forget()
    ended = judge(view, subject, ended=True)
    return ended.failed, _unproven(needs, layout, living.proven | ended.proven)


def infer(
    known: Layouts, kernel: KernelName, subject: Subject, optional: AbstractSet[str] = frozenset()
) -> Inference:
    """The only layout of this architecture that passes all facts.

    `optional` are needs without which the programs do, because they ask whether the kernel has
    them: if the layouts that pass differ in nothing else, it is theirs without these.  The subject
    is ended only if a layout passes as long as it lives.
    """
    pairs = [(name, at) for name, at in known.kernels.items() if name.split("/")[2] == kernel.arch]
    nearest = order(kernel, pairs)
    memory = Memory(subject.read)
    refused: Dict[str, str] = {}
    living: List[_Candidate] = []
    for number, name in nearest:
        layout = known.layouts[number]
        verdict = judge(View(known.needs, layout, memory), subject, ended=False, first_only=True)
        if verdict.failed:
            refused[name] = verdict.failed[0]
        else:
            living.append(_Candidate(layout, name, verdict.proven))
    passed: List[_Candidate] = []
    if living:
        subject.end()
        memory.forget()
    for candidate in living:
        view = View(known.needs, candidate.layout, memory)
        verdict = judge(view, subject, ended=True, first_only=True)
        if verdict.failed:
            refused[candidate.kernel] = verdict.failed[0]
        else:
            passed.append(candidate._replace(proven=candidate.proven | verdict.proven))
    return _decide(known.needs, len(nearest), passed, refused, optional)


def _decide(
    needs: Sequence[str],
    tested: int,
    passed: List[_Candidate],
    refused: Dict[str, str],
    optional: AbstractSet[str],
) -> Inference:
    names = [candidate.kernel for candidate in passed]
    result = Inference(None, "", tested, names, refused, [], [], "")
    if not passed:
        return result._replace(reason=f"none of {tested} known layouts passes all facts")
    layout = passed[0].layout
    differ = _differences(needs, [candidate.layout for candidate in passed])
    essential = [need for need in differ if need not in optional]
    if essential:
        return result._replace(
            reason=f"{len(passed)} of {tested} known layouts pass all facts ({', '.join(names)}),"
            f" and differ in: {', '.join(essential)}"
        )
    if differ:
        layout = tuple(None if n in differ else value for n, value in zip(needs, layout))
    unproven = _unproven(needs, layout, passed[0].proven)
    off = [n for n, value in zip(needs, layout) if value is None and n in optional]
    return result._replace(layout=layout, kernel=names[0], unproven=unproven, off=off)


def _unproven(needs: Sequence[str], layout: Facts, proven: AbstractSet[str]) -> List[str]:
    """The needs that the layout answers, but no fact could confirm on this host."""
    return [
        need for need, value in zip(needs, layout) if value is not None and key(need) not in proven
    ]


def _differences(needs: Sequence[str], layouts: List[Facts]) -> List[str]:
    """The needs in which layouts differ, but for names of a field that was renamed."""
    plain = [same_names(needs, layout) for layout in layouts]
    return [need for need, *values in zip(needs, *plain) if len(set(values)) > 1]


def same_names(needs: Sequence[str], layout: Facts) -> Facts:
    """The layout with each renamed field under the name that the programs look for first."""
    values = dict(zip(map(key, needs), layout))
    for first, second in RENAMED:
        if values.get(first) is None and first in values:
            values[first], values[second] = values.get(second), None
        elif second in values:
            values[second] = None
    return tuple(values.values())
