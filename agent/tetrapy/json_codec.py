# SPDX-License-Identifier: Apache-2.0
r"""JSON: values to UTF-8 and back, by orjson where this file carries one for the running Python.

Where it carries none, the standard library's reader and a writer of our own take its place, and so
they do for what orjson refuses or takes otherwise; which of them was at work cannot be
distinguished from the result. orjson is loaded with the first document that is read or written:
that costs 38 million instructions and 2 MB, and most agents only splice lines out of ready bytes
(events/json.py).

What is written is compact and keeps the order of keys. A number that is not finite is `null`, and
characters that are not seen are written as `\u` and digits (visible.py).
"""

from __future__ import annotations

import re
from functools import lru_cache
from json import JSONDecoder
from json.encoder import encode_basestring as quoted
from types import ModuleType
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple, Union

from tetrapy.visible import json_bytes

__all__ = ["dumps", "json_text", "loads", "object_at", "object_of", "quoted"]

_NESTED = 200  # brackets; a document with more may be nested deeper than one of the readers goes
# Integers that orjson may take for floating-point numbers, and numbers whose spelling differs
# between its releases. The like within a string only costs time.
_LONG_INTEGER = re.compile(r"(?:\A|[:,\[\s])-?[0-9]{19}")
_SPELT_OTHERWISE = re.compile(rb"[:,\[ ]-?(?:[0-9]+(?:\.[0-9]+)?e|0\.0000)")
_SPACE = " \t\r\n"
_SPACED = re.compile(r'"\s+:')
_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?|[\[\]{}]')

Default = Callable[[Any], Any]


def dumps(value: Any, default: Optional[Default] = None, indent: bool = False) -> bytes:
    """The value as JSON that can be looked at; `indent` puts each element on a line of its own.

    `default` makes something else of a value that JSON has no form for. Raises TypeError for such a
    value, and for a key that is no string.
    """
    return json_bytes(json_text(value, default, indent))


def json_text(value: Any, default: Optional[Default] = None, indent: bool = False) -> str:
    """As `dumps`, but each character as it is: for a part of a document that is looked at whole."""
    orjson = _orjson()
    if orjson is not None and not isinstance(value, float):
        try:
            data: bytes = orjson.dumps(value, None, _options(orjson, indent))
        except TypeError:
            pass  # an integer of more than 64 bits, a named tuple, half a character
        else:
            if not _SPELT_OTHERWISE.search(data):
                return data.decode()
    return "".join(_written(value, default, "\n" if indent else ""))


def loads(document: Union[str, bytes]) -> Any:
    """The value of a document; bytes are UTF-8.

    Raises ValueError, in the words of Python's reader, for what is no JSON.
    """
    text = document.decode() if isinstance(document, bytes) else document
    orjson = _orjson()
    if orjson is not None and _is_read_alike(text):
        try:
            return orjson.loads(text)
        except ValueError:
            pass  # the other reader says what is wrong
    try:
        return JSONDecoder(parse_constant=_no_number).decode(text)
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None


def object_at(text: str, at: int) -> Tuple[Dict[str, Any], int]:
    """The object that begins at a place of a text, and where it ends; anything may follow.

    Raises ValueError for what is no JSON, and for an object that has a key twice.
    """
    orjson = _orjson()
    end, keys = _extent(text, at)
    if orjson is not None and end and _is_read_alike(text[at:end]):
        try:
            value: Dict[str, Any] = orjson.loads(text[at:end])
        except ValueError:
            pass
        else:
            if _count_keys(value) == keys:
                return value, end
    reader = JSONDecoder(object_pairs_hook=_unique, parse_constant=_no_number)
    try:
        return reader.raw_decode(text, at)
    except RecursionError:
        raise ValueError("the JSON is nested too deep") from None


def object_of(text: str) -> Dict[str, Any]:
    """The object that a whole text is. Raises ValueError as `object_at`."""
    value = loads(text)
    if not isinstance(value, dict):
        raise ValueError("this is no object")  # noqa: TRY004 - of whatever is no such document
    # Each key is followed by these two, and of what else there is next to nothing.
    if text.count('":') != _count_keys(value) or _SPACED.search(text):
        return object_at(text.strip(_SPACE), 0)[0]
    found: Dict[str, Any] = value
    return found


@lru_cache(maxsize=1)
def _orjson() -> Optional[ModuleType]:
    try:
        import orjson
    except ImportError:
        return None
    return orjson


def _options(orjson: ModuleType, indent: bool) -> int:
    options: int = orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME
    return options | orjson.OPT_INDENT_2 if indent else options


def _is_read_alike(text: str) -> bool:
    return text.count("[") + text.count("{") <= _NESTED and not _LONG_INTEGER.search(text)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number of JSON")


def _unique(pairs: List[Tuple[str, Any]]) -> Dict[str, Any]:
    out = dict(pairs)
    if len(out) < len(pairs):
        names = [name for name, _ in pairs]
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f'"{twice}" stands twice in one object')
    return out


def _extent(text: str, at: int) -> Tuple[int, int]:
    """Where the value that begins at `at` ends, 0 if it does not; how many keys it has."""
    depth = keys = 0
    for token in _TOKEN.finditer(text, at):
        first = text[token.start()]
        if first == '"':
            keys += token.group(1) is not None
        else:
            depth += 1 if first in "[{" else -1
        if depth <= 0:
            return token.end(), keys
    return 0, 0


def _count_keys(value: Any) -> int:
    if isinstance(value, dict):
        return len(value) + sum(map(_count_keys, value.values()))
    return sum(map(_count_keys, value)) if isinstance(value, list) else 0


def _written(value: Any, default: Optional[Default], line: str) -> Iterator[str]:
    """Parts of the text; `line` is a line feed and the white space before the value's own line."""
    if value is None or value is True or value is False:
        yield "null" if value is None else "true" if value else "false"
    elif isinstance(value, str):
        yield quoted(value)
    elif isinstance(value, int):
        yield int.__repr__(value)
    elif isinstance(value, float):
        yield float.__repr__(value) if value - value == 0 else "null"
    elif isinstance(value, (dict, list, tuple)):
        yield from _container(value, default, line)
    elif default is not None:
        yield from _written(default(value), default, line)
    else:
        raise TypeError(f"JSON has no form for a {type(value).__name__}")


def _container(value: Any, default: Optional[Default], line: str) -> Iterator[str]:
    opening, closing = ("{", "}") if isinstance(value, dict) else ("[", "]")
    if not value:
        yield opening + closing
        return
    inner = f"{line}  " if line else ""
    before = opening + inner
    for element in value:
        yield before
        before = f",{inner}"
        if not isinstance(value, dict):
            yield from _written(element, default, inner)
            continue
        if not isinstance(element, str):
            raise TypeError(f"a key of JSON is a string, not a {type(element).__name__}")
        yield f"{quoted(element)}: " if line else f"{quoted(element)}:"
        yield from _written(value[element], default, inner)
    yield line + closing
