# SPDX-License-Identifier: Apache-2.0
"""Messages: JSON-shaped dictionaries <-> protobuf's bytes, for every message of the API.

What is made of bytes is what Tetragon's JSON has: fields by their .proto names, in the order of the
declaration, those that are unset or empty left out (scalars.py has the types). Fields that are not
known are skipped.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Any, Callable, Dict, List, Tuple

from tetrapy.api.messages import ALL, ALL_ENUMS, GOOGLE
from tetrapy.api.rows import OPTIONAL
from tetrapy.api.scalars import (
    DECODERS,
    EMPTY,
    ENCODERS,
    Decode,
    Encode,
    as_bytes,
    enum_decoder,
    enum_encoder,
    unpacked,
)
from tetrapy.api.wire import BYTES, VARINT, Value, WireError, fields, sized, tag
from tetrapy.events.schema.field import ONE, Field

_DEPTH = 100  # of messages in messages, as protobuf's own readers have it
_GOOGLE = "google.protobuf."

Message = Dict[str, Any]


def encode(message: str, value: Message) -> bytes:
    """The bytes of a message. Raises WireError for an unknown field or a value of another type."""
    try:
        return _encoder(message)(value)
    except (TypeError, ValueError, AttributeError, KeyError, IndexError) as err:
        raise WireError(f"{message}: a value does not fit: {err}") from err


def decode(message: str, data: bytes) -> Message:
    """The message in bytes. Raises WireError."""
    found: Message = _decode(message, data, 0)
    return found


@lru_cache(maxsize=None)
def _encoder(message: str) -> Encode:
    """What makes bytes of a dictionary, without their length."""
    if message == "Any":
        return _any
    parts: Dict[str, Encode] = {row.name: field_encoder(row, _sub_encoder) for row in ALL[message]}

    def encode_fields(value: Message) -> bytes:
        return b"".join([parts[name](content) for name, content in value.items()])

    return encode_fields


def _sub_encoder(message: str) -> Encode:
    if message == "ListValue":
        return lambda value: _encoder(message)({"values": value})
    if message == "Value":
        return lambda value: _encoder(message)({"string_value": value})
    # Not the encoder itself: a message may hold its like.
    return lambda value: _encoder(message)(value)  # noqa: PLW0108


def field_encoder(row: Field, message_encoder: Callable[[str], Encode]) -> Encode:
    """What makes bytes of a field's value, with its tag; nothing of a value that cannot
    be distinguished from none.

    `message_encoder` gives what makes bytes of messages, without their length.
    """
    if row.type.startswith("map"):
        return _map_encoder(row)
    if row.type == "string":
        return _text_encoder(row)
    kind, single = value_encoder(row.element, message_encoder)
    head = tag(row.number, kind)
    if not row.is_repeated:
        if kind == VARINT or row.element in EMPTY or row.element in ALL_ENUMS:
            empty = b"\0"
            if row.presence not in {ONE, OPTIONAL}:
                return lambda value: head + data if (data := single(value)) != empty else b""
        return lambda value: head + single(value)
    if kind == BYTES:
        return lambda values: b"".join([head + single(value) for value in values])
    packed = tag(row.number, BYTES)
    return lambda values: packed + sized(b"".join(map(single, values))) if values else b""


def _text_encoder(row: Field) -> Encode:
    """As `field_encoder`, of a text: most of what is encoded."""
    head = tag(row.number, BYTES)
    shown_empty = head + b"\0" if row.presence in {ONE, OPTIONAL} else b""

    def encode_text(value: Any) -> bytes:
        if not value:
            return shown_empty
        # Half of a surrogate pair is in no text that the agent makes; no client could read it.
        return head + sized(value.encode("utf-8", "replace"))

    return encode_text


def value_encoder(kind: str, message_encoder: Callable[[str], Encode]) -> Tuple[int, Encode]:
    """Wire type, and what makes bytes of a value of this type, with the length if there is one."""
    if kind in ENCODERS:
        return ENCODERS[kind]
    if kind in ALL_ENUMS:
        return VARINT, enum_encoder(ALL_ENUMS[kind])
    of_message = message_encoder(kind)
    return BYTES, lambda value: sized(of_message(value))


def map_types(row: Field) -> Tuple[str, str]:
    """The types of a map's keys and values; the schema's `map` is one of texts."""
    key, _, value = (row.type[4:-1] or "string,string").partition(",")
    return key, value


def entry_rows(row: Field) -> Tuple[Field, Field]:
    """The rows of the message that a map's entries are."""
    key, value = map_types(row)
    like = row._replace(presence="set")
    return like._replace(number=1, name="key", type=key), like._replace(
        number=2, name="value", type=value
    )


def _map_encoder(row: Field) -> Encode:
    head = tag(row.number, BYTES)
    key, value = (field_encoder(one, _sub_encoder) for one in entry_rows(row))

    def encode_map(entries: Dict[str, Any]) -> bytes:
        return b"".join([head + sized(key(k) + value(v)) for k, v in entries.items()])

    return encode_map


def _any(value: Message) -> bytes:
    """JSON's form of Any: the type's URL, and the value of a wrapper or the fields of a message."""
    url = value["@type"]
    name = url.rpartition("/")[2].replace(_GOOGLE, "")
    rest = {key: content for key, content in value.items() if key != "@type"}
    if name == "ListValue":
        rest = {"values": rest["value"]}
    data = b"".join(field_encoder(row, _sub_encoder)(rest[row.name]) for row in ALL[name])
    head = tag(1, BYTES) + sized(url.encode())
    return head + tag(2, BYTES) + sized(data) if data else head


class _Reader:
    """How one field is read."""

    def __init__(self, row: Field) -> None:
        kind = row.element
        self.name = row.name
        self.repeated = row.is_repeated
        self.is_map = row.type.startswith("map")
        self.message = ""
        self.decode: Decode = _nothing
        self.empty: Any = None  # what is left out
        self.one = row.presence == ONE
        self.is_number = False
        if self.is_map:
            self.key, self.value = map(_Reader, entry_rows(row))
        elif kind in DECODERS:
            self.decode = DECODERS[kind]
            self.is_number = kind in EMPTY and kind not in {"string", "bytes"}
        elif kind in ALL_ENUMS:
            self.decode = enum_decoder(ALL_ENUMS[kind])
            self.is_number = True
        else:
            self.message = kind
        if row.presence not in {ONE, OPTIONAL} and not self.repeated:
            zero = next((n for n, v in ALL_ENUMS.get(kind, {}).items() if v == 0), None)
            self.empty = EMPTY.get(kind, zero)


def _nothing(value: Value) -> Any:
    return value


@lru_cache(maxsize=None)
def _readers(message: str) -> Tuple[Dict[int, _Reader], Dict[str, str]]:
    """What reads each field, by number; and the types of the fields, in JSON's order."""
    rows = ALL[message]
    return {row.number: _Reader(row) for row in rows}, {row.name: row.element for row in rows}


def _decode(message: str, data: bytes, depth: int) -> Any:
    if depth > _DEPTH:
        raise WireError("messages are nested too deep")
    readers, messages = _readers(message)
    found: Message = {}
    parts: Dict[str, bytes] = {}  # of single messages, whose parts may stand apart
    of_one = ""
    for number, kind, value in fields(data):
        reader = readers.get(number)
        if reader is None:
            continue
        name = reader.name
        if reader.one:
            if of_one and of_one != name:
                found.pop(of_one, None)
                parts.pop(of_one, None)
            of_one = name
        if reader.repeated:
            _extend(found.setdefault(name, []), reader, kind, value, depth)
        elif reader.is_map:
            key, content = _entry(reader, as_bytes(value), depth)
            found[name] = dict(sorted({**found.get(name, {}), key: content}.items()))
        elif reader.message:
            parts[name] = parts.get(name, b"") + as_bytes(value)
            found[name] = None
        else:
            found[name] = reader.decode(value)
            if reader.empty is not None and found[name] == reader.empty:
                del found[name]
    for name, part in parts.items():
        found[name] = _decode(messages[name], part, depth + 1)
    if message == "Any":
        return _from_any(found, data, depth)
    if message == "ListValue":
        return found.get("values", [])
    if message == "Value":
        return found.get("string_value")
    return {name: found[name] for name in messages if name in found}


def _single(reader: _Reader, value: Value, depth: int) -> Any:
    if reader.message:
        return _decode(reader.message, as_bytes(value), depth + 1)
    return reader.decode(value)


def _extend(values: List[Any], reader: _Reader, kind: int, value: Value, depth: int) -> None:
    if reader.is_number and kind == BYTES:
        values += map(reader.decode, unpacked(as_bytes(value)))
    else:
        values.append(_single(reader, value, depth))


def _entry(reader: _Reader, data: bytes, depth: int) -> Tuple[Any, Any]:
    key, value = reader.key.empty, reader.value.empty
    for number, _, part in fields(data):
        if number == 1:
            key = _single(reader.key, part, depth)
        elif number == 2:
            value = _single(reader.value, part, depth)
    return key, value


def _from_any(found: Message, data: bytes, depth: int) -> Message:
    url = found.get("type_url", "")
    name = url.rpartition("/")[2].replace(_GOOGLE, "")
    inner = b"".join(as_bytes(value) for number, _, value in fields(data) if number == 2)
    if name not in GOOGLE:
        return found
    value = _decode(name, inner, depth + 1)
    if isinstance(value, dict):
        value = value.get("value", EMPTY.get(ALL[name][0].type))
    return {"@type": url, "value": value}
