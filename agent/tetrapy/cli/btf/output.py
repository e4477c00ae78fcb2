# SPDX-License-Identifier: Apache-2.0
"""Text for people: aligned columns, numbers with their nouns, a progress bar."""

from __future__ import annotations

import errno
import os
import sys
import textwrap
import time
from typing import Any, List, Optional, Sequence, TextIO

from tetrapy.json_codec import dumps
from tetrapy.visible import printable

WIDTH = 100
_BAR = 30
_REDRAW = 0.1  # seconds


def warn(text: str) -> None:
    """Lines on standard error; that nobody reads them is no reason to stop."""
    if sys.stderr is None:
        return
    try:
        # Whose words they are is not known here: an error tells what it found in a file.
        print("\n".join(map(printable, text.split("\n"))), file=sys.stderr, flush=True)
    except OSError:
        pass


def error_text(err: OSError) -> str:
    """What the system refused, and about which file."""
    reason = (err.strerror or str(err)).lower()
    if err.errno in {errno.EACCES, errno.EPERM} and os.geteuid():
        reason += "; run it as root"
    return f"{printable(str(err.filename))}: {reason}" if err.filename else reason


def print_json(value: Any) -> None:
    """One JSON document on standard output."""
    print(dumps(value, indent=True).decode())


def counted(number: int, noun: str, plural: str = "") -> str:
    """`1 kernel`, `2 kernels`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def table(rows: Sequence[Sequence[str]], right: Sequence[int] = (), indent: str = "") -> List[str]:
    """Lines of aligned columns; those numbered in `right` are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows)]
    return [
        (
            indent
            + "  ".join(
                cell.rjust(width) if at in right else cell.ljust(width)
                for at, (cell, width) in enumerate(zip(row, widths))
            )
        ).rstrip()
        for row in rows
    ]


def wrapped(text: str, indent: str = "") -> List[str]:
    """The text in lines that fit the width; the lines after the first are indented."""
    return textwrap.wrap(
        text, WIDTH, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    ) or [""]


class ProgressBar:
    """On a terminal a bar that is drawn over itself, elsewhere a line for each tenth."""

    def __init__(self, noun: str, stream: Optional[TextIO] = None) -> None:
        self._stream = stream or sys.stderr
        self._noun = noun
        self._terminal = bool(self._stream) and self._stream.isatty()
        self._drawn = 0.0
        self._tenth = 0
        self._width = 0

    def show(self, done: int, total: int, what: str = "") -> None:
        """`done` of `total` are finished, `what` is being done."""
        if self._terminal:
            now = time.monotonic()
            if now - self._drawn >= _REDRAW or done == total:
                self._drawn = now
                self._draw(done, total, what)
        elif total and done * 10 // total > self._tenth:
            self._tenth = done * 10 // total
            self._write(f"{done:,} of {counted(total, self._noun)}, {done * 100 // total} %\n")

    def close(self) -> None:
        """Leave the line of the bar."""
        if self._width:
            self._write("\r" + " " * self._width + "\r")
            self._width = 0

    def _draw(self, done: int, total: int, what: str) -> None:
        filled = _BAR * done // max(total, 1)
        bar = "#" * filled + "-" * (_BAR - filled)
        line = f"[{bar}] {done:,}/{total:,} {printable(what)}"
        line = line if len(line) < 80 else line[:76] + "..."
        self._write("\r" + line.ljust(self._width))
        self._width = max(self._width, len(line))

    def _write(self, text: str) -> None:
        try:
            if self._stream:
                self._stream.write(text)
                self._stream.flush()
        except OSError:
            pass  # nobody watches
