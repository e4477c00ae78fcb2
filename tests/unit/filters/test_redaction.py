# SPDX-License-Identifier: Apache-2.0
"""Secrets in arguments and environment."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.errors import SettingsError
from tetrapy.filters.excess import excess
from tetrapy.filters.redaction import MASK, Environment, parse_redaction, redact_text
from tetrapy.filters.regex.regex import Regex

PASSWORD = r"(?:--password|-p)[\s=]+(\S+)"
ARGUMENTS = "--verbose=true --password ybx511!ackt544 --username foobar cheesecake TOPSECRET end"


def redacted(
    filters: list[dict[str, object]],
    arguments: str = "",
    environment: Environment = (),
    binary: str = "/usr/bin/mysql",
) -> tuple[str, Environment]:
    """What these filters leave."""
    redactor = parse_redaction("\n".join(map(json.dumps, filters)), "redaction-filters")
    assert redactor is not None
    return redactor.redact(binary, arguments, environment)


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("(ab)cd", "abcd abef abcd", "*****cd abef *****cd"),
        (PASSWORD, "--password foo -p bar", "--password ***** -p *****"),
        ("(foo(bar))qux", "foobarqux", "*****qux"),
        ("(foo)(bar)", "foobar", "**********"),
        ("(a)|(b)", "ab-ba", "**********-**********"),
        ("(a)?b", "b ab", "b *****b"),
        ("x(y*)", "x xyy", "x***** x*****"),
        ("(x*)", "aab", "*****a*****a*****b*****"),
        ("abc", "abc", "abc"),
        (r"\W(TOPSECRET)\W", "a TOPSECRET b", "a ***** b"),
        # Tetragon replaces nothing here: what is found is matched once more, on its own.
        (r"\Bet=(\S+)", "secret=1", "secret=*****"),
        (r"\bkey:(\d+)\b", "key:12 monkey:13", "key:***** monkey:13"),
        ("(?i)PASS=(.)", "é pass=ü Pass=x", "é pass=***** Pass=*****"),
    ],
)
def test_what_groups_match_is_replaced(pattern: str, text: str, expected: str) -> None:
    """The rest of the text stays, and so do groups without a match."""
    assert redact_text(Regex(pattern), text) == expected
    slow = Regex(pattern)
    slow._free, slow._cost._risky = -1, True
    assert redact_text(slow, text) == expected


def test_patterns_are_applied_in_turn() -> None:
    """All patterns of all filters, each to what the one before left."""
    arguments, _ = redacted([{"redact": [PASSWORD, r"\W(TOPSECRET)\W", "(cheese)cake"]}], ARGUMENTS)
    assert arguments == "--verbose=true --password ***** --username foobar *****cake ***** end"
    arguments, _ = redacted([{"redact": ["(a)"]}, {"redact": [r"\*(\*)b"]}], "ab")
    assert arguments == "*********b"


def test_a_binary_restricts_a_filter() -> None:
    """One of its patterns must match; without any the filter is for all."""
    one = {"binary_regex": ["mysql$", "psql$"], "redact": [PASSWORD]}
    assert redacted([one], "-p x") == ("-p *****", ())
    assert redacted([one], "-p x", binary="/usr/bin/psql") == ("-p *****", ())
    assert redacted([one], "-p x", binary="/bin/sh") == ("-p x", ())
    assert redacted([{"redact": [PASSWORD]}], "-p x", binary="")[0] == "-p *****"


def test_variables_are_redacted_as_name_and_value() -> None:
    """The name may be part of the pattern, or of the secret."""
    environment = (("A", "x"), ("SSH_PASSWORD", "very secret"), ("B", "a=b"))
    assert redacted([{"redact": [r"SSH_PASSWORD=(.+)"]}], "", environment)[1] == (
        ("A", "x"),
        ("SSH_PASSWORD", MASK),
        ("B", "a=b"),
    )
    assert redacted([{"redact": ["(B=)"]}], "", environment)[1][2] == (MASK + "a", "b")
    assert redacted([{"redact": ["^(.*)$"]}], "", environment[:1])[1] == (("invalid", MASK),)


LONG = "x" * 250_000


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        (r"secret\s*=\s*(\S+)", LONG + "secret = 1", LONG + "secret = *****"),
        (r"secret\s*=\s*(\S+)", LONG + "secret", LONG + "secret"),
        ("key=(.{8})", LONG + "key=12345678", LONG + "key=*****"),
        ("(?i)secret=(.)", LONG + "SECRET=1", LONG + "SECRET=*****"),
        # The text is too much for these, so that nothing of it is shown:
        (r"((?:x|y|xy)+z)", LONG + "z", MASK),
        (r"((?:x|y|xy)+z)", LONG, LONG),  # there is no z
        (r"secret\s*=\s*(\S+)", "secret=" * 30_000 + "1", MASK),
        ("(x)", LONG, MASK),
    ],
)
def test_a_long_text(pattern: str, text: str, expected: str) -> None:
    """It is redacted as others are while that is cheap, and replaced as a whole else."""
    counts = excess.counts.get("redaction-filters", 0)
    assert redacted([{"redact": [pattern]}], text)[0] == expected
    assert excess.counts.get("redaction-filters", 0) == counts + (expected == MASK)


@pytest.mark.slow
def test_many_variables() -> None:
    """Those for which nothing is left are not shown, names and values."""
    environment = tuple((f"NAME{number}", "secret=1") for number in range(100_000))
    _, left = redacted([{"redact": ["secret=(.)"]}], "", environment)
    assert len(left) == len(environment)
    assert left[0] == ("NAME0", "secret=*****")
    assert left[-1] == ("invalid", MASK)
    assert not any("1" in value for _, value in left)


def test_what_replaces_nothing_is_warned_of() -> None:
    """A pattern without a group, a filter without patterns, and the old field."""
    redactor = parse_redaction('{"redact":["a","(b)"]}\n{"match":[{}]}', "redaction-filters")
    assert redactor is not None
    assert [warning.partition(": ")[2] for warning in redactor.warnings] == [
        '"a" has no capture group, so it replaces nothing',
        '"match" is deprecated and does nothing; use "binary_regex"',
        'there is no "redact", so the filter replaces nothing',
    ]
    assert redactor.warnings[1].startswith("redaction-filters, line 2: ")
    assert redactor.redact("x", "ab", ()) == ("a*****", ())


def test_no_filter_is_no_redactor() -> None:
    """So nothing is done for each process."""
    assert parse_redaction("", "redaction-filters") is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"redact":["("]}', '"redact": the regular expression "("'),
        ('{"binaryRegex":["("]}', '"binary_regex": the regular expression "("'),
        ('{"redact":"a"}', '"redact" is a list of strings'),
        ('{"Redact":["a"]}', "there is no field"),
    ],
)
def test_a_mistake_is_an_error(text: str, said: str) -> None:
    """With list and line."""
    with pytest.raises(SettingsError) as info:
        parse_redaction(text, "redaction-filters")
    assert str(info.value).startswith("redaction-filters, line 1: ")
    assert said in str(info.value)


@given(st.text("pass=: \t123é\n-", max_size=60))
def test_no_secret_stays(text: str) -> None:
    """After redaction, what the pattern's group still matches is the mask only."""
    regex = Regex(r"pass[:=]\s*(\S+)")
    left = redact_text(regex, text)
    assert all(left[p[2] : p[3]].startswith(MASK) for p in regex.matches(left))
