# SPDX-License-Identifier: Apache-2.0
"""Where a match and its groups are, in time that grows with text times pattern (Pike's machine).

Slower than `re` by far, so only what could cost `re` too much comes here.
"""

from __future__ import annotations

from typing import Dict, List, Optional, Tuple

from tetrapy.filters.regex.budget import Budget
from tetrapy.filters.regex.charset import contains
from tetrapy.filters.regex.program import CHARS, CHECK, MATCH, SAVE, SPLIT, Instruction, holds

_STEPS_PER_PLACE = 200

Places = Tuple[int, ...]  # begin and end of the match, of group 1, ...; -1 for a group without


class Threads:
    """Made of a program; `search` finds the first match, as a backtracking search would."""

    def __init__(self, program: List[Instruction], groups: int) -> None:
        self._program = program
        self._none: Places = (-1,) * (2 * groups + 2)

    def search(self, text: str, start: int, budget: Optional[Budget] = None) -> Optional[Places]:
        """The leftmost match that begins at `start` or later.

        Raises OverBudgetError where that costs more than the budget has.
        """
        program = self._program
        found: Optional[Places] = None
        active: List[Tuple[int, Places]] = []
        before = text[start - 1 : start] if start else ""
        for at in range(start, len(text) + 1):
            after = text[at : at + 1]
            if found is None:
                # A later start is the least preferred.
                active.append((0, (at, *self._none[1:])))
            ready = self._closure(active, at, before, after)
            if budget is not None:
                budget.spend(len(ready) * _STEPS_PER_PLACE)
            active = []
            code = ord(after) if after else -1
            for place, saved in ready.items():
                kind, argument, then = program[place]
                if kind == MATCH:
                    found = (saved[0], at, *saved[2:])
                    break  # what follows is less preferred
                if kind == CHARS and contains(argument, code):
                    active.append((then, saved))
            if found is not None and not active:
                break
            before = after
        return found

    def _closure(
        self, active: List[Tuple[int, Places]], at: int, before: str, after: str
    ) -> Dict[int, Places]:
        """All places that are reached without a character, the most preferred first."""
        ready: Dict[int, Places] = {}
        todo = active[::-1]
        while todo:
            place, saved = todo.pop()
            if place in ready:
                continue
            ready[place] = saved
            kind, argument, then = self._program[place]
            if kind == SPLIT:
                todo += ((argument, saved), (then, saved))
            elif kind == SAVE:
                todo.append((then, (*saved[:argument], at, *saved[argument + 1 :])))
            elif kind == CHECK and holds(argument, before, after):
                todo.append((then, saved))
        return ready
