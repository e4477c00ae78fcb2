# SPDX-License-Identifier: Apache-2.0
"""Protobuf's wire format: numbers, tags and lengths <-> bytes."""

from __future__ import annotations

from typing import Dict, Iterator, Tuple, Union

from tetrapy.errors import TetrapyError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5
"""Wire types. Groups (3 and 4) are not read: no message of ours ever had one."""

_SHIFTS = 70  # bits of a varint of ten bytes, the longest one
_MASK64 = (1 << 64) - 1
_KEPT_SIZES = 2048
_SMALL = tuple(bytes((number,)) for number in range(128))

Value = Union[int, bytes]


class WireError(TetrapyError):
    """Bytes are no message of this type."""


def varint(number: int) -> bytes:
    """The number, of at most 64 bits, as a varint; a negative one is its two's complement."""
    if 0 <= number < 128:
        return _SMALL[number]
    if 0 < number < 1 << 14:  # most lengths
        return bytes((number & 127 | 128, number >> 7))
    if 1 << 28 <= number < 1 << 35:  # most nanoseconds of a second, and times
        return bytes(
            (
                number & 127 | 128,
                number >> 7 & 127 | 128,
                number >> 14 & 127 | 128,
                number >> 21 & 127 | 128,
                number >> 28,
            )
        )
    number &= _MASK64
    out = bytearray()
    while number > 127:
        out.append(number & 127 | 128)
        number >>= 7
    out.append(number)
    return bytes(out)


def tag(number: int, kind: int) -> bytes:
    """What stands before the value of field `number`."""
    return varint(number << 3 | kind)


class Heads(Dict[int, bytes]):
    """What stands before so many bytes: `begin`, a field's tag, and the length."""

    def __init__(self, begin: bytes = b"") -> None:
        super().__init__()
        self._begin = begin

    def __missing__(self, size: int) -> bytes:
        head = self._begin + varint(size)
        if size < _KEPT_SIZES:
            self[size] = head
        return head


def sized(data: bytes) -> bytes:
    """The bytes, with their length before them."""
    size = len(data)
    return (_SMALL[size] if size < 128 else varint(size)) + data


def read_varint(data: bytes, at: int) -> Tuple[int, int]:
    """The number at a place, modulo 2**64, and where it ends. Raises WireError."""
    number = 0
    try:
        for shift in range(0, _SHIFTS, 7):
            byte = data[at]
            at += 1
            number |= (byte & 127) << shift
            if byte < 128:
                return number & _MASK64, at
    except IndexError:
        raise WireError("a number is cut short") from None
    raise WireError("a number has more than ten bytes")


def fields(data: bytes) -> Iterator[Tuple[int, int, Value]]:
    """Each field of a message: number, wire type, and a number or bytes. Raises WireError."""
    at, end = 0, len(data)
    while at < end:
        head, at = read_varint(data, at)
        number, kind = head >> 3, head & 7
        if not 0 < number < 1 << 29:
            raise WireError(f"{number} is no number of a field")
        if kind == VARINT:
            value, at = read_varint(data, at)
            yield number, kind, value
            continue
        if kind == BYTES:
            size, at = read_varint(data, at)
        elif kind == FIXED64:
            size = 8
        elif kind == FIXED32:
            size = 4
        else:
            raise WireError(f"field {number} has wire type {kind}")
        if size > end - at:
            raise WireError(f"field {number} is cut short")
        yield number, kind, data[at : at + size]
        at += size


def signed(number: int, bits: int) -> int:
    """The number whose two's complement the lowest `bits` are."""
    number &= (1 << bits) - 1
    return number - (1 << bits) if number >> (bits - 1) else number
