# SPDX-License-Identifier: Apache-2.0
"""Words behind a command -> flags and arguments, by the rules of Go's pflag, which Tetragon uses.

Flags and arguments in any order; `--name value`, `--name=value`, `-n value`, `-nvalue`, `-n=value`;
several short flags in one word; `--` ends the flags. A flag that is given again replaces what it
said before, that of a list adds to it.
"""

from __future__ import annotations

import csv
from typing import Any, Dict, Iterable, Iterator, List, Optional, Tuple

from tetrapy.cli.client.command import EXPRESSIONS, Flag
from tetrapy.config.setting import BOOL, DURATION, INT, LIST, Setting
from tetrapy.errors import SettingsError

HELP = "help"

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_OPENING, _CLOSING = "([{", ")]}"

Values = Dict[str, Any]


def parse(words: Iterable[str], flags: Iterable[Flag]) -> Tuple[Values, List[str]]:
    """Name of a flag -> value, of all flags, and the arguments; HELP is a name if it is asked for.

    Raises SettingsError for a flag that is not known, and for a value that it does not take.
    """
    rows = [flag.row for flag in flags]
    values: Values = {row.name: row.default for row in reversed(rows)}  # a command's own win
    given: Values = {}
    arguments: List[str] = []
    rest = iter(words)
    for word in rest:
        if word == "--":
            arguments += rest
        elif word.startswith("--"):
            _long(word, rest, rows, given)
        elif word.startswith("-") and word != "-":
            _short(word, rest, rows, given)
        else:
            arguments.append(word)
    return {**values, **given}, arguments


def _long(word: str, rest: Iterator[str], rows: List[Setting], given: Values) -> None:
    name, equals, text = word[2:].partition("=")
    row = next((one for one in rows if one.name == name), None)
    if row is None:
        if name == HELP:
            given[HELP] = True
            return
        raise SettingsError(f"unknown flag: --{name}")
    if not equals:
        text = "true" if row.kind == BOOL else _next(rest, word)
    _set(row, text, given)


def _short(word: str, rest: Iterator[str], rows: List[Setting], given: Values) -> None:
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        row = next((one for one in rows if one.short == letter), None)
        if row is None:
            if letter == "h":
                given[HELP] = True
                return
            raise SettingsError(f"unknown shorthand flag: '{letter}' in {word}")
        if letters.startswith("="):
            text, letters = letters[1:], ""
        elif row.kind == BOOL:
            text = "true"
        elif letters:
            text, letters = letters, ""
        else:
            text = _next(rest, f"'{letter}' in {word}")
        _set(row, text, given)


def _next(rest: Iterator[str], flag: str) -> str:
    for word in rest:
        return word
    raise SettingsError(f"flag needs an argument: {flag}")


def _set(row: Setting, text: str, given: Values) -> None:
    try:
        value = _value(row, text)
    except ValueError as err:
        flag = f"-{row.short}, --{row.name}" if row.short else f"--{row.name}"
        raise SettingsError(f'invalid argument "{text}" for "{flag}" flag: {err}') from None
    if row.kind in {LIST, EXPRESSIONS}:
        value = given.get(row.name, ()) + value
    given[row.name] = value


def _value(row: Setting, text: str) -> Any:
    """Raises ValueError, which says what would be right."""
    if row.kind == BOOL:
        if text not in _TRUE and text not in _FALSE:
            raise ValueError("it is true or false")
        return text in _TRUE
    if row.kind == INT:
        return _integer(text)
    if row.kind == DURATION:
        return _duration(text)
    if row.kind == EXPRESSIONS:
        return expressions(text)
    values = _elements(text) if row.kind == LIST else (text,)
    for value in values:
        if row.choices and value not in row.choices:
            raise ValueError(f"please provide one of ({', '.join(row.choices)})")
    return values if row.kind == LIST else values[0]


def _integer(text: str) -> int:
    digits = text[1:] if text[:1] in {"-", "+"} else text
    if not digits.isascii() or not digits.isdigit() or len(digits) > 10:
        raise ValueError("it is a number")
    number = int(text)
    if not -(1 << 31) <= number < 1 << 31:
        raise ValueError("the number is too large")
    return number


def _duration(text: str) -> int:
    from tetrapy.config import duration

    try:
        return duration.parse(text)
    except ValueError:
        raise ValueError("it is a duration such as 15s, 1h30m or 100ms") from None


def _elements(text: str) -> Tuple[str, ...]:
    """The elements of a list, which stand as in a line of a CSV file."""
    try:
        return tuple(next(csv.reader([text], strict=True), ()))
    except csv.Error as err:
        raise ValueError(f"it is a list with commas: {err}") from None


def expressions(text: str) -> Tuple[str, ...]:
    """The CEL expressions of a list.

    Commas in brackets and in texts are part of them; Tetragon's client parts expressions there, so
    that `x in [1, 2]` has to be put in quotes once more, as a line of CSV: that is understood too.
    """
    if text.startswith('"'):
        elements = _quoted_elements(text)
        if elements is not None:
            return elements
    out, start, depth, quote, at = [], 0, 0, "", 0
    while at < len(text):
        letter = text[at]
        if quote:
            at += letter == "\\"
            quote = "" if letter == quote else quote
        elif letter in "\"'":
            quote = letter
        elif letter in _OPENING or letter in _CLOSING:
            depth += 1 if letter in _OPENING else -1
        elif letter == "," and not depth:
            out.append(text[start:at])
            start = at + 1
        at += 1
    last = text[start:]
    return (*out, last) if last or out else ()


def _quoted_elements(text: str) -> Optional[Tuple[str, ...]]:
    """The elements of a line of CSV that begins with a quoted one; None if it is no such line."""
    try:
        return _elements(text)
    except ValueError:
        return None
