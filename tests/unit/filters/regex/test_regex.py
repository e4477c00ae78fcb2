# SPDX-License-Identifier: Apache-2.0
"""Regular expressions: Go's syntax, RE2's meaning, linear time."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.paths import DATA
from tests.unit.filters.regex.regex_patterns import patterns
from tetrapy.errors import SettingsError
from tetrapy.filters.regex import automaton, program
from tetrapy.filters.regex.charset import contains
from tetrapy.filters.regex.literals import prefixes, required
from tetrapy.filters.regex.parser import parse
from tetrapy.filters.regex.regex import Regex

# What google-re2 1.1.20251105 answers: pattern, text, and the places of match and groups or null.
RE2 = json.loads((DATA / "regex/re2.json").read_text())

texts = st.text("aAbBc1_ \né", max_size=12)


@pytest.mark.slow
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


@pytest.mark.slow
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


@pytest.mark.slow
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
    monkeypatch.setattr(automaton, "_MIN_COUNT", 50)
    regex = Regex("a[ab]{12}(b|c+)*z$")
    text = "".join("ab"[number.bit_count() % 2] for number in range(5000)) + "a" + "b" * 12
    assert not regex._automaton.search(text)
    assert regex._automaton.search(text + "z")
    known = [one for state in regex._automaton._states.values() for one in state[:-1]]
    assert sum(one is not None for one in known) <= 51


@pytest.mark.slow
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
