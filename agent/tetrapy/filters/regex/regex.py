# SPDX-License-Identifier: Apache-2.0
"""A compiled pattern: whether it matches, and where its groups are."""

from __future__ import annotations

import re
from functools import cached_property
from typing import Iterator, Optional

from tetrapy.filters.regex.automaton import STEPS_PER_CHARACTER, Automaton
from tetrapy.filters.regex.budget import Budget
from tetrapy.filters.regex.cost import Cost
from tetrapy.filters.regex.literals import required
from tetrapy.filters.regex.parser import parse
from tetrapy.filters.regex.program import compiled
from tetrapy.filters.regex.threads import Places, Threads
from tetrapy.filters.regex.translate import pattern_of

FREE = 10_000
"""Steps that nobody counts, so that short texts are left to `re` at once; some 50 us."""

_LITERAL_SHARE = 4  # characters that a look for a literal passes over in one step
_FOLDED_STEPS = 4  # steps to fold a character beyond ASCII


class Regex:
    """A pattern in Go's syntax, searched for anywhere in a text.

    Without a budget an answer costs what it costs, and that is linear for `search` only.
    """

    def __init__(self, pattern: str) -> None:
        """Compile; raises SettingsError for what Go would refuse too."""
        self.pattern = pattern
        tree, self.groups = parse(pattern)
        self._program = compiled(tree, pattern)
        self._cost = Cost(tree)
        self._free = self._cost.longest(FREE)  # characters up to which `re` is simply used
        self._required = required(tree)
        self._re = re.compile(pattern_of(tree), re.ASCII)
        # Of a pattern that begins with \A, `search` would try every place all the same.
        self._find = self._re.match if self._cost.starts_at_start else self._re.search

    @cached_property
    def _automaton(self) -> Automaton:
        return Automaton(self._program)

    @cached_property
    def _threads(self) -> Threads:
        return Threads(self._program, self.groups)

    def search(self, text: str, budget: Optional[Budget] = None) -> bool:
        """Whether the pattern matches somewhere in `text`.

        Raises OverBudgetError where that costs more than the budget has.
        """
        if len(text) <= self._free:
            return self._find(text) is not None
        if self._is_ruled_out(text, budget):
            return False
        most = len(text) * STEPS_PER_CHARACTER + FREE
        steps = self._cost.steps(text, most)
        if steps > most:
            return self._automaton.search(text, budget)
        if budget is not None:
            budget.spend(steps)
        return self._find(text) is not None

    def matches(self, text: str, budget: Optional[Budget] = None) -> Iterator[Places]:
        """All matches from left to right, as Go's ReplaceAll finds them.

        An empty match right behind another match is none. Raises OverBudgetError where that costs
        more than the budget has, between two matches too.
        """
        use_re = len(text) <= self._free
        if not use_re:
            if self._is_ruled_out(text, budget):
                return
            use_re = self._is_for_re(text, budget)
            if not use_re and not self._automaton.search(text, budget):
                return
        start, last = 0, -1
        while start <= len(text):
            places = self._first(text, start, budget, use_re)
            if places is None:
                return
            if places[1] > last:
                yield places
            last = places[1]
            start = places[1] + (places[0] == places[1])

    def _is_ruled_out(self, text: str, budget: Optional[Budget]) -> bool:
        needed = self._required
        if needed is None:
            return False
        if budget is not None:
            steps = len(text) * len(needed.texts) // _LITERAL_SHARE
            if needed.folded and not text.isascii():
                steps += len(text) * _FOLDED_STEPS
            budget.spend(steps)
        return needed.are_absent(text)

    def _is_for_re(self, text: str, budget: Optional[Budget]) -> bool:
        """Whether `re` finds all groups within the budget; it is charged then."""
        left = Budget().left if budget is None else budget.left
        steps = self._cost.steps(text, len(text))
        if steps > left:
            return False
        if budget is not None:
            budget.spend(steps)
        return True

    def _first(
        self, text: str, start: int, budget: Optional[Budget], use_re: bool
    ) -> Optional[Places]:
        if not use_re:
            return self._threads.search(text, start, budget)
        match = self._re.search(text, start)
        if match is None:
            return None
        return tuple(place for group in range(self.groups + 1) for place in match.span(group))
