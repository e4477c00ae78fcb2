# SPDX-License-Identifier: Apache-2.0
"""Lengths of time as Go writes them: 1h30m, 1.5s, 100ms; in nanoseconds."""

from __future__ import annotations

import re

from tetrapy.config.setting import HOUR, MICROSECOND, MILLISECOND, MINUTE, SECOND

_UNITS = {
    "h": HOUR,
    "m": MINUTE,
    "s": SECOND,
    "ms": MILLISECOND,
    "us": MICROSECOND,
    "\u00b5s": MICROSECOND,  # the micro sign
    "\u03bcs": MICROSECOND,  # the letter mu
    "ns": 1,
}
_PART = re.compile("([0-9]*)(?:[.]([0-9]*))?(" + "|".join(sorted(_UNITS, key=len)[::-1]) + ")")
_MAX_LENGTH = 1 << 63  # Go counts nanoseconds in 64 bits
_CHARACTERS = 100  # more are no length of anything


def parse(text: str) -> int:
    """The nanoseconds that `text` says; a number without a unit is nanoseconds, as for Go.

    Raises ValueError for what is no length of time, or is longer than 292 years.
    """
    sign, rest = (-1, text[1:]) if text.startswith("-") else (1, text[text.startswith("+") :])
    if not rest or len(rest) > _CHARACTERS:
        raise ValueError("no length of time")
    total = int(rest) if rest.isascii() and rest.isdigit() else _sum(rest)
    if total >= _MAX_LENGTH:
        raise ValueError("too long")
    return sign * total


def _sum(text: str) -> int:
    total = at = 0
    while at < len(text):
        part = _PART.match(text, at)
        if part is None:
            raise ValueError("no length of time")
        whole, fraction, unit = part.groups()
        if not whole and not fraction:
            raise ValueError("a unit without a number")
        total += int(whole or 0) * _UNITS[unit]
        if fraction:
            total += int(fraction) * _UNITS[unit] // 10 ** len(fraction)
        at = part.end()
    return total


def show(nanoseconds: int) -> str:
    """The text that `parse` reads as these nanoseconds: 1h30m, 15s, 100ms."""
    if not nanoseconds:
        return "0s"
    text, rest = "", abs(nanoseconds)
    for unit in ("h", "m", "s", "ms", "us", "ns"):
        count, rest = divmod(rest, _UNITS[unit])
        if count:
            text += f"{count}{unit}"
    return "-" + text if nanoseconds < 0 else text
