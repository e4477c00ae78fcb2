"""Regular expressions: Go's syntax, RE2's meaning, linear time."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tetrapy.errors import SettingsError
from tetrapy.pipeline.regex import automaton, nodes, program
from tetrapy.pipeline.regex.budget import STEPS, Budget, OverBudgetError
from tetrapy.pipeline.regex.charset import contains
from tetrapy.pipeline.regex.cost import Cost
from tetrapy.pipeline.regex.literals import prefixes, required
from tetrapy.pipeline.regex.parser import parse
from tetrapy.pipeline.regex.program import holds
from tetrapy.pipeline.regex.regex import FREE, Regex

# What google-re2 1.1.20251105 answers: pattern, text, and the places of match and groups or null.
RE2 = json.loads((Path(__file__).parent / "data/regex/re2.json").read_text())

atoms = st.sampled_from(
    r"a b c ab . \d \w \W \s [a-c] [^a] \b ^ $ \A \z [[:alpha:]] \pL \PN (?i) (?s) (?m)".split()
)
patterns = st.recursive(
    atoms,
    lambda inner: st.one_of(
        st.tuples(inner, inner).map("".join),
        st.tuples(inner, inner).map(lambda two: f"(?:{two[0]}|{two[1]})"),
        inner.map("({})".format),
        st.tuples(inner, st.sampled_from("* + ? *? +? ?? {2} {1,3} {0,2}?".split())).map(
            lambda both: f"(?:{both[0]}){both[1]}"
        ),
    ),
    max_leaves=8,
)
texts = st.text("aAbBc1_ \né", max_size=12)


@pytest.mark.parametrize("engine", ["chosen", "automaton", "threads"])
def test_matches_are_those_of_re2(engine: str) -> None:
    """Each way to match gives what RE2 gives, for 1,401 patterns and texts."""
    wrong = []
    for pattern, text, places in RE2["matches"]:
        regex = Regex(pattern)
        if engine == "automaton":
            found, expected = regex._automaton.search(text), places is not None
        elif engine == "threads":
            first = regex._threads.search(text, 0)
            found, expected = first and list(first), places
        else:
            assert regex.search(text) == (places is not None)
            first = next(regex.matches(text), None)
            found, expected = first and list(first), places
        if found != expected:
            wrong.append((pattern, text, expected, found))
    assert wrong == []


@pytest.mark.parametrize("pattern", RE2["refused"])
def test_what_re2_refuses_is_refused(pattern: str) -> None:
    """The error quotes the pattern."""
    with pytest.raises(SettingsError) as info:
        Regex(pattern)
    assert f'"{pattern}" does not parse: ' in str(info.value)


@given(patterns, texts)
def test_the_ways_to_match_agree(pattern: str, text: str) -> None:
    """`re`, the automaton and the threads find the same, whatever the pattern."""
    regex = Regex(pattern)
    found = re.compile(regex._re.pattern, re.ASCII).search(text)
    assert regex._automaton.search(text) == (found is not None)
    places = regex._threads.search(text, 0)
    assert (places is None) == (found is None)
    if found and places:
        assert places[:2] == found.span()


@given(st.text(max_size=30) | st.text("()[]{}|*+?\\^$.-:,<>PimsUQExdpLaz019", max_size=30))
def test_any_text_is_a_pattern_or_an_error_of_ours(text: str) -> None:
    """Nothing but SettingsError leaves the parser, and what it takes can be searched for."""
    try:
        regex = Regex(text)
    except SettingsError:
        return
    regex.search("some text of a process")


@given(st.text(max_size=12))
def test_a_text_is_found_by_its_quotation(text: str) -> None:
    r"""\Q...\E stands for the text itself."""
    if "\\E" not in text and not text.endswith("\\"):
        assert Regex(rf"^\Q{text}\E$").search(text)


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("foo.*bar", "foo" * 80_000),
        ("(a+)+$", "a" * 250_000 + "b"),
        ("(a|a)*b", "a" * 250_000),
        ("(.*)(.*)(.*)x", "a" * 250_000),
        ("(?:a?){200}a{200}x", "a" * 2000),
    ],
)
def test_a_hostile_text_takes_no_longer_than_its_length(pattern: str, text: str) -> None:
    """Where `re` would take hours or more, the answer comes: the text does not match."""
    assert not Regex(pattern).search(text)
    assert list(Regex(pattern).matches(text)) == []


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


@given(patterns, texts)
def test_every_match_has_what_is_required(pattern: str, text: str) -> None:
    """A text without the literals has no match, and no match begins but with a prefix."""
    tree, _ = parse(pattern)
    found = re.compile(Regex(pattern)._re.pattern, re.ASCII).search(text)
    needed, begun = required(tree), prefixes(tree)
    if found:
        assert needed is None or not needed.are_absent(found.group())
        assert begun is None or begun.place(found.group()).startswith(begun.texts)


@pytest.mark.parametrize(
    ("pattern", "texts"),
    [
        ("foo.*bar", {"foo"}),
        ("[a-z]+_key=(.*)", {"_key="}),
        ("(?:--password|-p)=x", {"--password=x", "-p=x"}),
        ("(?i)secret", {"secret"}),
        ("(?i)[a-z]+key", {"key"}),
        ("a?b?", set()),
        (".*", set()),
    ],
)
def test_literals(pattern: str, texts: set[str]) -> None:
    """The longest run that every match has; without case where the pattern tells none apart."""
    found = required(parse(pattern)[0])
    assert set(found.texts if found else ()) == texts


def test_folded_literals_know_all_cases() -> None:
    """The Kelvin sign and the long s are letters of ASCII in other cases."""
    regex = Regex("(?i)x.*secret_key")
    for text in ("xSECRET_KEY", "x\u017fecret_\u212aey", "X\u00dfSecret_Key"):
        assert regex.search(text + " " * 1000)
    assert not regex.search("x" + "secret-key" * 100)


def test_what_the_automaton_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text that leads to ever new states makes it begin anew, and the answer stays right."""
    monkeypatch.setattr(automaton, "_MEMORY", 0)
    monkeypatch.setattr(automaton, "_LEAST", 50)
    regex = Regex("a[ab]{12}(b|c+)*z$")
    text = "".join("ab"[number.bit_count() % 2] for number in range(5000)) + "a" + "b" * 12
    assert not regex._automaton.search(text)
    assert regex._automaton.search(text + "z")
    known = [one for state in regex._automaton._states.values() for one in state[:-1]]
    assert sum(one is not None for one in known) <= 51


@given(patterns, texts | st.text(max_size=12))
def test_classes_tell_all_apart_that_the_pattern_does(pattern: str, text: str) -> None:
    """Characters of one class are in the same sets, however the classes were found."""
    regex = Regex(pattern)
    alphabet = regex._automaton._alphabet
    numbers = alphabet.numbers(text)
    assert len(numbers) == len(text)
    for char, number in zip(text, numbers, strict=True):
        for kind, ranges, _ in regex._automaton._program:
            if kind == program.CHARS:
                sample = alphabet.samples[number]
                assert contains(ranges, ord(char)) == contains(ranges, ord(sample))


def test_counted_repetitions_are_bounded() -> None:
    """A pattern that grows too long when it is written out is refused."""
    with pytest.raises(SettingsError, match="too long"):
        Regex("(?:[a-z]{0,500}[0-9]{0,500}){2}" * 30)
    with pytest.raises(SettingsError, match="deep"):
        Regex("(" * 200 + ")" * 200)


def test_all_matches_are_those_of_go() -> None:
    """An empty match right behind another match is none (Go, ReplaceAll)."""
    assert [places[:2] for places in Regex("a*").matches("baac")] == [(0, 0), (1, 3), (4, 4)]
    assert [places[:2] for places in Regex("(a)|b").matches("abba")] == [
        (0, 1),
        (1, 2),
        (2, 3),
        (3, 4),
    ]
