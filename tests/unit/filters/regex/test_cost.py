# SPDX-License-Identifier: Apache-2.0
"""What a search costs: bounds of its steps, and budgets that are kept to."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.unit.filters.regex.regex_patterns import patterns
from tetrapy.filters.regex import nodes
from tetrapy.filters.regex.budget import STEPS, Budget, OverBudgetError
from tetrapy.filters.regex.charset import contains
from tetrapy.filters.regex.cost import Cost
from tetrapy.filters.regex.parser import parse
from tetrapy.filters.regex.program import holds
from tetrapy.filters.regex.regex import FREE, Regex


class Backtracking:
    """A search as `re` does it, one step for each node that is tried; `steps` counts them."""

    def __init__(self, tree: Any) -> None:
        self.steps = 0
        self._tree = tree

    def search(self, text: str) -> None:
        self._text = text
        for start in range(len(text) + 1):
            if self._tried(self._tree, start, lambda at: True):
                return

    def _tried(self, node: Any, at: int, then: Callable[[int], bool]) -> bool:
        self.steps += 1
        text = self._text
        if isinstance(node, nodes.Chars):
            return at < len(text) and contains(node.ranges, ord(text[at])) and then(at + 1)
        if isinstance(node, nodes.Assertion):
            return holds(node.kind, text[at - 1 : at] if at else "", text[at : at + 1]) and then(at)
        if isinstance(node, nodes.Group):
            return self._tried(node.body, at, then)
        if isinstance(node, nodes.Choice):
            return any(self._tried(part, at, then) for part in node.parts)
        if isinstance(node, nodes.Sequence):
            return self._in_turn(node.parts, at, then)
        return self._again(node, 0, at, then)

    def _in_turn(self, parts: Any, at: int, then: Callable[[int], bool]) -> bool:
        if not parts:
            return then(at)
        return self._tried(parts[0], at, lambda end: self._in_turn(parts[1:], end, then))

    def _again(self, node: Any, count: int, at: int, then: Callable[[int], bool]) -> bool:
        def more(end: int) -> bool:
            return (end > at or count < node.low) and self._again(node, count + 1, end, then)

        goes_on = node.high == nodes.UNLIMITED or count < node.high
        ways = [lambda: goes_on and self._tried(node.body, at, more)]
        ways.insert(node.greedy, lambda: count >= node.low and then(at))
        return any(way() for way in ways)


def size(node: Any) -> int:
    """Nodes of a tree, those that are repeated as often as they are."""
    if isinstance(node, (nodes.Sequence, nodes.Choice)):
        return 1 + sum(map(size, node.parts))
    if isinstance(node, nodes.Repeat):
        return 1 + size(node.body) * max(1, node.low, min(node.high, 20))
    return 1 + (size(node.body) if isinstance(node, nodes.Group) else 0)


@pytest.mark.slow
@given(patterns, st.text("ab1_ ", max_size=16))
@example("(?:a*)(?:a*)b", "a" * 16)
@example("(?:a+b?)+c", "a" * 16)
@example("(?:a|ab)(?:b|c|bc)d", "ab" * 8)
@example("a*[ab]*1", "a" * 16)
@example("a*a", "a" * 16)
def test_no_search_takes_more_steps_than_the_bound(pattern: str, text: str) -> None:
    """What is left to `re` is bounded: a search that counts its steps never has more."""
    tree, _ = parse(pattern)
    bound = Cost(tree).steps(text, 0)
    if bound < 1 << 40:  # else `re` is not used
        search = Backtracking(tree)
        search.search(text)
        assert search.steps <= (bound + 4) * 4 * size(tree)


@pytest.mark.parametrize(
    ("pattern", "power"),
    [
        ("^/usr/bin/(sleep|true)$", 0),
        ("foo.*bar", 1),
        (r"(?:--password|-p)[\s=]+(\S+)", 1),  # what is behind cannot fail late
        (r"x\s*y\s*z", 1),  # no repetition can give back what stands behind it
        ("x.*y.*z", 2),
        ("(.*)(.*)(.*)x", 3),
    ],
)
def test_powers(pattern: str, power: int) -> None:
    """Repetitions count that can give characters back to a repetition behind them."""
    assert Cost(parse(pattern)[0])._power == power


@pytest.mark.parametrize("pattern", ["(a+)+", "(a|ab)*c", "(a*)*", "(?:a?){50}", "(a|b|ab){20}"])
def test_a_repetition_of_many_ways_is_not_for_re(pattern: str) -> None:
    """Not even for a short text."""
    assert Cost(parse(pattern)[0]).longest(STEPS) == 0


PATTERNS = [
    r"(?:--password|-p)[= ]*([^ ]+)",
    r"--token(?:=|\s+)(\S+)",
    r"(?i)(?:password|passwd|pwd|secret|token|api[_-]?key)\s*[=:]\s*(\S+)",
    r"://[^:/@ ]+:([^@ ]+)@",
    r"\b([A-Za-z0-9+/]{40,})={0,2}\b",
    r"(?:AKIA|ASIA)[A-Z0-9]{16}",
    "password=(\"[^\"]*\"|'[^']*'|\\S+)",
    r"eyJ[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.([A-Za-z0-9_-]+)",
    r"(?i)\pL+ (\w+ )*x$",
    "(a+)+$",
    "(.*)(.*)(.*)x",
    "(?:a?){200}a{200}x",
]
LONG = 1 << 18
TEXTS = {
    "one character": "a" * LONG,
    "ever other characters": "".join(map(chr, range(0x4E00, 0x9E00))) * 4,
    "beyond 16 bits": "".join(map(chr, range(0x10000, 0x20000))),
    "passwords": "--password=x " * (LONG // 13),
    "quotes that do not end": 'password="x ' * (LONG // 12),
    "addresses": "https://u:p@h/ " * (LONG // 15),
    "beginnings": "eyJeyJ." * (LONG // 7),
    "spaces": " " * LONG,
    "folded": "\u017fecret \u212aey " * (LONG // 12),
}


def calls(act: Callable[[], object]) -> int:
    """How many functions, of Python and of C, are called meanwhile."""
    count = 0

    def note(frame: object, event: str, argument: object) -> None:
        nonlocal count
        count += event in {"call", "c_call"}

    sys.setprofile(note)
    try:
        act()
    finally:
        sys.setprofile(None)
    return count


@pytest.mark.slow
@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("pattern", PATTERNS)
def test_a_long_text_costs_no_more_than_its_budget(pattern: str, text: str) -> None:
    """An answer, or the word that it would cost too much: within a bounded number of calls."""
    regex = Regex(pattern)
    outcomes = []

    def ask() -> None:
        try:
            outcomes.append(list(regex.matches(text, Budget())))
        except OverBudgetError:
            outcomes.append([])

    assert calls(ask) < STEPS // 10


def test_a_budget_is_shared_and_never_overdrawn() -> None:
    """What one pattern has spent another has no more."""
    budget = Budget(FREE * 10)
    regex, text = Regex("(a+)+$"), "a" * 10_000 + "b"
    assert not regex.search(text, budget)
    assert 0 <= budget.left < FREE * 10 - 50_000
    with pytest.raises(OverBudgetError):
        regex.search(text, budget)
    assert budget.left >= 0
