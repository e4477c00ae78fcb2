"""A compiled pattern: whether it matches, and where its groups are."""

from __future__ import annotations

import re
from typing import Iterator, Optional

from tetrapy.pipeline.regex.automaton import Automaton
from tetrapy.pipeline.regex.parser import parse
from tetrapy.pipeline.regex.program import compiled
from tetrapy.pipeline.regex.threads import Places, Threads
from tetrapy.pipeline.regex.translate import Cost, pattern_of

STEPS = 100_000
"""What `re` may take at worst for one text, about a millisecond."""

_ANY_LENGTH = 1 << 60


class Regex:
    """A pattern in Go's syntax, searched for anywhere in a text."""

    def __init__(self, pattern: str) -> None:
        """Compile; raises SettingsError for what Go would refuse too."""
        self.pattern = pattern
        tree, self.groups = parse(pattern)
        program = compiled(tree, pattern)
        cost = Cost.of(tree)
        self._limit = 0  # characters up to which `re` is used
        if not cost.risky:
            self._limit = int(STEPS ** (1 / cost.power)) if cost.power > 1 else _ANY_LENGTH
        self._re = re.compile(pattern_of(tree), re.ASCII)
        self._automaton = Automaton(program)
        self._threads = Threads(program, self.groups)

    def search(self, text: str) -> bool:
        """Whether the pattern matches somewhere in `text`."""
        if len(text) <= self._limit:
            return self._re.search(text) is not None
        return self._automaton.search(text)

    def matches(self, text: str) -> Iterator[Places]:
        """All matches from left to right, as Go's ReplaceAll finds them.

        An empty match right behind another match is none.
        """
        start, last = 0, -1
        while start <= len(text):
            places = self._first(text, start)
            if places is None:
                return
            if places[1] > last:
                yield places
            last = places[1]
            start = places[1] + (places[0] == places[1])

    @property
    def longest_cheap(self) -> int:
        """Characters up to which finding groups is cheap."""
        return self._limit

    def _first(self, text: str, start: int) -> Optional[Places]:
        if len(text) > self._limit:
            return self._threads.search(text, start) if start or self.search(text) else None
        match = self._re.search(text, start)
        if match is None:
            return None
        return tuple(place for group in range(self.groups + 1) for place in match.span(group))
