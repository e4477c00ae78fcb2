# SPDX-License-Identifier: Apache-2.0
"""How many steps a search by backtracking, as `re` does it, can take for a text.

From one place a backtracking search follows every way through the pattern. A repetition that can
give a character back to what follows it has as many ways as characters; one that cannot has one. So
the ways are counted by the repetitions of the first kind that have another repetition behind them.
The places where a search can begin are those of a literal that every match begins with.
"""

from __future__ import annotations

import re
from typing import Any, Optional

from tetrapy.filters.regex import nodes
from tetrapy.filters.regex.charset import ALL, Ranges, union
from tetrapy.filters.regex.literals import Literals, prefixes
from tetrapy.filters.regex.translate import set_pattern
from tetrapy.named import NamedTuple

_MAX_WAYS = 1024  # through choices
_LONG = 16  # from here on a counted repetition is one like others
_DEEP_LENGTH = 4096  # `re` keeps a hundred bytes for each turn of a repetition of more than a set
_START = 4  # steps to begin at a place
_UNBOUNDED = 1 << 60
_LOOKED_AT = 16_384  # characters of a text whose stretches are measured


class _Part(NamedTuple):
    """What a part of the pattern adds."""

    first: Ranges  # characters that it can begin with
    nullable: bool  # whether it can match nothing
    certain: bool = False  # whether it always matches
    powers: int = 0  # repetitions that give back, with another behind them
    loops: bool = False
    fails_late: bool = False  # a repetition can be run through, and fail all the same
    ways: int = 1  # through choices
    deep: bool = False  # a repetition of more than a set
    risky: bool = False  # a repetition that can do the same in several ways


class _Behind(NamedTuple):
    """What comes behind a part."""

    first: Ranges = ()
    certain: bool = True
    fails_late: bool = False

    def after(self, part: _Part) -> _Behind:
        """The same for what stands in front of `part`."""
        return _Behind(
            union([*part.first, *self.first]) if part.nullable else part.first,
            part.certain and self.certain,
            part.fails_late or self.fails_late,
        )


class Cost:
    """The bound for one pattern."""

    def __init__(self, tree: Any) -> None:
        whole = _part(tree, _Behind())
        self.starts_at_start = starts_at_start(tree)
        self._power = whole.powers + whole.loops
        self._ways = whole.ways
        self._risky = whole.risky or whole.ways > _MAX_WAYS
        self._deep = whole.deep
        self._prefixes: Optional[Literals] = None if self.starts_at_start else prefixes(tree)
        used = union(one for ranges in _sets(tree) for one in ranges)
        # What no part of the pattern takes ends every way.
        self._reach = re.compile(set_pattern(used) + "+") if used and used != ALL else None

    def longest(self, steps: int) -> int:
        """Characters up to which every text costs no more than this."""
        if self._risky:
            return 0
        if self.starts_at_start and not self._power:
            return _UNBOUNDED
        length = 0
        for bit in range(30, -1, -1):
            if self._bound(length + (1 << bit), length + (1 << bit)) <= steps:
                length += 1 << bit
        return length

    def steps(self, text: str, most: int) -> int:
        """The bound for this text; looked at no closer once it is below `most`."""
        length = len(text)
        if self._risky or (self._deep and length > _DEEP_LENGTH):
            return _UNBOUNDED
        starts = 1 if self.starts_at_start else length
        if self._prefixes is not None:
            starts = min(starts, self._prefixes.count(text))
        found = self._bound(starts, length)
        if found <= most or self._reach is None or not self._power or length > _LOOKED_AT:
            return found
        # No way leads from one stretch of characters that the pattern knows to another.
        lengths = [len(one) + 1 for one in self._reach.findall(text)]
        if starts < length:
            return self._bound(starts, max(lengths, default=1))
        return length * _START + sum(self._bound(one, one) for one in lengths)

    def _bound(self, starts: int, reach: int) -> int:
        return int(starts * self._ways * (_START + (reach**self._power if self._power else 0)))


def starts_at_start(node: Any) -> bool:
    """Whether a match can only begin where the text does."""
    if isinstance(node, nodes.Group):
        return starts_at_start(node.body)
    if isinstance(node, nodes.Sequence):
        return bool(node.parts) and starts_at_start(node.parts[0])
    if isinstance(node, nodes.Choice):
        return all(map(starts_at_start, node.parts))
    return isinstance(node, nodes.Assertion) and node.kind == nodes.TEXT_START


def _meet(one: Ranges, other: Ranges) -> bool:
    """Whether two sets have a character in common."""
    return any(low <= last and first <= high for low, high in one for first, last in other)


def _part(node: Any, behind: _Behind) -> _Part:
    if isinstance(node, nodes.Chars):
        return _Part(node.ranges, False)
    if isinstance(node, nodes.Assertion):
        return _Part((), True)
    if isinstance(node, nodes.Group):
        return _part(node.body, behind)
    if isinstance(node, nodes.Sequence):
        return _sequence(node, behind)
    if isinstance(node, nodes.Choice):
        return _choice(node, behind)
    return _repeat(node, behind)


def _sequence(node: nodes.Sequence, behind: _Behind) -> _Part:
    out = _Part((), True, True)
    for part in reversed(node.parts):
        one = _part(part, behind)
        behind = behind.after(one)
        out = _Part(
            union([*one.first, *out.first]) if one.nullable else one.first,
            one.nullable and out.nullable,
            one.certain and out.certain,
            one.powers + out.powers,
            one.loops or out.loops,
            one.fails_late or out.fails_late,
            one.ways * out.ways,
            one.deep or out.deep,
            one.risky or out.risky,
        )
    return out


def _choice(node: nodes.Choice, behind: _Behind) -> _Part:
    parts = [_part(part, behind) for part in node.parts]
    # Where the next character tells the branches apart, one way is left.
    known: Ranges = ()
    apart = not any(part.nullable for part in parts)
    for part in parts:
        apart = apart and not _meet(known, part.first)
        known = union([*known, *part.first])
    ways = [part.ways for part in parts]
    return _Part(
        known,
        any(part.nullable for part in parts),
        any(part.certain for part in parts),
        max(part.powers for part in parts),
        any(part.loops for part in parts),
        any(part.fails_late for part in parts),
        max(ways) if apart else sum(ways),
        any(part.deep for part in parts),
        any(part.risky for part in parts),
    )


def _repeat(node: nodes.Repeat, behind: _Behind) -> _Part:
    if node.high == 0:
        return _Part((), True, True)
    plain = _part(node.body, behind)
    nullable = plain.nullable or not node.low
    certain = plain.certain or not node.low
    if node.high == 1:
        apart = node.low or not (plain.nullable or _meet(plain.first, behind.first))
        return plain._replace(nullable=nullable, certain=certain, ways=plain.ways + (not apart))
    varies = node.low != node.high
    gives_back = varies and _meet(plain.first, behind.first)
    powers = int(gives_back and behind.fails_late)
    # With nothing behind that can fail, a repetition that has begun is the end of the search.
    late = not behind.certain or node.low > _LONG
    group = isinstance(node.body, nodes.Group)
    if isinstance(node.body.body if group else node.body, nodes.Chars):
        loops = varies or node.low > _LONG
        return _Part(plain.first, nullable, certain, powers, loops, loops and late, deep=group)
    # A turn is followed by another one, or by what follows all of them.
    again = _Behind(union([*plain.first, *behind.first]), False, True)
    turn = _part(node.body, again)
    risky = turn.risky or turn.nullable or turn.powers > 0 or turn.ways > 1
    risky = risky or (turn.loops and gives_back)
    return _Part(plain.first, nullable, certain, powers, True, True, turn.ways, True, risky)


def _sets(node: Any) -> Any:
    """All sets of the pattern."""
    if isinstance(node, nodes.Chars):
        return [node.ranges]
    if isinstance(node, (nodes.Sequence, nodes.Choice)):
        return [one for part in node.parts for one in _sets(part)]
    return [] if isinstance(node, nodes.Assertion) else _sets(node.body)
