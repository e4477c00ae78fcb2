# SPDX-License-Identifier: Apache-2.0
"""Asks the running kernel: whether a layout is its own, which of many is, or what its own is."""

from __future__ import annotations

from typing import AbstractSet, Callable, ContextManager, List, Optional, Sequence, Tuple

from tetrapy.abi.core_queries import Answers
from tetrapy.btf.inference import candidates
from tetrapy.btf.inference.candidates import Inference, Layouts
from tetrapy.btf.inference.nearest import KernelName
from tetrapy.btf.inference.reference_process import ReferenceProcess
from tetrapy.btf.inference.scan import Scan, scan
from tetrapy.btf.inference.scan.finder import Places
from tetrapy.named import NamedTuple

# Prepares a reference process, for a `with`; the variants differ in all values that are chosen
# freely.
Prepare = Callable[[int], ContextManager[ReferenceProcess]]

# How many processes are looked at until one place is left for all; each scan takes about a second.
_SCANS = 4


class CheckResult(NamedTuple):
    """What the checks say about one layout: names of those that fail; queries that none confirms.

    `doubtful` are names of those that fail too, but are about queries without which the programs
    do: `doubted`. Without these the layout may be used.
    """

    failed: List[str]
    unproven: List[str]
    doubtful: Sequence[str] = ()
    doubted: Sequence[str] = ()


class InferenceResult(NamedTuple):
    """The layout that was chosen or found; None, and the reason, if there is none.

    `kernel` is a known kernel with this layout, "" after a scan.  `tested` counts layouts and
    `refused` says for each that failed, by the name of its nearest kernel, at which check.
    `proven` counts queries that checks confirm, `unproven` are those that this host gives no check
    for, `off` those that are left out of the layout, so that features are off; if checks are why,
    these are `doubtful`.
    """

    answers: Optional[Answers]
    reason: str
    kernel: str = ""
    tested: int = 0
    refused: Tuple[Tuple[str, str], ...] = ()
    proven: int = 0
    unproven: Tuple[str, ...] = ()
    off: Tuple[str, ...] = ()
    doubtful: Tuple[str, ...] = ()


class LayoutProber:
    """Each question is put to a process of ours that is prepared for it."""

    def __init__(
        self, queries: Sequence[str], optional: AbstractSet[str], prepare: Prepare
    ) -> None:
        """`queries` are texts of core_queries, `optional` those that the programs can do without.

        What `prepare` raises, KernelError foremost, comes out of all methods.
        """
        self._queries = tuple(queries)
        self._optional = optional
        self._prepare = prepare

    def check(self, answers: Answers, variant: int = 0) -> CheckResult:
        """Whether a layout is the running kernel's."""
        with self._prepare(variant) as reference:
            return CheckResult(*candidates.check(self._queries, answers, reference, self._optional))

    def infer(self, known: Layouts, kernel: KernelName) -> InferenceResult:
        """The only known layout that is the running kernel's."""
        with self._prepare(0) as reference:
            found = candidates.infer(known, kernel, reference, self._optional)
        refused = tuple(found.refused.items())
        if found.layout is None:
            return InferenceResult(None, _why(found), tested=found.tested, refused=refused)
        return self._finding(found.layout, found.unproven, found.off)._replace(
            kernel=found.kernel,
            tested=found.tested,
            refused=refused,
            doubtful=tuple(found.doubtful),
        )

    def scan(self) -> InferenceResult:
        """The running kernel's layout, found with one reference process and proven with another.

        Where something is in several places, as chance may have it, others decide.
        """
        found, scans = self._scan(0, None), 1
        while found.layout is None and found.is_ambiguous and scans < _SCANS:
            found, scans = self._scan(scans % 2, found.places), scans + 1
        if found.layout is None:
            return InferenceResult(None, "; ".join(found.reasons))
        checked = self.check(found.layout, scans % 2)
        if checked.failed:
            return InferenceResult(
                None, f"what was found is not confirmed: {'; '.join(checked.failed)}"
            )
        answers = candidates.without(self._queries, found.layout, checked.doubted)
        off = [query for query in self._queries if query in found.off or query in checked.doubted]
        return self._finding(answers, checked.unproven, off)._replace(
            doubtful=tuple(checked.doubtful)
        )

    def _scan(self, variant: int, places: Optional[Places]) -> Scan:
        with self._prepare(variant) as reference:
            return scan(self._queries, reference, self._optional, places)

    def _finding(
        self, answers: Answers, unproven: Sequence[str], off: Sequence[str]
    ) -> InferenceResult:
        known = sum(value is not None for value in answers)
        return InferenceResult(
            answers, "", proven=known - len(unproven), unproven=tuple(unproven), off=tuple(off)
        )


def _why(found: Inference) -> str:
    refused = [f"{name}: {failed}" for name, failed in found.refused.items()]
    nearest = f"; the nearest, {refused[0]}" if refused and not found.passed else ""
    return found.reason + nearest
