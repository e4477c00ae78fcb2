# SPDX-License-Identifier: Apache-2.0
"""Characters that a pattern does not tell apart, as one small number each.

A state of the automaton then has a row of a few next states, and a text of ever new characters is
to it as good as one character over and over.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Dict, Iterable, List, Sequence, Tuple

from tetrapy.filters.regex.charset import LAST, WORD, Ranges
from tetrapy.filters.regex.program import CHARS, CHECK, Instruction

_ASCII = 128
_KEPT = 4096  # characters beyond ASCII whose class is remembered


class Alphabet:
    """The classes of a program's sets."""

    def __init__(self, program: List[Instruction]) -> None:
        sets = {argument for kind, argument, _ in program if kind == CHARS}
        if any(kind == CHECK for kind, _, _ in program):
            sets |= {WORD, ((10, 10),)}  # what assertions tell apart
        self._cuts = sorted({0, _ASCII, *_borders(sets)})
        self._numbers, self.samples = _classes(self._cuts, sets)
        ascii_numbers = bytes(
            min(self._numbers[bisect_right(self._cuts, code) - 1], 255) for code in range(_ASCII)
        )
        self._few = len(self.samples) < 255
        self._table = ascii_numbers + bytes([min(self.number(chr(_ASCII)), 255)]) * _ASCII
        # Beyond ASCII all are one: then the first bytes of their UTF-8 tell enough.
        self._only_ascii = self._few and self._cuts[-1] == _ASCII
        self._known: Dict[str, int] = {}

    def number(self, char: str) -> int:
        """The class of a character."""
        return self._numbers[bisect_right(self._cuts, ord(char)) - 1]

    def numbers(self, text: str) -> Sequence[int]:
        """The classes of all characters of a text."""
        if self._few and (self._only_ascii or text.isascii()):
            return text.encode("utf-8", "surrogatepass").translate(self._table, _CONTINUATIONS)
        known = self._known
        for char in set(text).difference(known):
            if len(known) >= _KEPT:
                known.clear()
                return [self.number(one) for one in text]
            known[char] = self.number(char)
        return [known[char] for char in text]


_CONTINUATIONS = bytes(range(0x80, 0xC0))  # of a character's UTF-8, all bytes but the first


def _borders(sets: Iterable[Ranges]) -> Iterable[int]:
    for ranges in sets:
        for low, high in ranges:
            yield low
            if high < LAST:
                yield high + 1


def _classes(cuts: List[int], sets: Any) -> Tuple[List[int], List[str]]:
    """The class of each stretch between two cuts, and a character of each class."""
    members: List[List[int]] = [[] for _ in cuts]
    for number, ranges in enumerate(sets):
        for low, high in ranges:
            for at in range(bisect_right(cuts, low) - 1, bisect_right(cuts, high)):
                members[at].append(number)
    known: Dict[Tuple[int, ...], int] = {}
    samples: List[str] = []
    numbers = []
    for cut, held in zip(cuts, members):
        key = tuple(held)
        if key not in known:
            known[key] = len(samples)
            samples.append(chr(cut))
        numbers.append(known[key])
    return numbers, samples
