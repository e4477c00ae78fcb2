# SPDX-License-Identifier: Apache-2.0
"""What the texts of a filter mean: numbers, ranges, addresses, names, strings.

Tetragon's rules (its pkg/selectors/kernel.go): which texts are refused, and in which base a number
is written.
"""

from __future__ import annotations

from typing import Callable, Iterable, Mapping, Optional, Tuple

from tetrapy import go_quoting
from tetrapy.named import NamedTuple
from tetrapy.policy.names import CAPABILITIES_BY_NAME, HOST_NAMESPACE, NAMESPACES
from tetrapy.policy.problems import expected, likely
from tetrapy.policy.scalars import integer

MAX_TEXT, MAX_PREFIX, MAX_POSTFIX, MAX_SUBSTRING = 4096, 256, 127, 99
"""Bytes."""

_DECIMAL_DIGITS = 20
_MILLISECONDS = {"s": 1000, "m": 60_000, "h": 3_600_000}
_MAX_WAIT = 0xFFFFFFFF  # milliseconds


class UnfitError(ValueError):
    """A value cannot be what it should be; the text goes on a sentence that names the value."""


class Network(NamedTuple):
    """An IPv4 or IPv6 address, and how many of its first bits count."""

    address: bytes
    bits: int


def number(text: str, least: int, largest: int) -> int:
    """A number in decimal, 0x, 0o, 0b or with an octal 0. Raises UnfitError."""
    value = integer(text)
    if value is None:
        raise UnfitError("is no whole number")
    return _within(value, least, largest)


def decimal(text: str, least: int, largest: int) -> int:
    """A decimal number. Raises UnfitError."""
    digits = text[1:] if text[:1] in {"+", "-"} else text
    if not (digits.isascii() and digits.isdigit() and len(digits) <= _DECIMAL_DIGITS):
        raise UnfitError("is no decimal number")
    return _within(int(text), least, largest)


def _within(value: int, least: int, largest: int) -> int:
    if not least <= value <= largest:
        raise UnfitError(f"is not between {least} and {largest}")
    return value


def span(text: str, read: Callable[[str], int], *, turned: bool) -> Tuple[int, int]:
    """The ends of `min:max`; `turned` puts the lower first. Raises UnfitError."""
    ends = text.split(":")
    if len(ends) != 2:
        raise UnfitError("is no range: min:max is expected")
    low, high = read(ends[0]), read(ends[1])
    return (high, low) if turned and low > high else (low, high)


def numbered(text: str, names: Mapping[str, int], largest: int) -> Tuple[int, int]:
    """A name, a decimal number, or a range of them. Raises UnfitError."""
    if text in names:
        return names[text], names[text]
    if ":" in text:
        return span(text, lambda end: decimal(end, 0, largest), turned=True)
    try:
        value = decimal(text, 0, largest)
    except UnfitError as err:
        if not names:
            raise
        raise UnfitError(f"{err} and no name; {expected(text, names)}") from None
    return value, value


def network(text: str) -> Network:
    """An address, or address/bits. Raises UnfitError."""
    host, slash, bits = text.partition("/")
    import socket  # most policies name no address

    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        address = socket.inet_pton(family, host)
    except (OSError, ValueError):
        raise UnfitError("is no IPv4 or IPv6 address: 10.0.0.0/8 or fe80::1 are") from None
    most = 8 * len(address)
    if not slash:
        return Network(address, most)
    if not (bits.isascii() and bits.isdigit() and len(bits) <= 3) or str(int(bits)) != bits:
        raise UnfitError("has no number of bits behind the slash")
    if int(bits) > most:
        raise UnfitError(f"has more than {most} bits behind the slash")
    return Network(address, int(bits))


def text(value: str, longest: int, *, strip_zeroes: bool = False) -> bytes:
    """A text as the kernel's bytes. Raises UnfitError where it is longer than `longest` bytes."""
    data = value.encode()
    if strip_zeroes:
        data = data.rstrip(b"\0")
    if len(data) > longest:
        raise UnfitError(f"has {len(data)} bytes; at most {longest} can be compared")
    return data


def capabilities(names: Iterable[str]) -> int:
    """The bits of capabilities. Raises UnfitError."""
    bits = 0
    for name in names:
        word = name.strip().upper()
        if word not in CAPABILITIES_BY_NAME:
            near = likely(word, CAPABILITIES_BY_NAME)
            if "CAP_" + word in CAPABILITIES_BY_NAME:
                near = "CAP_" + word
            meant = f"; did you mean {near}?" if near else ", such as CAP_SYS_ADMIN"
            raise UnfitError(f"is no capability{meant}")
        bits |= 1 << CAPABILITIES_BY_NAME[word]
    return bits


def capability_mask(value: str) -> int:
    """Bits as a number, or names between commas. Raises UnfitError."""
    bits = integer(value)
    if bits is None:
        return capabilities(value.split(","))
    return _within(bits, 0, (1 << 64) - 1)


def namespace_inode(value: str) -> Optional[int]:
    """The inode number of a namespace; None for the host's. Raises UnfitError."""
    if value == HOST_NAMESPACE:
        return None
    try:
        return decimal(value, 0, (1 << 32) - 1)
    except UnfitError:
        raise UnfitError(f"is no inode number, and not {HOST_NAMESPACE}") from None


def namespace_bits(names: Iterable[str]) -> int:
    """A bit for each kind of namespace, in the order of NAMESPACES. Raises UnfitError."""
    numbers = {name.lower(): at for at, name in enumerate(NAMESPACES)}
    bits = 0
    for name in names:
        if name.lower() not in numbers:
            raise UnfitError(f"names no kind of namespace; {expected(name, NAMESPACES)}")
        bits |= 1 << numbers[name.lower()]
    return bits


def rate_limit(value: str) -> int:
    """Milliseconds of 5, 5s, 5m or 5h. Raises UnfitError."""
    unit = value[-1:].lower()
    digits = value[:-1] if unit in _MILLISECONDS else value
    try:
        count = decimal(digits, 0, (1 << 32) - 1)
    except UnfitError:
        raise UnfitError("is no time: 5, 5s, 5m or 5h are") from None
    return min(count * _MILLISECONDS.get(unit, 1000), _MAX_WAIT)


def boolean(value: str) -> bool:
    """What Go's strconv.ParseBool reads. Raises UnfitError."""
    if value in {"1", "t", "T", "TRUE", "true", "True"}:
        return True
    if value in {"0", "f", "F", "FALSE", "false", "False"}:
        return False
    raise UnfitError("is neither true nor false")


def escaped(value: str, longest: int) -> str:
    """A text cut to `longest` bytes and as Go quotes it: what events show as message and tags."""
    return go_quoting.escaped(value.encode()[:longest].decode("utf-8", "surrogateescape"))
