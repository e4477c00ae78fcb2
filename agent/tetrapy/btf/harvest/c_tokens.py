# SPDX-License-Identifier: Apache-2.0
"""The words of C declarations, one after the other: without comments and preprocessor's lines."""

from __future__ import annotations

import re
from typing import List

END = ""  # behind the last token

# What is not closed goes on to the end, so that nothing is looked at twice.
_TOKEN = re.compile(
    r"(?P<space>\s+|/\*.*?(?:\*/|\Z)|//[^\n]*|#(?:[^\\\n]|\\.)*)"
    r'|[A-Za-z_]\w*|\d\w*|"(?:[^"\\\n]|\\.)*"?|.',
    re.DOTALL,
)
_NUMBER = re.compile(r"(-?)(0[xX][0-9a-fA-F]{1,16}|[1-9]\d{0,19}|0)[uUlL]{0,3}")
_MAX_NAME = 511
_OPEN, _CLOSE = ("(", "[", "{"), (")", "]", "}")


class NotUnderstoodError(Exception):
    """A declaration that is left out, and why."""


class Tokens:
    """`next` is the token to be taken, `after` the one behind it; END where there is none."""

    def __init__(self, data: bytes) -> None:
        text = data.decode("ascii", "replace")
        self._words: List[str] = []
        self._lines: List[int] = []
        line = 1
        for found in _TOKEN.finditer(text):
            word = found.group()
            if found.lastgroup == "space":
                line += word.count("\n")
            else:
                self._words.append(word)
                self._lines.append(line)
        self._words += [END, END]
        self._lines += [line, line]
        self._at = self._start = 0
        self.next = self._words[0]

    @property
    def after(self) -> str:
        """The token behind the next one."""
        return self._words[min(self._at + 1, len(self._words) - 1)]

    @property
    def line(self) -> int:
        """The number of the line that the next token is in, counted from 1."""
        return self._lines[self._at]

    def mark(self) -> None:
        """A declaration starts here."""
        self._start = self._at

    def save(self) -> int:
        """This place, for `restore`."""
        return self._at

    def restore(self, place: int) -> None:
        """Go to a place."""
        self._at = place
        self.next = self._words[place]

    def advance(self) -> str:
        """Take the next token, with the number that a minus stands before."""
        word = self.next
        if word != END:
            self.restore(self._at + 1)
        if word == "-" and self.next[:1].isdigit():
            word += self.advance()
        return word

    def take(self, word: str) -> bool:
        """Take the next token if it is this one."""
        if self.next != word:
            return False
        self.restore(self._at + 1)
        return True

    def expect(self, word: str) -> None:
        """Take the next token, which has to be this one."""
        if not self.take(word):
            raise NotUnderstoodError(f"{self.next!r:.40} where {word!r} belongs")

    def name(self) -> str:
        """Take a name, or nothing ("") if there is none."""
        word = self.next
        if not (word[:1].isalpha() or word[:1] == "_"):
            return ""
        if len(word) > _MAX_NAME:
            raise NotUnderstoodError(f"the name {word[:40]!r}")
        return self.advance()

    def group(self) -> List[str]:
        """Take a group in parentheses; what is inside."""
        start = self._at + 1
        self.skip_group()
        return self._words[start : self._at - 1]

    def skip_group(self) -> None:
        """Take a group in parentheses, braces or brackets."""
        depth = 0
        while True:
            word = self.next
            if word == END:
                raise NotUnderstoodError("what is opened is not closed")
            depth += (word in _OPEN) - (word in _CLOSE)
            self.restore(self._at + 1)
            if depth <= 0:
                return

    def skip_declaration(self) -> None:
        """Go from the marked place to what follows its declaration, or a function's body."""
        self.restore(self._start)
        is_function = False
        while self.next != END:
            word = self.next
            if word == ";":
                self.restore(self._at + 1)
                return
            if word in _OPEN:
                try:
                    self.skip_group()
                except NotUnderstoodError:
                    return
                if word == "{" and is_function:
                    return
                is_function = word == "("
            else:
                is_function = False
                self.restore(self._at + 1)


def number_of(text: str) -> int:
    """A number as C writes it: decimal or hexadecimal, with a suffix."""
    found = _NUMBER.fullmatch(text)
    if found is None:
        raise NotUnderstoodError(f"{text!r:.40} where a number belongs")
    value = int(found[2], 0) if found[2][:2] in ("0x", "0X") else int(found[2])
    if value >= 1 << 64 or (found[1] and value > 1 << 63):
        raise NotUnderstoodError(f"the number {text:.40}")
    return -value if found[1] else value
