# SPDX-License-Identifier: Apache-2.0
"""Text of a regular expression -> tree (syntax: Go, package regexp/syntax, flags Perl)."""

from __future__ import annotations

from typing import Any, Dict, List, Optional, Tuple

from tetrapy.errors import SettingsError
from tetrapy.filters.regex import charset
from tetrapy.filters.regex.classes import ClassReader
from tetrapy.filters.regex.nodes import (
    LINE_END,
    LINE_START,
    NO_WORD_EDGE,
    TEXT_END,
    TEXT_START,
    UNLIMITED,
    WORD_EDGE,
    Assertion,
    Chars,
    Choice,
    Group,
    Repeat,
    Sequence,
)

_MAX_REPEATS = 1000  # as Go: of one repetition, and of nested ones multiplied
_DEEPEST = 100
_REPEATS: Dict[str, Tuple[int, int]] = {"*": (0, UNLIMITED), "+": (1, UNLIMITED), "?": (0, 1)}
_ASSERTIONS: Dict[str, int] = {
    "A": TEXT_START,
    "z": TEXT_END,
    "b": WORD_EDGE,
    "B": NO_WORD_EDGE,
}


def parse(pattern: str) -> Tuple[Any, int]:
    """The tree of `pattern` and the number of its groups.

    Raises SettingsError, which quotes the pattern and says what is wrong.
    """
    parser = _Parser(pattern)
    tree = parser.choice(0)
    if parser.at < len(pattern):
        raise parser.error("a ) has no (")
    return tree, parser.groups


class _Parser(ClassReader):
    def __init__(self, pattern: str) -> None:
        super().__init__(pattern)
        self.groups = 0
        self._names: List[str] = []
        self._lines = self._all = self._lazy = False  # the flags m, s and U

    def choice(self, depth: int) -> Any:
        """Branches with | between them, up to the ) or the end."""
        if depth > _DEEPEST:
            raise self.error(f"groups are nested more than {_DEEPEST} deep")
        branches = [self._sequence(depth)]
        while self.text.startswith("|", self.at):
            self.at += 1
            branches.append(self._sequence(depth))
        return branches[0] if len(branches) == 1 else Choice(tuple(branches))

    def _sequence(self, depth: int) -> Any:
        parts: List[Any] = []
        repeated = False
        while self.at < len(self.text):
            char = self.text[self.at]
            if char in "|)":
                break
            start = self.at
            bounds = self._bounds(char)
            if bounds is None:
                self._part(char, parts, depth)
                repeated = False
                continue
            lazy = self.text.startswith("?", self.at)
            self.at += lazy
            operator = self.text[start : self.at]
            if not parts:
                raise self.error(f"{operator} has nothing to repeat")
            if repeated:
                raise self.error(f"{operator} follows another repetition; put the first into (?: )")
            repeat = Repeat(parts[-1], *bounds, lazy == self._lazy)
            if max(bounds) > 1 and _product(repeat) > _MAX_REPEATS:
                raise self.error(f"{operator} repeats more than {_MAX_REPEATS} times")
            parts[-1] = repeat
            repeated = True
        return parts[0] if len(parts) == 1 else Sequence(tuple(parts))

    def _bounds(self, char: str) -> Optional[Tuple[int, int]]:
        """The least and the greatest count of the repetition that stands here, if one does."""
        if char in _REPEATS:
            self.at += 1
            return _REPEATS[char]
        end = self.text.find("}", self.at)
        if char != "{" or end < 0:
            return None
        first, comma, second = self.text[self.at + 1 : end].partition(",")
        if not _number(first) or not (_number(second) or not second):
            return None  # an ordinary {
        self.at = end + 1
        low = int(first)
        high = int(second) if second else (UNLIMITED if comma else low)
        if max(low, high) > _MAX_REPEATS or (second and low > high):
            raise self.error(
                f"{{{first}{comma}{second}}} is no repetition (at most {_MAX_REPEATS})"
            )
        return low, high

    def _part(self, char: str, parts: List[Any], depth: int) -> None:
        self.at += 1
        if char == "(":
            self._group(parts, depth)
        elif char == "[":
            parts.append(Chars(self.bracket()))
        elif char == ".":
            parts.append(Chars(charset.ALL if self._all else charset.NO_LINE_FEED))
        elif char == "^":
            parts.append(Assertion(LINE_START if self._lines else TEXT_START))
        elif char == "$":
            parts.append(Assertion(LINE_END if self._lines else TEXT_END))
        elif char == "\\":
            self._escape(parts)
        else:
            parts.append(self._literal(char))

    def _literal(self, char: str) -> Chars:
        return Chars(self.set_of(((ord(char), ord(char)),)))

    def _escape(self, parts: List[Any]) -> None:
        kind = self.text[self.at : self.at + 1]
        if kind in _ASSERTIONS:
            self.at += 1
            parts.append(Assertion(_ASSERTIONS[kind]))
        elif kind == "Q":
            quoted, _, _ = self.text[self.at + 1 :].partition("\\E")
            self.at = min(self.at + 1 + len(quoted) + 2, len(self.text))
            parts += [self._literal(char) for char in quoted]
        else:
            ranges = self.escaped_set()
            parts.append(self._literal(self.escaped_char()) if ranges is None else Chars(ranges))

    def _group(self, parts: List[Any], depth: int) -> None:
        flags = (self.fold, self._lines, self._all, self._lazy)
        number = 0
        if self.text.startswith("?", self.at):
            if self._name():
                self.groups += 1
                number = self.groups
            elif not self._flags():
                return  # (?i): for the rest of the group around it
        else:
            self.groups += 1
            number = self.groups
        body = self.choice(depth + 1)
        if not self.text.startswith(")", self.at):
            raise self.error("a ( has no )")
        self.at += 1
        self.fold, self._lines, self._all, self._lazy = flags
        parts.append(Group(number, body) if number else body)

    def _name(self) -> bool:
        """Read ?P<name> or ?<name>; False when something else stands here."""
        for opening in ("?P<", "?<"):
            if not self.text.startswith(opening, self.at):
                continue
            start = self.at + len(opening)
            if opening == "?<" and self.text[start : start + 1] in ("=", "!"):
                raise self.error("RE2 has no look-behind")
            end = self.text.find(">", start)
            name = self.text[start:end]
            if end < 0 or not name.isascii() or not name.replace("_", "a").isalnum():
                raise self.error("a group's name is <letters, digits or _>")
            if name in self._names:
                raise self.error(f"two groups have the name {name}")
            self._names.append(name)
            self.at = end + 1
            return True
        return False

    def _flags(self) -> bool:
        """Read ?flags: or ?flags); whether a group's body follows."""
        self.at += 1
        value, seen = True, False
        while self.at < len(self.text):
            char = self.text[self.at]
            self.at += 1
            if char in "imsU":
                seen = True
                self._set_flag(char, value)
            elif char == "-" and value:
                value, seen = False, False
            elif char in ":)" and (value or seen):
                return char == ":"
            elif char in "=!":
                raise self.error("RE2 has no look-ahead")
            else:
                break
        raise self.error("after (? stand flags out of imsU, then : or )")

    def _set_flag(self, char: str, value: bool) -> None:
        if char == "i":
            self.fold = value
        elif char == "m":
            self._lines = value
        elif char == "s":
            self._all = value
        else:
            self._lazy = value

    def error(self, reason: str) -> SettingsError:
        """The error to raise."""
        return SettingsError(f'the regular expression "{self.text}" does not parse: {reason}')


def _number(text: str) -> bool:
    return text.isascii() and text.isdigit() and (text[0] != "0" or len(text) == 1)


def _product(node: Any) -> int:
    """How often counted repetitions repeat their innermost part."""
    if isinstance(node, Repeat):
        count = node.low if node.high == UNLIMITED else node.high
        return max(count, 1) * _product(node.body) if count else 1
    if isinstance(node, Group):
        return _product(node.body)
    if isinstance(node, (Sequence, Choice)):
        return max(map(_product, node.parts), default=1)
    return 1
