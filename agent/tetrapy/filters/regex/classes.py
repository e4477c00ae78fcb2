# SPDX-License-Identifier: Apache-2.0
r"""Sets of characters in the text of a regular expression: [a-z[:digit:]], \d, \p{Lu}, \x{41}."""

from __future__ import annotations

from typing import List, Optional

from tetrapy.errors import SettingsError
from tetrapy.filters.regex.charset import (
    LAST,
    PERL,
    POSIX,
    Ranges,
    category,
    complement,
    folded,
    union,
)

_CONTROLS = {"a": "\a", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_OCTAL = "01234567"
_HEX = "0123456789abcdefABCDEF"


class ClassReader:
    """Reads sets from `text` at the position `at`; `fold` is the flag i."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.fold = False

    def error(self, reason: str) -> SettingsError:
        """The error to raise: the pattern, and what is wrong."""
        raise NotImplementedError

    def set_of(self, ranges: Ranges, positive: bool = True) -> Ranges:
        """A set as the flags want it."""
        if self.fold:
            ranges = folded(ranges)
        return ranges if positive else complement(ranges)

    def bracket(self) -> Ranges:
        """A set in brackets; `at` is behind the [."""
        positive = not self.text.startswith("^", self.at)
        self.at += not positive
        found: List[Ranges] = []
        first = True
        while first or not self.text.startswith("]", self.at):
            if self.at >= len(self.text):
                raise self.error("a [ has no ]")
            first = False
            ranges = self._named() or self._escape_in_bracket()
            found.append(self._range() if ranges is None else ranges)
        self.at += 1
        ranges = union(one for ranges in found for one in ranges)
        return ranges if positive else complement(ranges)

    def _named(self) -> Optional[Ranges]:
        """[:alpha:] or [:^alpha:]."""
        end = self.text.find(":]", self.at + 2)
        if not self.text.startswith("[:", self.at) or end < 0:
            return None
        name = self.text[self.at + 2 : end]
        positive = not name.startswith("^")
        ranges = POSIX.get(name if positive else name[1:])
        if ranges is None:
            raise self.error(f"there is no class [:{name}:]")
        self.at = end + 2
        return self.set_of(ranges, positive)

    def _escape_in_bracket(self) -> Optional[Ranges]:
        if not self.text.startswith("\\", self.at):
            return None
        self.at += 1
        ranges = self.escaped_set()
        if ranges is None:
            self.at -= 1
        return ranges

    def _range(self) -> Ranges:
        low = high = self._one()
        if self.text.startswith("-", self.at) and self.text[self.at + 1 : self.at + 2] != "]":
            self.at += 1
            high = self._one()
            if high < low:
                raise self.error(f"{low}-{high} is no range")
        return self.set_of(((ord(low), ord(high)),))

    def _one(self) -> str:
        if self.at >= len(self.text):
            raise self.error("a [ has no ]")
        char = self.text[self.at]
        self.at += 1
        return self.escaped_char() if char == "\\" else char

    def escaped_set(self) -> Optional[Ranges]:
        """What stands behind a backslash if it is a set; else None, and nothing is read."""
        kind = self.text[self.at : self.at + 1]
        if kind and kind in "dswDSW":
            self.at += 1
            return self.set_of(PERL[kind.lower()], kind.islower())
        if not kind or kind not in "pP":
            return None
        name, end = self.text[self.at + 1 : self.at + 2], self.at + 2
        if name == "{":
            end = self.text.find("}", self.at) + 1
            name = self.text[self.at + 2 : end - 1] if end else ""
        positive = (kind == "p") != name.startswith("^")
        name = name[1:] if name.startswith("^") else name
        ranges = category(name)
        if ranges is None:
            raise self.error(
                f"\\p{{{name}}} is not known here; categories such as \\p{{Lu}} and \\pN are"
            )
        self.at = end
        return self.set_of(ranges, positive)

    def escaped_char(self) -> str:
        """The one character that a backslash, already read, and what follows it mean."""
        if self.at >= len(self.text):
            raise self.error("a \\ stands at the end")
        char = self.text[self.at]
        self.at += 1
        if char in _CONTROLS:
            return _CONTROLS[char]
        if char == "x":
            return self._hex()
        if char in _OCTAL:
            digits = char
            while len(digits) < 3 and self.text[self.at : self.at + 1] in tuple(_OCTAL):
                digits += self.text[self.at]
                self.at += 1
            if char != "0" and len(digits) == 1:
                raise self.error(f"RE2 has no back-references such as \\{char}")
            return chr(int(digits, 8))
        if char.isascii() and not char.isalnum():
            return char
        raise self.error(f"\\{char} means nothing")

    def _hex(self) -> str:
        digits, end = self.text[self.at : self.at + 2], self.at + 2
        if digits.startswith("{"):
            end = self.text.find("}", self.at) + 1
            digits = self.text[self.at + 1 : end - 1] if end else ""
        elif len(digits) < 2:
            digits = ""
        if not digits or any(digit not in _HEX for digit in digits) or int(digits, 16) > LAST:
            raise self.error("\\x is followed by two hexadecimal digits or {digits}")
        self.at = end
        return chr(int(digits, 16))
