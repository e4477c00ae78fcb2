# SPDX-License-Identifier: Apache-2.0
"""Tree -> instructions of a machine that follows all ways through a pattern at once.

Thompson's construction: `CHARS` takes a character, `SPLIT` goes two ways and prefers the first,
`SAVE` notes where a group begins or ends, `CHECK` goes on where an assertion holds.
"""

from __future__ import annotations

from typing import Any, List, Tuple

from tetrapy.errors import SettingsError
from tetrapy.filters.regex import nodes
from tetrapy.filters.regex.charset import WORD, contains

CHARS, SPLIT, SAVE, CHECK, MATCH = range(5)

Instruction = Tuple[int, Any, int]  # kind, its argument, the next instruction (a SPLIT's first)

_MAX_LENGTH = 20_000
_LINE_FEED = "\n"


def compiled(tree: Any, pattern: str) -> List[Instruction]:
    """The instructions; the last one is MATCH and the first to run is at the index 0.

    Raises SettingsError when counted repetitions make the pattern too long.
    """
    writer = _Writer(pattern)
    start = writer.write(tree, writer.add(MATCH, None, 0))
    # From the end to the start, so that 0 is where it starts.
    last = len(writer.out) - 1
    if start != last:
        start = writer.add(SPLIT, start, start)
        last += 1
    return [
        (kind, last - argument if kind == SPLIT else argument, last - then)
        for kind, argument, then in reversed(writer.out)
    ]


class _Writer:
    """Writes each part in front of what follows it, so that all targets are known."""

    def __init__(self, pattern: str) -> None:
        self.out: List[Instruction] = []
        self._pattern = pattern

    def add(self, kind: int, argument: Any, then: int) -> int:
        if len(self.out) >= _MAX_LENGTH:
            raise SettingsError(
                f'the regular expression "{self._pattern}" is too long'
                " when its counted repetitions are written out"
            )
        self.out.append((kind, argument, then))
        return len(self.out) - 1

    def write(self, node: Any, then: int) -> int:
        if isinstance(node, nodes.Chars):
            return self.add(CHARS, node.ranges, then)
        if isinstance(node, nodes.Assertion):
            return self.add(CHECK, node.kind, then)
        if isinstance(node, nodes.Group):
            end = self.add(SAVE, 2 * node.number + 1, then)
            return self.add(SAVE, 2 * node.number, self.write(node.body, end))
        if isinstance(node, nodes.Sequence):
            for part in reversed(node.parts):
                then = self.write(part, then)
            return then
        if isinstance(node, nodes.Choice):
            starts = [self.write(part, then) for part in node.parts]
            first = starts.pop()
            while starts:
                first = self.add(SPLIT, first, starts.pop())
            return first
        return self._repeat(node, then)

    def _repeat(self, node: nodes.Repeat, then: int) -> int:
        if node.high == nodes.UNLIMITED:
            start = self._loop(node, then)
            again = max(node.low - 1, 0)
            if not node.low:
                start = self._split(node.greedy, start, then)
            then = start
        else:
            # x{0,2} is (?:x(?:x)?)?
            end = then
            for _ in range(node.high - node.low):
                then = self._split(node.greedy, self.write(node.body, then), end)
            again = node.low
        for _ in range(again):
            then = self.write(node.body, then)
        return then

    def _loop(self, node: nodes.Repeat, then: int) -> int:
        """The body once or more."""
        split = self.add(SPLIT, None, 0)
        start = self.write(node.body, split)
        first, second = (start, then) if node.greedy else (then, start)
        self.out[split] = (SPLIT, second, first)
        return start

    def _split(self, greedy: bool, body: int, then: int) -> int:
        return self.add(SPLIT, then, body) if greedy else self.add(SPLIT, body, then)


def holds(kind: int, before: str, after: str) -> bool:
    """Whether an assertion holds between two characters; "" is the end of the text."""
    if kind == nodes.TEXT_START:
        return not before
    if kind == nodes.TEXT_END:
        return not after
    if kind == nodes.LINE_START:
        return not before or before == _LINE_FEED
    if kind == nodes.LINE_END:
        return not after or after == _LINE_FEED
    edge = is_word(before) != is_word(after)
    return edge == (kind == nodes.WORD_EDGE)


def is_word(char: str) -> bool:
    """Whether it is a letter, a digit or _ of ASCII."""
    return bool(char) and contains(WORD, ord(char))
