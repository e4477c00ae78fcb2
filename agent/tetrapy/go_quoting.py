# SPDX-License-Identifier: Apache-2.0
"""Texts as Go's strconv.Quote writes them: Tetragon and its client show what others chose so."""

from __future__ import annotations

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


def shown(text: str) -> str:
    """The text; in quotes if it has a space, or a character that is not seen as what it is."""
    return text if text.isprintable() and " " not in text else quoted(text)


def quoted(text: str) -> str:
    """The text between double quotes, with Go's escapes."""
    return f'"{escaped(text)}"'


def escaped(text: str) -> str:
    """The text with Go's escapes; bytes that are no UTF-8 are those of `surrogateescape`."""
    return "".join(map(_escaped, text))


def _escaped(letter: str) -> str:
    if letter in _SHORT:
        return _SHORT[letter]
    if letter.isprintable():
        return letter
    code = ord(letter)
    if code < 0x80 or 0xDC80 <= code <= 0xDCFF:
        return f"\\x{code & 0xFF:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
