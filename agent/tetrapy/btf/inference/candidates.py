# SPDX-License-Identifier: Apache-2.0
"""Which of the known layouts is the running kernel's: the only one that passes all checks."""

from __future__ import annotations

from typing import AbstractSet, Container, Dict, List, Mapping, Optional, Protocol, Sequence, Tuple

from tetrapy.abi.core_queries import Answers
from tetrapy.btf.inference.checks import CheckOutcome, run_checks
from tetrapy.btf.inference.memory import Memory
from tetrapy.btf.inference.nearest import KernelName, order
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.view import RENAMED, View, key
from tetrapy.named import NamedTuple


class Layouts(Protocol):
    """Known layouts, of which `tetrapy.btf.archive.Archive` holds many."""

    @property
    def queries(self) -> Tuple[str, ...]:
        """The texts of the queries, sorted."""

    @property
    def layouts(self) -> Sequence[Answers]:
        """Distinct answers, in the order of the queries."""

    @property
    def kernels(self) -> Mapping[str, int]:
        """ID/VERSION_ID/arch/<uname -r> -> number of the layout."""


class Checked(NamedTuple):
    """What the checks say about one layout.

    `failed` are names of checks that do not hold; if there is none, `unproven` are queries that no
    check could confirm on this host.  `doubtful` are names of checks that do not hold either, but
    are about optional queries, which are `doubted`: without these the layout is good.
    """

    failed: List[str]
    unproven: List[str]
    doubtful: List[str]
    doubted: List[str]


class Inference(NamedTuple):
    """What became of the search.

    `layout` is None if it failed; `reason` then says why.  `kernel` names the known kernel whose
    layout it is.  `refused` has for each candidate that failed the name of its nearest kernel and
    of the first check that it failed.  `unproven` are queries that no check could confirm on this
    host, `off` optional ones without an answer: the kernel has no such thing, layouts that pass
    differ in it, or checks do not hold for it, which are `doubtful`.  All are to be reported.
    """

    layout: Optional[Answers]
    kernel: str
    tested: int
    passed: List[str]
    refused: Dict[str, str]
    unproven: List[str]
    off: List[str]
    reason: str
    doubtful: List[str]


class _Candidate(NamedTuple):
    layout: Answers
    kernel: str
    outcome: CheckOutcome


def check(
    queries: Sequence[str],
    layout: Answers,
    reference: ReferenceProcess,
    optional: AbstractSet[str] = frozenset(),
) -> Checked:
    """Hold one layout against the checks; `optional` are queries without which the programs do.

    The reference process is ended by this, unless the layout fails before.
    """
    spare = frozenset(map(key, optional))
    view = View(queries, layout, Memory(reference.read))
    outcome = run_checks(view, reference, ended=False, optional=spare)
    if not outcome.failed:
        reference.end()
        view.memory.forget()
        outcome = outcome.and_then(run_checks(view, reference, ended=True, optional=spare))
    doubted = [query for query in queries if key(query) in outcome.doubted]
    unproven = [] if outcome.failed else _unproven(queries, layout, outcome)
    return Checked(outcome.failed, unproven, outcome.doubtful, doubted)


def infer(
    known: Layouts,
    kernel: KernelName,
    reference: ReferenceProcess,
    optional: AbstractSet[str] = frozenset(),
) -> Inference:
    """The only layout of this architecture that passes all checks.

    `optional` are queries without which the programs do: if the layouts that pass differ in nothing
    else, it is theirs without these.  If none passes, checks that are about optional queries only
    do not count, and it is without the queries for which they do not hold.  The reference process
    is ended only if a layout passes as long as it lives.
    """
    spare = frozenset(map(key, optional))
    pairs = [(name, at) for name, at in known.kernels.items() if name.split("/")[2] == kernel.arch]
    nearest = order(kernel, pairs)
    memory = Memory(reference.read)
    refused: Dict[str, str] = {}
    living: List[_Candidate] = []
    for number, name in nearest:
        layout = known.layouts[number]
        view = View(known.queries, layout, memory)
        outcome = run_checks(view, reference, ended=False, first_only=True, optional=spare)
        if outcome.failed:
            refused[name] = outcome.failed[0]
        else:
            living.append(_Candidate(layout, name, outcome))
    passed: List[_Candidate] = []
    if living:
        reference.end()
        memory.forget()
    for candidate in living:
        view = View(known.queries, candidate.layout, memory)
        outcome = run_checks(view, reference, ended=True, first_only=True, optional=spare)
        if outcome.failed:
            refused[candidate.kernel] = outcome.failed[0]
        else:
            passed.append(candidate._replace(outcome=candidate.outcome.and_then(outcome)))
    sound = [one for one in passed if not one.outcome.doubtful]
    if sound:
        refused.update((one.kernel, one.outcome.doubtful[0]) for one in passed if one not in sound)
    return _decide(known.queries, len(nearest), sound or passed, refused, optional)


def without(queries: Sequence[str], layout: Answers, left_out: Container[str]) -> Answers:
    """A layout without an answer to some queries."""
    return tuple(None if query in left_out else value for query, value in zip(queries, layout))


def _decide(
    queries: Sequence[str],
    tested: int,
    passed: List[_Candidate],
    refused: Dict[str, str],
    optional: AbstractSet[str],
) -> Inference:
    names = [candidate.kernel for candidate in passed]
    result = Inference(None, "", tested, names, refused, [], [], "", [])
    if not passed:
        return result._replace(reason=f"none of {tested} known layouts passes all checks")
    layouts = [_undoubted(queries, candidate) for candidate in passed]
    differ = _differences(queries, layouts)
    essential = [query for query in differ if query not in optional]
    if essential:
        return result._replace(
            reason=f"{len(passed)} of {tested} known layouts pass all checks ({', '.join(names)}),"
            f" and differ in: {', '.join(essential)}"
        )
    layout = without(queries, layouts[0], differ) if differ else layouts[0]
    outcome = passed[0].outcome
    off = [n for n, value in zip(queries, layout) if value is None and n in optional]
    return result._replace(
        layout=layout,
        kernel=names[0],
        unproven=_unproven(queries, layout, outcome),
        off=off,
        doubtful=outcome.doubtful,
    )


def _undoubted(queries: Sequence[str], candidate: _Candidate) -> Answers:
    """The candidate's layout without the queries for which checks do not hold."""
    doubted = {query for query in queries if key(query) in candidate.outcome.doubted}
    return without(queries, candidate.layout, doubted) if doubted else candidate.layout


def _unproven(queries: Sequence[str], layout: Answers, outcome: CheckOutcome) -> List[str]:
    """The queries that the layout answers, but no check could confirm on this host, nor refute."""
    known = outcome.proven | outcome.doubted
    return [
        query
        for query, value in zip(queries, layout)
        if value is not None and key(query) not in known
    ]


def _differences(queries: Sequence[str], layouts: List[Answers]) -> List[str]:
    """The queries in which layouts differ, but for names of a field that was renamed."""
    plain = [same_names(queries, layout) for layout in layouts]
    return [query for query, *values in zip(queries, *plain) if len(set(values)) > 1]


def same_names(queries: Sequence[str], layout: Answers) -> Answers:
    """The layout with each renamed field under the name that the programs look for first."""
    values = dict(zip(map(key, queries), layout))
    for first, second in RENAMED:
        if values.get(first) is None and first in values:
            values[first], values[second] = values.get(second), None
        elif second in values:
            values[second] = None
    return tuple(values.values())
