# SPDX-License-Identifier: Apache-2.0
"""Texts that show all that they hold, for terminals, log viewers and labels.

A process chooses its names and arguments. Characters that are not seen or turn the order of others
about would let a line that is looked at say something else than what programs read from it.
"""

from __future__ import annotations

import re
import sys
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted_as_ascii
from typing import Callable, Optional, Pattern

__all__ = (
    "LIMIT",
    "as_ascii",
    "json_bytes",
    "printable",
    "quoted_as_ascii",
    "seen_bits",
    "shows_all",
    "write_with",
)

# Characters that `str.isprintable` lets pass though nothing is seen of them, or of where they stand
# (Default_Ignorable_Code_Point of Unicode): joiners, fillers, selectors of variants.
_IGNORABLE = (
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
# What JSON itself is made of and an encoder would escape, and characters that are in no document.
_STAND_INS = (("\n", "\0"), ('"', "\x01"), ("\\", "\x02"))

# What of ASCII is not seen but as the end of a line; what stands for it.
_CONTROLS = tuple((one, ascii(one)[1:-1]) for one in map(chr, (*range(32), 127)) if one != "\n")

LIMIT = 0x40000  # of characters that may be seen: none from there on has a shape in Unicode

_LONG = 4096  # characters of a document that is worth a call of C


_LongJson = Callable[[str], Optional[bytes]]


def _without_c(_: str) -> Optional[bytes]:
    """Until somebody says what writes long documents."""
    return None


_long_json: _LongJson = _without_c


def write_with(long_json: _LongJson) -> None:
    """Have `json_bytes` of long documents that are not ASCII be made by `long_json`; None where it
    cannot.
    """
    global _long_json
    _long_json = long_json


def printable(text: str) -> str:
    """The text with everything escaped, as Python does, that would not be seen as it is."""
    if _is_seen(text):
        return text
    return "".join(letter if _is_seen(letter) else ascii(letter)[1:-1] for letter in text)


def as_ascii(text: str) -> str:
    """The text as it is if all of it is seen; or else with everything escaped, as Python does, that
    is not, or not ASCII. Line feeds stay.

    For texts of which a process may make up many: a few passes in C, no call for each character.
    """
    if _is_seen(text.replace("\n", "")):
        return text
    text = text.encode("ascii", "backslashreplace").decode()
    if not text.isprintable():
        for letter, escape in _CONTROLS:
            text = text.replace(letter, escape)
    return text


def json_bytes(document: str) -> bytes:
    r"""JSON as UTF-8 that can be looked at.

    Where a string holds what is not seen, all that is not ASCII is written as `\u` and digits: that
    means the same. Most documents are ASCII, and cost one look for DEL.
    """
    if document.isascii():
        if "\x7f" not in document:
            return document.encode()
    else:
        made = _long_json(document) if len(document) >= _LONG else None
        if made is not None:
            return made
        if _is_seen(document):
            return document.encode()
    # A process chooses these characters, hundreds of thousands of them: a few passes in C, no call
    # for each. What JSON itself is made of stands aside meanwhile.
    for letter, other in _STAND_INS:
        document = document.replace(letter, other)
    text = quoted_as_ascii(document)[1:-1]
    for letter, other in _STAND_INS:
        text = text.replace(f"\\u{ord(other):04x}", letter)
    return text.encode()


def shows_all(document: str) -> bool:
    """Whether `json_bytes` leaves JSON as it is."""
    return "\x7f" not in document if document.isascii() else _is_seen(document)


def seen_bits() -> bytes:
    """A bit for each character below LIMIT, the lowest first: whether it is seen."""
    from array import array  # most agents need none

    codes = array("I", range(LIMIT)).tobytes()
    text = codes.decode(f"utf-32-{sys.byteorder[0]}e", "surrogatepass")
    seen = bytes(map(str.isprintable, _ignorable().sub("\0", text)))
    digits = seen[::-1].translate(b"01" + bytes(254))
    return int(digits, 2).to_bytes(LIMIT // 8, "little")


def _is_seen(text: str) -> bool:
    return text.isprintable() and (text.isascii() or not _ignorable().search(text))


@lru_cache(maxsize=1)
def _ignorable() -> Pattern[str]:
    """Made when it is first needed: most hosts have nothing but ASCII."""
    return re.compile(_IGNORABLE)
