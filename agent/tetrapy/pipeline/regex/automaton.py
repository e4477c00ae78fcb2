"""Whether a pattern matches anywhere in a text, in time that grows with the text only.

The ways through the pattern that are open after a character are a state; where a state goes with a
character is worked out once and kept, so that a text costs one look-up a character.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, List, Optional, Set, Tuple

from tetrapy.pipeline.regex.charset import contains
from tetrapy.pipeline.regex.program import CHARS, CHECK, MATCH, SPLIT, Instruction, holds, is_word

# Transitions times instructions that are kept at most, and transitions at least: a few MB.
_MEMORY = 1_000_000
_LEAST = 100

_Key = Tuple[FrozenSet[int], str]


class _State:
    __slots__ = ("before", "places", "then")

    def __init__(self, places: FrozenSet[int], before: str) -> None:
        self.places = places
        self.before = before  # stands for the character before, as far as assertions tell
        self.then: Dict[str, Optional[_State]] = {}  # None: it matches


class Automaton:
    """Made of a program; `search` tells whether a text has a match."""

    def __init__(self, program: List[Instruction]) -> None:
        self._program = program
        self._checks = any(kind == CHECK for kind, _, _ in program)
        self._states: Dict[_Key, _State] = {}
        self._kept = 0
        self._room = max(_MEMORY // len(program), _LEAST)

    def search(self, text: str) -> bool:
        """Whether the pattern matches somewhere in `text`."""
        state = self._state(frozenset(), "")
        for char in text:
            then = state.then.get(char, state)
            # A state that stays itself is kept like any other; `state` here means: not known yet.
            if then is state and char not in state.then:
                then = self._step(state, char)
            if then is None:
                return True
            state = then
        return self._open(state, "") is None

    def _state(self, places: FrozenSet[int], before: str) -> _State:
        key = (places, before)
        state = self._states.get(key)
        if state is None:
            state = self._states[key] = _State(places, before)
        return state

    def _step(self, state: _State, char: str) -> Optional[_State]:
        if self._kept >= self._room:
            # Texts that do not repeat themselves: begin anew.
            self._states.clear()
            self._kept = 0
            state.then.clear()
        self._kept += 1
        takers = self._open(state, char)
        then = None
        if takers is not None:
            code = ord(char)
            program = self._program
            places = frozenset(program[at][2] for at in takers if contains(program[at][1], code))
            then = self._state(places, self._class_of(char))
        state.then[char] = then
        return then

    def _class_of(self, char: str) -> str:
        if not self._checks:
            return "x"
        if char == "\n":
            return char
        return "x" if is_word(char) else " "

    def _open(self, state: _State, after: str) -> Optional[Set[int]]:
        """The CHARS that may take `after`; None when the pattern has matched before it."""
        todo = [0, *state.places]  # a match may begin anywhere
        seen = set(todo)
        takers = set()
        while todo:
            at = todo.pop()
            kind, argument, then = self._program[at]
            if kind == CHARS:
                takers.add(at)
                continue
            if kind == MATCH:
                return None
            ways = (then, argument) if kind == SPLIT else (then,)
            if kind == CHECK and not holds(argument, state.before, after):
                continue
            for way in ways:
                if way not in seen:
                    seen.add(way)
                    todo.append(way)
        return takers
