# SPDX-License-Identifier: Apache-2.0
"""Colours of a terminal, as Tetragon's client uses them."""

from __future__ import annotations

from typing import Mapping

_CODES = {"red": 31, "green": 32, "yellow": 33, "blue": 34, "magenta": 35, "cyan": 36}


class Colors:
    """A method for each colour; they leave texts as they are where colours are off."""

    def __init__(self, on: bool) -> None:
        self.on = on

    def red(self, text: str) -> str:
        """Paint a state."""
        return self._painted("red", text)

    def green(self, text: str) -> str:
        """Paint where something happened."""
        return self._painted("green", text)

    def yellow(self, text: str) -> str:
        """Paint a library or an offset."""
        return self._painted("yellow", text)

    def blue(self, text: str) -> str:
        """Paint what happened."""
        return self._painted("blue", text)

    def magenta(self, text: str) -> str:
        """Paint a program."""
        return self._painted("magenta", text)

    def cyan(self, text: str) -> str:
        """Paint arguments."""
        return self._painted("cyan", text)

    def _painted(self, color: str, text: str) -> str:
        return f"\x1b[{_CODES[color]}m{text}\x1b[0m" if self.on else text


def wanted(when: str, environment: Mapping[str, str], terminal: bool) -> bool:
    """Whether colours are on: `when` is always, never or auto."""
    if when == "auto":
        return terminal and not environment.get("NO_COLOR") and environment.get("TERM") != "dumb"
    return when == "always"
