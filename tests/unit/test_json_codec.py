# SPDX-License-Identifier: Apache-2.0
"""orjson and what takes its place give the same bytes and the same values, or the same errors."""

from __future__ import annotations

import enum
import json
import math
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tetrapy import json_codec
from tetrapy.json_codec import dumps, json_text, loads, object_at, object_of
from tetrapy.named import NamedTuple

TEXTS = st.text(st.characters()) | st.text('\x00\x1f\x7f"\\/é\ud800\udc00\U0001f600\u2028eE0.:,[{ ')
NUMBERS = st.integers() | st.floats() | st.integers(-(1 << 65), 1 << 65)
VALUES = st.recursive(
    TEXTS | NUMBERS | st.booleans() | st.none(),
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner) | st.tuples(inner, inner),
    max_leaves=12,
)
# How two halves of one character are written; nothing but a text has them.
PAIR = re.compile(rb"\\ud[89ab]..\\ud[c-f]..")
# Most are no JSON, but look like it.
ALMOST = st.text('{}[]",:0123456789.eE+-truefalsnul \\ud8\n\t\x00\ufeff', max_size=24)


class Point(NamedTuple):
    x: int
    y: str


class Number(enum.IntEnum):
    one = 1


class Name(str):
    __slots__ = ()


@contextmanager
def without_orjson() -> Iterator[None]:
    real, json_codec._orjson = json_codec._orjson, lambda: None  # type: ignore[assignment]
    try:
        yield
    finally:
        json_codec._orjson = real


def outcome(function: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
    try:
        return "value", function(*arguments)
    except (TypeError, ValueError) as err:
        return type(err).__name__, str(err)


def alike(function: Callable[..., Any], *arguments: Any) -> tuple[str, Any]:
    """What both give."""
    first = outcome(function, *arguments)
    with without_orjson():
        second = outcome(function, *arguments)
    assert repr(first) == repr(second)
    return first


def test_orjson_is_there() -> None:
    """Else nothing is compared."""
    assert json_codec._orjson() is not None


@pytest.mark.slow
@given(VALUES, st.booleans())
@example(1e16, False)
@example([1e-5, -1e-5, 1e22, 5e-324, 1e15, 123456789.125], False)
@example({"a": 1e16, "b": [1e16]}, True)
@example([math.nan, math.inf, -math.inf], False)
@example([1 << 63, 1 << 64, -(1 << 63) - 1], False)
@example(["\ud800", {"\udfff": "\x7f"}], True)
@example(["\ud83d\ude00"], False)
@example([[], {}, (), [{}]], True)
@example([Point(1, "é"), Number.one, Name("x"), {Name("x"): 1}], False)
@example({"a:1e5": ",1e5", "b": "[0.00001"}, False)
def test_written_alike(value: object, indent: bool) -> None:
    """The same bytes, which Python's own reader reads as the value."""
    kind, written = alike(lambda: dumps(value, None, indent))
    assert kind == "value"
    assert alike(lambda: json_text(value, None, indent))[0] == "value"

    def expected(value: Any) -> Any:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, (list, tuple)):
            return [expected(one) for one in value]
        if isinstance(value, dict):
            return {expected(key): expected(one) for key, one in value.items()}
        if isinstance(value, str):  # two halves of a character that meet are one
            return str(value).encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")
        return value

    assert json.loads(written) == expected(value)


@pytest.mark.slow
@given(VALUES)
def test_written_as_python_does(value: object) -> None:
    """Letter for letter what json writes, but for numbers that JSON does not have."""
    wanted = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    if not any(word in wanted for word in ("NaN", "Infinity")):
        assert json_text(value) == wanted


@pytest.mark.parametrize("value", [{1: 2}, {None: 1}, {"a": {(1,): 2}}, b"x", [object], {"a": {1}}])
def test_refused_alike(value: object) -> None:
    """A key that is no string, and what has no form in JSON."""
    kind, text = alike(dumps, value)
    assert kind == "TypeError"
    assert "JSON" in text


def test_default_makes_something_of_it() -> None:
    """`default` is asked for what JSON has no form for."""
    assert alike(dumps, {"a": {1}, "b": [b"x"]}, str) == ("value", b'{"a":"{1}","b":["b\'x\'"]}')


def test_order_of_keys_stays() -> None:
    """They are written as they were put in, and read as they stand."""
    value = {key: number for number, key in enumerate("zayb")}
    assert dumps(value) == b'{"z":0,"a":1,"y":2,"b":3}'
    assert list(loads(dumps(value))) == list("zayb")


@pytest.mark.slow
@given(VALUES.map(json.dumps) | VALUES.map(lambda v: json.dumps(v, ensure_ascii=False)) | ALMOST)
@example("1e999")
@example("[-0, -0.0, 0, 1.5E+3, 18446744073709551616, -9223372036854775809]")
@example('"\\ud800"')
@example('"\ud800"')
@example("\ufeff1")
@example('{"a":1,"a":2}')
@example("[" * 100_000)
@example("[" * 150 + "]" * 150)
@example("[" * 1015 + "]" * 1015)
@example("NaN")
@example("[Infinity,-Infinity]")
@example("01")
@example('"\x00"')
@example("")
@example("\x0c1")
def test_read_alike(text: str) -> None:
    """The same value, or the same complaint; the kinds of numbers are the same, too."""
    kind, _ = alike(loads, text)
    assert kind in {"value", "JSONDecodeError", "ValueError"}
    data = text.encode("utf-8", "surrogatepass")
    assert alike(loads, data)[0] in {"value", "JSONDecodeError", "ValueError", "UnicodeDecodeError"}


@given(st.binary(max_size=20))
def test_any_bytes_are_read_alike(data: bytes) -> None:
    """Those that are no UTF-8 are a ValueError."""
    alike(loads, data)
    alike(loads, b'"' + data + b'"')


@pytest.mark.slow
@given(VALUES)
@example("\ud800\udc00")
def test_what_is_written_is_read(value: object) -> None:
    """And written again, the same; halves of a character that meet are read as the character."""
    written = dumps(loads(dumps(value)))
    assert dumps(loads(written)) == written
    if not PAIR.search(dumps(value)):
        assert written == dumps(value)


@pytest.mark.parametrize(
    "text",
    ['{"a":1,"a":2}', '{"a" :1,"a":2}', '{"b":"\\":","a" : 1, "a":2}', '{"c":{"a":1,"a":1}}'],
)
def test_an_object_with_a_key_twice(text: str) -> None:
    """It is refused, however it is spelt, and whatever else has the same signs in it."""
    assert alike(object_of, text) == ("ValueError", '"a" stands twice in one object')


@pytest.mark.slow
@given(st.dictionaries(TEXTS, VALUES, max_size=3), st.sampled_from(["", " ", "\r\n"]))
@example({'a":': '":', 'b" :': ['" :']}, " ")
def test_an_object_that_is_a_whole_text(value: dict[str, Any], around: str) -> None:
    """As what finds the end of an object reads it."""
    text = dumps(value).decode()
    assert alike(object_of, around + text + around) == alike(lambda: object_at(text, 0)[0])


def test_what_is_no_object() -> None:
    """Other values, and an object that something follows."""
    for text in ("", "[]", "1", '{"a":1} {}'):
        assert alike(object_of, text)[0] in {"ValueError", "JSONDecodeError"}


@pytest.mark.slow
@settings(max_examples=40)
@given(st.dictionaries(TEXTS, VALUES, max_size=3), st.text(max_size=5), st.text(max_size=9))
@example({"a:": '":{}["'}, "", "}")
def test_object_ends_where_it_ends(value: dict[str, Any], before: str, after: str) -> None:
    """Whatever stands in front of it and behind it."""
    text = json_text(value)
    kind, found = alike(object_at, before + text + after, len(before))
    assert kind == "value"
    assert found == (loads(text), len(before) + len(text))


@pytest.mark.slow
@given(ALMOST | st.dictionaries(TEXTS, VALUES, max_size=3).map(json.dumps), st.integers(0, 40))
@example('{"a":1,"a":1}', 0)
@example('{"x":{"a":1,"b":[{"c":1,"c":2}]}}', 0)
@example('{"a" :1,"\\u0061":2}', 0)
@example('{"a":1', 0)
@example('{"a":"}', 0)
def test_damaged_objects_are_refused_alike(text: str, cut: int) -> None:
    """A key that stands twice is named."""
    for damaged in ("{" + text, text[:cut] + text[cut + 1 :], text):
        if damaged.startswith("{"):
            kind, what = alike(object_at, damaged, 0)
            assert kind in {"value", "JSONDecodeError", "ValueError"}, what


def test_a_key_that_stands_twice_is_named() -> None:
    """On any level, however it is spelt."""
    for text in ('{"a":1,"a":1}', '{"x":[{"a":1,"\\u0061":{}}]}'):
        assert alike(object_at, text, 0) == ("ValueError", '"a" stands twice in one object')
