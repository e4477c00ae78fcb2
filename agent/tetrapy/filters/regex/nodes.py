# SPDX-License-Identifier: Apache-2.0
"""The tree of a regular expression."""

from __future__ import annotations

from typing import Any, Tuple

from tetrapy.filters.regex.charset import Ranges
from tetrapy.named import NamedTuple

TEXT_START, TEXT_END, LINE_START, LINE_END, WORD_EDGE, NO_WORD_EDGE = range(6)
UNLIMITED = -1


class Chars(NamedTuple):
    """One character out of a set."""

    ranges: Ranges


class Assertion(NamedTuple):
    """A place between characters: TEXT_START ... NO_WORD_EDGE."""

    kind: int


class Sequence(NamedTuple):
    """One part after the other; without parts, the empty text."""

    parts: Tuple[Any, ...]


class Choice(NamedTuple):
    """The first part that leads to a match."""

    parts: Tuple[Any, ...]


class Repeat(NamedTuple):
    """`body` at least `low` and at most `high` times, as often as possible if `greedy`."""

    body: Any
    low: int
    high: int
    greedy: bool


class Group(NamedTuple):
    """A capture group; they are counted from 1."""

    number: int
    body: Any
