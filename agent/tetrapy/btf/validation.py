# SPDX-License-Identifier: Apache-2.0
"""Whether answers are those of the running kernel, as far as that can be found out here."""

from __future__ import annotations

import contextlib
from typing import Callable, ContextManager, FrozenSet, Iterable, List, Optional, Sequence, Tuple

from tetrapy.abi.core_minimal import minimal_btf
from tetrapy.abi.core_queries import Answers, CoreQueries
from tetrapy.btf import requirements
from tetrapy.btf.inference.candidates import without
from tetrapy.btf.inference.prober import LayoutProber
from tetrapy.btf.source import BtfSource
from tetrapy.errors import TetrapyError
from tetrapy.named import NamedTuple

_MAX_LISTED = 3

# What to do where the checks cannot know the right layout: they go by Linux' own order of fields.
SHUFFLED = (
    "this kernel was built with RANDSTRUCT, so the right BTF fails too: if this is of exactly this"
    " build, use it with --btf-check=false"
)

# log(level, message, **fields); names of fields may contain hyphens.
Log = Callable[..., None]
# Makes a prober of the running kernel, for a `with`.
OpenProber = Callable[[CoreQueries, FrozenSet[str]], ContextManager[LayoutProber]]


class Validation(NamedTuple):
    """What became of answers.

    `refusal` says why they must not be used, and is "" if they may.  `answers` are then without the
    queries `off`, for which the checks named `doubtful` fail.
    """

    refusal: str
    answers: Answers = ()
    off: Sequence[str] = ()
    doubtful: Sequence[str] = ()


class BtfValidator:
    """Answers are compared with what the objects need and with the running kernel.

    The probing of the kernel is prepared when it is first needed, and given back by `close`.
    """

    def __init__(
        self,
        objects: Iterable[bytes],
        open_prober: Optional[OpenProber],
        log: Log,
        *,
        check: bool = True,
        shuffled: bool = False,
    ) -> None:
        """`open_prober` None: this is not about the running kernel, or it cannot be probed.

        `shuffled`: the running kernel was built with RANDSTRUCT.
        """
        images = list(objects)
        self.queries = CoreQueries(images)
        self._programs = requirements.Programs(images)
        self._optional_accesses = self._programs.optional_accesses()
        self._optional = requirements.optional(self.queries.names, self._optional_accesses)
        self._open_prober = open_prober
        self._check = check
        self._hint = f"; {SHUFFLED}" if shuffled else ""
        self._log = log
        self._acquired = contextlib.ExitStack()
        self._prober: Optional[LayoutProber] = None

    def prober(self) -> Optional[LayoutProber]:
        """The prober of the running kernel; None if it is not to be probed.

        Raises TetrapyError if it cannot be.
        """
        if self._prober is None and self._open_prober is not None:
            self._prober = self._acquired.enter_context(
                self._open_prober(self.queries, self._optional)
            )
        return self._prober

    def close(self) -> None:
        """Give back what the probing acquired."""
        self._acquired.close()
        self._prober = None

    def validate(self, answers: Answers, origin: str) -> Validation:
        """Whether these answers may be used, and which of them."""
        missing = requirements.missing(self.queries.names, answers, self._optional_accesses)
        if missing:
            return Validation(f"lacks what tetrapy's programs read: {_some(missing)}")
        if not self._check:
            return Validation("", answers)
        try:
            prober = self.prober()
            if prober is None:
                return Validation("", answers)
            found = prober.check(answers)
        except TetrapyError as err:
            self._log("warn", "BTF is used unchecked", btf=origin, error=str(err))
            return Validation("", answers)
        if found.failed:
            return Validation(f"is not the running kernel's: {_some(found.failed)}{self._hint}")
        if found.unproven:
            unproven = "; ".join(found.unproven)
            self._log("debug", "BTF could not be checked in these", btf=origin, unproven=unproven)
        left = without(self.queries.names, answers, found.doubted)
        return Validation("", left, found.doubted, found.doubtful)

    def optional(self, queries: Iterable[str]) -> List[str]:
        """Those of some queries that any kernel may lack."""
        return [query for query in queries if query in self._optional]

    def off(self, answers: Answers) -> Tuple[str, ...]:
        """The optional programs that cannot be loaded with these answers."""
        return self._programs.disabled(self.queries.names, answers)

    def source(
        self, kind: str, origin: str, answers: Answers, off: Iterable[str], doubtful: Iterable[str]
    ) -> BtfSource:
        """BTF of answers; what was left out of them, and why, is logged."""
        programs = self.off(answers)
        theirs = self._programs.exclusive_accesses()
        for query in off:
            if query.partition(" ")[2] not in theirs:
                self._log("warning", "BTF discovery: a feature is off", **{"not known": query})
        for program in programs:
            because = _some(doubtful) or "its kernel structures are not known"
            self._log("info", "BTF discovery: a program is off", program=program, because=because)
        return BtfSource(kind, origin, minimal_btf(self.queries, answers), programs)


def _some(texts: Iterable[str]) -> str:
    listed = list(texts)
    rest = len(listed) - _MAX_LISTED
    return "; ".join(listed[:_MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
