"""Regular expressions: Go's syntax, RE2's meaning, linear time."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.errors import SettingsError
from tetrapy.pipeline.regex import automaton
from tetrapy.pipeline.regex.regex import STEPS, Regex

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


def test_re_is_used_only_where_its_steps_are_bounded() -> None:
    """The longest text for `re` falls with the repetitions; nested ones keep `re` out."""
    assert Regex("^/usr/bin/").longest_cheap > 1 << 30
    assert Regex("bash$").longest_cheap > 1 << 30
    for pattern, power in [("a.*b", 2), (r"x\s*y\s*z", 3)]:
        limit = Regex(pattern).longest_cheap
        assert limit**power <= STEPS < (limit + 1) ** power
    assert Regex("(a+)+").longest_cheap == 0
    assert Regex("(a|b)*").longest_cheap == 0
    assert Regex("(?:x|y)" * 9).longest_cheap == 0


def test_what_the_automaton_remembers_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A text of ever new characters makes it begin anew, and the answer stays right."""
    monkeypatch.setattr(automaton, "_MEMORY", 0)
    monkeypatch.setattr(automaton, "_LEAST", 50)
    regex = Regex("(a.*)*z$")
    text = "a" + "".join(map(chr, range(0x4E00, 0x5000)))
    assert not regex.search(text)
    assert regex.search(text + "z")
    assert sum(len(state.then) for state in regex._automaton._states.values()) <= 51


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
