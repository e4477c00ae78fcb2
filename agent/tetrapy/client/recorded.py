# SPDX-License-Identifier: Apache-2.0
"""Lines of an export file as events: protojson, read by the rules of Go's protobuf.

Names are taken in both spellings, numbers as texts too; what is not known is left out. What comes
out is the canonical form (see `tetrapy.client`), whatever the line's spelling was.
"""

from __future__ import annotations

import re
from base64 import b64decode, b64encode
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Any, Callable, Dict, FrozenSet, Mapping

from tetrapy.api.messages import ALL, ALL_ENUMS, RESPONSE
from tetrapy.events.schema.field import ONE, Field
from tetrapy.json_codec import object_of
from tetrapy.named import NamedTuple

Message = Dict[str, Any]
Convert = Callable[[Any], Any]  # raises ValueError

_NOTHING: Any = object()  # a value that is left out
_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:[.,](\d{1,9}))?(?:Z|([+-])(\d\d):(\d\d))",
    re.ASCII,
)
_NUMBER = re.compile(r"-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d{1,3})?", re.ASCII)


class NoEventError(ValueError):
    """Says what is wrong with a line."""


def event_of(line: bytes) -> Message:
    """The event of a line. Raises ValueError for one that is no event in protojson."""
    return _fields(object_of(line.decode()), _table(RESPONSE))


class _Slot(NamedTuple):
    """What becomes of a field's content."""

    name: str
    order: int  # in which fields are written
    is_alternative: bool  # of several fields of which one is set
    convert: Convert
    zero: Any  # what protobuf does not tell from none


class _Table(NamedTuple):
    """The fields of a message."""

    slots: Dict[str, _Slot]  # by name, in either spelling
    alternatives: FrozenSet[str]


@lru_cache(maxsize=None)
def _table(kind: str) -> _Table:
    rows = ALL[kind]
    alternatives = frozenset(row.name for row in rows if row.presence == ONE)
    slots = {}
    for order, row in enumerate(rows):
        is_alternative = row.presence == ONE
        slot = _Slot(row.name, order, is_alternative, _converter(row), _zero(row))
        slots[row.name] = slots[_json_name(row.name)] = slot
    return _Table(slots, alternatives)


def _json_name(name: str) -> str:
    first, *rest = name.split("_")
    return first + "".join(part[:1].upper() + part[1:] for part in rest)


def _fields(value: Any, table: _Table) -> Message:
    if not isinstance(value, dict):
        raise NoEventError("a message is an object")
    slots, alternatives = table
    found: Message = {}
    seen: Dict[str, int] = {}
    for key, content in value.items():
        slot = slots.get(key)
        if slot is None or content is None:
            continue
        name, order, is_alternative, convert, zero = slot
        if name in seen or (is_alternative and not alternatives.isdisjoint(seen)):
            raise NoEventError(f"{key} is set already")
        seen[name] = order
        converted = convert(content)
        if converted is not _NOTHING and (is_alternative or converted != zero):
            found[name] = converted
    orders = list(seen.values())
    if orders == sorted(orders):
        return found
    return {name: found[name] for name in sorted(found, key=seen.__getitem__)}


def _converter(row: Field) -> Convert:
    """What reads the content of a field."""
    kind = row.element
    convert = _SCALARS.get(kind)
    if convert is None and kind in ALL_ENUMS:
        convert = _enumerator(ALL_ENUMS[kind])
    if convert is None:
        # Not the table itself: there is none yet of a message that is met for the first time.
        def convert(content: Any) -> Any:
            return _fields(content, _table(kind))

    return _list(convert) if row.is_repeated else convert


def _list(convert: Convert) -> Convert:
    def convert_all(content: Any) -> Any:
        if not isinstance(content, list):
            raise NoEventError("a list is expected")
        return [value for value in map(convert, content) if value is not _NOTHING]

    return convert_all


def _zero(row: Field) -> Any:
    if row.is_repeated:
        return []
    if row.type in ALL_ENUMS:
        return next(name for name, number in ALL_ENUMS[row.type].items() if not number)
    return _ZEROES.get(row.type, _NOTHING)


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise NoEventError("a text is expected")
    content.encode()  # of half a character there is no UTF-8: that is a ValueError
    return content


def _bool(content: Any) -> bool:
    if not isinstance(content, bool):
        raise NoEventError("true or false is expected")
    return content


def _integer(least: int, largest: int) -> Callable[[Any], int]:
    def convert(content: Any) -> int:
        number = content
        if isinstance(content, str):
            if not _NUMBER.fullmatch(content):
                raise NoEventError("a number is expected")
            number = float(content) if set(content) & set(".eE") else int(content)
        if isinstance(number, float) and number.is_integer():
            number = int(number)
        if not isinstance(number, int) or isinstance(number, bool):
            raise NoEventError("a whole number is expected")
        if not least <= number <= largest:
            raise NoEventError("a number is out of range")
        return number

    return convert


def _long(least: int, largest: int) -> Callable[[Any], str]:
    convert = _integer(least, largest)
    return lambda content: str(convert(content))


def _bytes(content: Any) -> str:
    text = _text(content).replace("\r", "").replace("\n", "")
    url = bool(set(text) & set("-_"))
    if len(text) % 4:
        if "=" in text:
            raise NoEventError("this is no base64")
        text += "=" * (-len(text) % 4)
    return b64encode(b64decode(text, b"-_" if url else None, validate=True)).decode()


def _time(content: Any) -> str:
    return _instant(_text(content))


@lru_cache(maxsize=1024)
def _instant(text: str) -> str:
    match = _TIME.fullmatch(text)
    if not match:
        raise NoEventError("a time is expected")
    *parts, fraction, sign, hours, minutes = match.groups()
    year, month, day, hour, minute, second = map(int, parts)
    time = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001 - it is UTC
    if sign:
        offset = timedelta(hours=int(hours), minutes=int(minutes))
        if offset >= timedelta(days=1) or int(minutes) > 59:
            raise NoEventError("no such time zone")
        try:
            time += -offset if sign == "+" else offset
        except OverflowError:
            raise NoEventError("a time is out of range") from None
    digits = (fraction or "").rstrip("0")
    digits = digits.ljust(-(-len(digits) // 3) * 3, "0")  # none, 3, 6 or 9
    return time.isoformat() + (f".{digits}Z" if digits else "Z")


def _map(content: Any) -> Dict[str, str]:
    if not isinstance(content, dict):
        raise NoEventError("an object is expected")
    return {_text(name): _text(value) for name, value in content.items()}


def _enumerator(known: Mapping[str, int]) -> Convert:
    """The name; a number that has none, and a name that is not known, which is left out."""
    names = {number: name for name, number in known.items()}

    def convert(content: Any) -> Any:
        if isinstance(content, str):
            return content if content in known else _NOTHING
        number = _SCALARS["int32"](content)
        return names.get(number, number)

    return convert


_SCALARS: Dict[str, Callable[[Any], Any]] = {
    "string": _text,
    "bool": _bool,
    "BoolValue": _bool,
    "int32": _integer(-(1 << 31), (1 << 31) - 1),
    "uint32": _integer(0, (1 << 32) - 1),
    "int64": _long(-(1 << 63), (1 << 63) - 1),
    "uint64": _long(0, (1 << 64) - 1),
    "bytes": _bytes,
    "Timestamp": _time,
    "map": _map,
}
_SCALARS["UInt32Value"] = _SCALARS["uint32"]
_SCALARS["Int32Value"] = _SCALARS["int32"]
_ZEROES: Dict[str, Any] = {
    "string": "",
    "bytes": "",
    "bool": False,
    "int32": 0,
    "uint32": 0,
    "int64": "0",
    "uint64": "0",
    "map": {},
}
