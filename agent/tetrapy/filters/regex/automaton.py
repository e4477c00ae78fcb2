# SPDX-License-Identifier: Apache-2.0
"""Whether a pattern matches anywhere in a text, in time that grows with the text only.

The ways through the pattern that are open after a character are a state; where a state goes with a
class of characters is worked out once and kept, so that a text costs one look-up a character.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Optional, Set, Tuple

from tetrapy.filters.regex.alphabet import Alphabet
from tetrapy.filters.regex.budget import Budget
from tetrapy.filters.regex.charset import contains
from tetrapy.filters.regex.program import CHARS, CHECK, MATCH, SPLIT, Instruction, holds, is_word

# Transitions times instructions that are kept at most, and transitions at least: a few MB.
_MEMORY = 1_000_000
_MIN_COUNT = 100

PIECE = 1024  # characters between two looks whether it has matched
STEPS_PER_CHARACTER = 6
STEPS_PER_PLACE = 60  # that is looked at for a transition that is not known yet

_Key = Tuple[FrozenSet[int], str]
_State = List[Any]  # class -> the next state, or None for one that is not known; last the key


class Automaton:
    """Made of a program; `search` tells whether a text has a match."""

    def __init__(self, program: List[Instruction]) -> None:
        self._program = program
        self._checks = any(kind == CHECK for kind, _, _ in program)
        self._alphabet = Alphabet(program)
        self._states: Dict[_Key, _State] = {}
        self._kept = 0
        self._looked_at = 0  # places, for the last transition
        self._room = max(_MEMORY // len(program), _MIN_COUNT)
        self._matched: _State = []
        self._matched += [self._matched] * len(self._alphabet.samples)

    def search(self, text: str, budget: Optional[Budget] = None) -> bool:
        """Whether the pattern matches somewhere in `text`.

        Raises OverBudgetError where that costs more than the budget has.
        """
        if budget is not None:
            # At once: a text that is too long is to leave something to cheaper patterns.
            budget.spend(len(text) * STEPS_PER_CHARACTER)
        state = self._state(frozenset(), "")
        for start in range(0, len(text), PIECE):
            piece = text[start : start + PIECE]
            for number in self._alphabet.numbers(piece):
                then = state[number]
                state = self._step(state, number, budget) if then is None else then
            if state is self._matched:
                return True
        places, before = state[-1]
        return self._open(places, before, "") is None

    def _state(self, places: FrozenSet[int], before: str) -> _State:
        """`before` stands for the character before, as far as assertions tell."""
        key = (places, before)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = [None] * len(self._alphabet.samples) + [key]
        return state

    def _step(self, state: _State, number: int, budget: Optional[Budget]) -> _State:
        if self._kept >= self._room:
            # Too many states: begin anew.
            self._states.clear()
            self._kept = 0
            state[:-1] = [None] * (len(state) - 1)
        self._kept += 1
        char = self._alphabet.samples[number]
        places, before = state[-1]
        takers = self._open(places, before, char)
        if budget is not None:
            budget.spend(self._looked_at * STEPS_PER_PLACE)
        if takers is None:
            then = self._matched
        else:
            code = ord(char)
            program = self._program
            places = frozenset(program[at][2] for at in takers if contains(program[at][1], code))
            then = self._state(places, self._class_of(char))
        state[number] = then
        return then

    def _class_of(self, char: str) -> str:
        if not self._checks:
            return "x"
        if char == "\n":
            return char
        return "x" if is_word(char) else " "

    def _open(self, places: FrozenSet[int], before: str, after: str) -> Optional[Set[int]]:
        """The CHARS that may take `after`; None when the pattern has matched before it."""
        todo = [0, *places]  # a match may begin anywhere
        seen = set(todo)
        takers = set()
        while todo:
            at = todo.pop()
            kind, argument, then = self._program[at]
            if kind == CHARS:
                takers.add(at)
                continue
            if kind == MATCH:
                self._looked_at = len(seen)
                return None
            ways = (then, argument) if kind == SPLIT else (then,)
            if kind == CHECK and not holds(argument, before, after):
                continue
            for way in ways:
                if way not in seen:
                    seen.add(way)
                    todo.append(way)
        self._looked_at = len(seen)
        return takers
