# SPDX-License-Identifier: Apache-2.0
"""Texts as Go's strconv.Quote writes them: Tetragon and its client show what others chose so."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Pattern

_SHORT = {
    '"': '\\"',
    "\\": "\\\\",
    "\a": "\\a",
    "\b": "\\b",
    "\f": "\\f",
    "\n": "\\n",
    "\r": "\\r",
    "\t": "\\t",
    "\v": "\\v",
}


# What Go prints, which knows Unicode 15.0, and Python 3.8 does not, which knows 12.1.
_NEWER = """
    61d 870-88e 898-89f 8b5 8be-8d2 b55 c3c c5d cdd cf3 d04 d81 ece 170d 1715 171f 180f
    1abf-1ace 1b4c 1b7d-1b7e 1dfa 20c0 2b97 2c2f 2c5f 2e50-2e5d 31bb-31bf 4db6-4dbf 9ff0-9fff
    a7c0-a7c1 a7c7-a7ca a7d0-a7d1 a7d3 a7d5-a7d9 a7f2-a7f6 a82c ab68-ab6b fbc2 fd40-fd4f fdcf
    fdfe-fdff 1019c 10570-1057a 1057c-1058a 1058c-10592 10594-10595 10597-105a1 105a3-105b1
    105b3-105b9 105bb-105bc 10780-10785 10787-107b0 107b2-107ba 10e80-10ea9 10eab-10ead
    10eb0-10eb1 10efd-10eff 10f70-10f89 10fb0-10fcb 11070-11075 110c2 11147 111ce-111cf
    1123f-11241 1145a 11460-11461 116b9 11740-11746 11900-11906 11909 1190c-11913 11915-11916
    11918-11935 11937-11938 1193b-11946 11950-11959 11ab0-11abf 11b00-11b09 11f00-11f10
    11f12-11f3a 11f3e-11f59 11fb0 12f90-12ff2 1342f 13440-13455 16a70-16abe 16ac0-16ac9 16fe4
    16ff0-16ff1 18af3-18cd5 18d00-18d08 1aff0-1aff3 1aff5-1affb 1affd-1affe 1b11f-1b122 1b132
    1b155 1cf00-1cf2d 1cf30-1cf46 1cf50-1cfc3 1d1e9-1d1ea 1d2c0-1d2d3 1df00-1df1e 1df25-1df2a
    1e030-1e06d 1e08f 1e290-1e2ae 1e4d0-1e4f9 1e7e0-1e7e6 1e7e8-1e7eb 1e7ed-1e7ee 1e7f0-1e7fe
    1f10d-1f10f 1f16d-1f16f 1f1ad 1f6d6-1f6d7 1f6dc-1f6df 1f6fb-1f6fc 1f774-1f776 1f77b-1f77f
    1f7d9 1f7f0 1f8b0-1f8b1 1f90c 1f972 1f977-1f979 1f9a3-1f9a4 1f9ab-1f9ad 1f9cb-1f9cc
    1fa74-1fa77 1fa7b-1fa7c 1fa83-1fa88 1fa96-1fabd 1fabf-1fac5 1face-1fadb 1fae0-1fae8
    1faf0-1faf8 1fb00-1fb92 1fb94-1fbca 1fbf0-1fbf9 2a6d7-2a6df 2b735-2b739 30000-3134a
    31350-323af
"""


def shown(text: str) -> str:
    """The text; in quotes if it has a space, or a character that is not seen as what it is."""
    return text if " " not in text and _is_printable(text) else quoted(text)


def quoted(text: str) -> str:
    """The text between double quotes, with Go's escapes."""
    return f'"{escaped(text)}"'


def escaped(text: str) -> str:
    """The text with Go's escapes; bytes that are no UTF-8 are those of `surrogateescape`."""
    return "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    if letter in _SHORT:
        return _SHORT[letter]
    if _is_printable(letter):
        return letter
    code = ord(letter)
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _is_printable(text: str) -> bool:
    """Whether Go prints each character as it is, whatever Unicode this Python knows."""
    return text.isprintable() or (not text.isascii() and _newer().sub("", text).isprintable())


@lru_cache(maxsize=1)
def _newer() -> Pattern[str]:
    ranges = [one.partition("-")[::2] for one in _NEWER.split()]
    letters = "".join(f"\\U{first:>08}-\\U{last or first:>08}" for first, last in ranges)
    return re.compile(f"[{letters}]")
