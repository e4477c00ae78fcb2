# SPDX-License-Identifier: Apache-2.0
"""Values of fields as JSON has them <-> protobuf's bytes (rules: protojson, with .proto names).

Integers of 64 bits are text in JSON, bytes are base64, enums go by name, a time is RFC 3339, a
duration `1.5s`, a field mask paths with commas. What is encoded may also be a plain integer or
bytes, as the objects of events have them.
"""

from __future__ import annotations

import calendar
import time
from array import array
from binascii import Error as Base64Error
from binascii import a2b_base64, b2a_base64
from functools import lru_cache
from struct import Struct
from typing import Any, Callable, Dict, Mapping, Tuple

from tetrapy.api.wire import (
    BYTES,
    VARINT,
    Value,
    WireError,
    fields,
    read_varint,
    signed,
    sized,
    tag,
    varint,
)

Encode = Callable[[Any], bytes]  # of a value, without tag, with the length where there is one
Decode = Callable[[Value], Any]

_NANOS = 1_000_000_000
_SECONDS_TAG, _NANOS_TAG = tag(1, VARINT), tag(2, VARINT)
_SECONDS_KEPT = 64


def _text(value: Any) -> bytes:
    # Half of a surrogate pair is in no text that the agent makes; a client could not read it.
    return sized(value.encode("utf-8", "replace"))


def _bytes(value: Any) -> bytes:
    if isinstance(value, str):
        try:
            value = a2b_base64(value)
        except Base64Error as err:
            raise WireError(f"no base64: {err}") from err
    return sized(value)


def _number(value: Any) -> bytes:
    return varint(value if isinstance(value, int) else int(value))


def _bool(value: Any) -> bytes:
    return b"\1" if value else b"\0"


@lru_cache(maxsize=_SECONDS_KEPT)
def _seconds(text: str) -> bytes:
    """Field `seconds` of a time, of its text up to the second."""
    seconds = calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%S"))
    return _SECONDS_TAG + varint(seconds) if seconds else b""


def timestamp(text: Any) -> bytes:
    """A time with its length."""
    fraction = text[20:-1]
    data = _seconds(text[:19])
    nanos = int(fraction.ljust(9, "0")) if fraction else 0
    return sized(data + _NANOS_TAG + varint(nanos) if nanos else data)


def time_encoder() -> Callable[[int], bytes]:
    """What makes `timestamp` of ns since 1970, for who encodes many; it takes 32 KiB.

    It keeps the last time, which an event tells twice, and looks 14 bits of a varint up at once.
    """
    # Two bytes of a varint that goes on behind them, little-endian.
    pairs = array("H")
    for row in range(128, 256):
        pairs.extend(range(row << 8 | 128, row + 1 << 8))
    pack_four, pack_five = Struct("<HH").pack, Struct("<HHB").pack
    last, data = -1, b""
    # What stands before four and five bytes of nanoseconds of the second.
    last_second, four, five = -1, b"", b""

    def encode(at: int) -> bytes:
        nonlocal last, data, last_second, four, five
        if at == last:
            return data
        second, nanos = divmod(at, _NANOS)
        if second != last_second:
            head = _SECONDS_TAG + varint(second) + _NANOS_TAG
            four, five = (bytes((len(head) + size,)) + head for size in (4, 5))
            last_second = second
        high = nanos >> 14
        if high >> 14 and second:
            data = five + pack_five(pairs[nanos & 16383], pairs[high & 16383], high >> 14)
        elif high >> 7 and second:
            # None follows the last.
            data = four + pack_four(pairs[nanos & 16383], pairs[high] & 0x7FFF)
        else:
            data = _SECONDS_TAG + varint(second) if second else b""
            data = sized(data + _NANOS_TAG + varint(nanos) if nanos else data)
        last = at
        return data

    return encode


def _duration(text: Any) -> bytes:
    whole, _, fraction = text.rstrip("s").partition(".")
    seconds, nanos = int(whole), int(fraction.ljust(9, "0") or 0)
    if whole.startswith("-"):
        nanos = -nanos
    data = _SECONDS_TAG + varint(seconds) if seconds else b""
    return sized(data + _NANOS_TAG + varint(nanos) if nanos else data)


def _snake(path: str) -> str:
    return "".join("_" + char.lower() if char.isupper() else char for char in path)


def _camel(path: str) -> str:
    first, *rest = path.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


def _mask(text: Any) -> bytes:
    paths = [_snake(path) for path in text.split(",")] if text else []
    return sized(b"".join(tag(1, BYTES) + _text(path) for path in paths))


def wrapper(encode: Encode, empty: bytes) -> Encode:
    """A wrapper (UInt32Value ...): a message whose field 1 is the value, left out when empty."""
    head = tag(1, BYTES if empty == b"" else VARINT)

    def wrapped(value: Any) -> bytes:
        data = encode(value)
        return b"\0" if data == empty else sized(head + data)

    return wrapped


_any_wrapped_number = wrapper(_number, b"\0")


def wrapped_number(value: int) -> bytes:
    """A UInt32Value, with its length."""
    if 128 <= value < 1 << 14:  # most pids
        return bytes((3, 8, value & 127 | 128, value >> 7))
    if 1 << 14 <= value < 1 << 21:
        return bytes((4, 8, value & 127 | 128, value >> 7 & 127 | 128, value >> 14))
    return _any_wrapped_number(value)


class _SmallNumbers(Dict[Any, bytes]):
    """UInt32Value of each number that occurred, as long as it is few."""

    def __missing__(self, value: Any) -> bytes:
        if len(self) >= 8192:
            self.clear()
        self[value] = data = wrapped_number(value)
        return data


small_numbers = _SmallNumbers()
"""Number -> UInt32Value, with its length."""

ENCODERS: Dict[str, Tuple[int, Encode]] = {
    "string": (BYTES, _text),
    "bytes": (BYTES, _bytes),
    "int32": (VARINT, _number),
    "int64": (VARINT, _number),
    "uint32": (VARINT, _number),
    "uint64": (VARINT, _number),
    "bool": (VARINT, _bool),
    "UInt32Value": (BYTES, small_numbers.__getitem__),
    "Int32Value": (BYTES, _any_wrapped_number),
    "Int64Value": (BYTES, _any_wrapped_number),
    "BoolValue": (BYTES, wrapper(_bool, b"\0")),
    "Timestamp": (BYTES, timestamp),
    "Duration": (BYTES, _duration),
    "FieldMask": (BYTES, _mask),
}
"""Type -> wire type, and what makes bytes of a value."""


def enum_encoder(values: Mapping[str, int]) -> Encode:
    """Of a name, or of a number that has none."""
    encoded = {name: varint(number) for name, number in values.items()}

    def encode(value: Any) -> bytes:
        data = encoded.get(value)
        if data is None:
            if not isinstance(value, int):
                raise WireError(f"{value!r} is none of {', '.join(values)}")
            data = varint(value)
        return data

    return encode


def enum_decoder(values: Mapping[str, int]) -> Decode:
    """The name, or the number of one that has none."""
    names = {number: name for name, number in values.items()}

    def decode(value: Value) -> Any:
        number = signed(_as_number(value), 32)
        return names.get(number, number)

    return decode


def _as_number(value: Value) -> int:
    if not isinstance(value, int):
        raise WireError("bytes where a number should be")
    return value


def as_bytes(value: Value) -> bytes:
    """The value, which must be bytes. Raises WireError."""
    if isinstance(value, int):
        raise WireError("a number where bytes should be")
    return value


def to_string(value: Value) -> str:
    """The text in UTF-8. Raises WireError."""
    try:
        return as_bytes(value).decode()
    except UnicodeDecodeError:
        raise WireError("a text is no UTF-8") from None


def _pair(value: Value) -> Tuple[int, int]:
    """Seconds and nanoseconds of a time or duration."""
    found = {1: 0, 2: 0}
    for number, _, part in fields(as_bytes(value)):
        if number in found:
            found[number] = _as_number(part)
    return signed(found[1], 64), signed(found[2], 32)


def _fraction(nanos: int) -> str:
    if not nanos:
        return ""
    digits = f"{nanos:09d}"
    for some in (3, 6):
        if not digits[some:].strip("0"):
            return f".{digits[:some]}"
    return f".{digits}"


def _to_time(value: Value) -> str:
    seconds, nanos = _pair(value)
    if not (-62135596800 <= seconds < 253402300800 and 0 <= nanos < _NANOS):
        raise WireError(f"{seconds} seconds and {nanos} ns are no time of the years 1 to 9999")
    parts = time.gmtime(seconds)
    return (
        f"{parts[0]:04d}-{parts[1]:02d}-{parts[2]:02d}T{parts[3]:02d}:{parts[4]:02d}:{parts[5]:02d}"
        f"{_fraction(nanos)}Z"
    )


def _to_duration(value: Value) -> str:
    seconds, nanos = _pair(value)
    if abs(nanos) >= _NANOS or seconds * nanos < 0:
        raise WireError(f"{seconds} seconds and {nanos} ns are no duration")
    sign = "-" if seconds < 0 or nanos < 0 else ""
    return f"{sign}{abs(seconds)}{_fraction(abs(nanos))}s"


def _to_mask(value: Value) -> str:
    paths = [to_string(path) for number, _, path in fields(as_bytes(value)) if number == 1]
    return ",".join(map(_camel, paths))


def _unwrapped(decode: Decode, empty: Any) -> Decode:
    def unwrap(value: Value) -> Any:
        found = empty
        for number, _, part in fields(as_bytes(value)):
            if number == 1:
                found = decode(part)
        return found

    return unwrap


def _int32(value: Value) -> int:
    return signed(_as_number(value), 32)


def _uint32(value: Value) -> int:
    return _as_number(value) & 0xFFFFFFFF


def _int64(value: Value) -> str:
    return str(signed(_as_number(value), 64))


def _truth(value: Value) -> bool:
    return bool(_as_number(value))


def _base64(value: Value) -> str:
    return b2a_base64(as_bytes(value), newline=False).decode()


DECODERS: Dict[str, Decode] = {
    "string": to_string,
    "bytes": _base64,
    "int32": _int32,
    "int64": _int64,
    "uint32": _uint32,
    "uint64": lambda value: str(_as_number(value)),
    "bool": _truth,
    "UInt32Value": _unwrapped(_uint32, 0),
    "Int32Value": _unwrapped(_int32, 0),
    "Int64Value": _unwrapped(_int64, "0"),
    "BoolValue": _unwrapped(_truth, False),
    "Timestamp": _to_time,
    "Duration": _to_duration,
    "FieldMask": _to_mask,
}
"""Type -> what makes a value of a field's number or bytes."""

EMPTY: Dict[str, Any] = {
    "string": "", "bytes": "", "int32": 0, "uint32": 0, "int64": "0", "uint64": "0", "bool": False,
}  # fmt: skip
"""What JSON leaves out, of the types that know no absence."""


def unpacked(data: bytes) -> Tuple[int, ...]:
    """The numbers of a repeated field that stand together."""
    found, at = [], 0
    while at < len(data):
        number, at = read_varint(data, at)
        found.append(number)
    return tuple(found)
