# SPDX-License-Identifier: Apache-2.0
"""Log lines in Tetragon's forms: text, text-ts, json, json-ts."""

from __future__ import annotations

import atexit
import os
import select
import sys
import time
from typing import Any, Optional, TextIO, Union

from tetrapy.json_codec import dumps, quoted
from tetrapy.nowait import without_waiting
from tetrapy.visible import json_bytes, printable

LEVELS = {
    "trace": -4,
    "debug": 0,
    "info": 10,
    "warn": 20,
    "warning": 20,
    "error": 30,
    "panic": 40,
    "fatal": 40,
}
_NAMES = {-4: "debug-4", 0: "debug", 10: "info", 20: "warn", 30: "error", 40: "error"}


_TIMEOUT = 0.01  # seconds that a line may wait for who reads the log
_LAST_PATIENCE = 0.5  # ... and all that waits, at the end
_MAX_WAITING = 64 << 10  # bytes


class Unhurried:
    """A stream of the process, whose lines are not waited for: they wait themselves, or are lost.

    A terminal that was stopped, a pipe that nobody reads and a journal that hangs must not stop
    the agent.
    """

    def __init__(self, stream: TextIO) -> None:
        """Raises OSError or ValueError for a stream that has no descriptor."""
        fd = stream.fileno()
        self._hand_over, self._close = without_waiting(fd)
        self._encoding = stream.encoding
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._waiting = bytearray()
        self._lost = 0
        self._works = True  # the last line was not refused
        atexit.register(self.flush, _LAST_PATIENCE)

    def write(self, line: str) -> None:
        """Have a line wait, unless too much does; a longer line waits alone."""
        data = line.encode(self._encoding, "backslashreplace")
        if self._waiting and len(self._waiting) + len(data) > _MAX_WAITING:
            self._lost += 1
        else:
            self._waiting += data

    def flush(self, patience: float = _TIMEOUT) -> None:
        """Hand over what waits. A reader that has not kept up is not waited for again."""
        end = time.monotonic() + (0 if self._lost and patience == _TIMEOUT else patience)
        self._works = False
        try:
            while self._waiting:
                try:
                    del self._waiting[: self._hand_over(memoryview(bytes(self._waiting)))]
                except BlockingIOError:
                    left = end - time.monotonic()
                    if left <= 0 or not self._poll.poll(left * 1000):
                        return
        except OSError:  # a full disk, or nobody is there any more
            self._lost += self._waiting.count(b"\n")
            self._waiting.clear()
        else:
            self._works = True

    def take_lost(self) -> int:
        """Lines that were lost and not reported yet, once there is room to tell."""
        if not self._works:
            return 0
        lost, self._lost = self._lost, 0
        return lost

    def close(self) -> None:
        """Give up what waits; the stream itself stays open."""
        atexit.unregister(self.flush)
        self._waiting.clear()
        self._close()


Stream = Union[TextIO, Unhurried]


class Log:
    """Called with a level, a message and keys: `log("info", "Started", pid=1)`."""

    def __init__(self, *streams: Stream, level: str = "info", form: str = "text") -> None:
        self._streams = streams
        self._configured = self.level = level
        self._json = form.startswith("json")
        self._stamped = form.endswith("-ts")

    def __call__(self, level: str, message: str, **keys: Any) -> None:
        """Write one line, unless the level is below the threshold."""
        number = LEVELS[level]
        if number < LEVELS[self.level]:
            return
        fields = {"level": _NAMES[number], "msg": message, **keys}
        if self._stamped:
            fields = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields}
        if self._json:
            line = dumps(fields, str).decode()
        else:
            line = " ".join(f"{key}={_quote(value)}" for key, value in fields.items())
        for stream in self._streams:
            _write(stream, line + "\n")
            lost = stream.take_lost() if isinstance(stream, Unhurried) else 0
            if lost:
                self("warn", "Lines of the log are lost: nobody read them", lines=lost)

    def configure(self, level: str) -> None:
        """From now on the least level is `level`."""
        self._configured = self.level = level

    def toggle_debug(self) -> str:
        """Log everything from now on, or again what the settings say; returns the new level."""
        self.level = self._configured if self.level == "debug" else "debug"
        return self.level


def _write(stream: Stream, line: str) -> None:
    try:
        try:
            stream.write(line)
        except UnicodeEncodeError:  # a name that is no text, a terminal that is ASCII
            stream.write(line.encode("ascii", "backslashreplace").decode("ascii"))
        stream.flush()
    except (OSError, ValueError):
        pass  # nobody reads the log; the events matter more


def _quote(value: Any) -> str:
    """As Go prints it; quoted when a reader could not tell where the value ends."""
    text = _text(value)
    if text and printable(text) == text and not any(character in ' "=' for character in text):
        return text
    return json_bytes(quoted(text)).decode()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{_text(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, (list, tuple)):
        return "[" + " ".join(map(_text, value)) + "]"
    return str(value)


def standard_log(level: str, form: str, to_stderr: bool, file: Optional[TextIO] = None) -> Log:
    """The agent's log: on standard output, or beside it when that carries events.

    A stream that was closed before the start takes nothing. With `file` the lines go there too.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    shown: Stream
    if stream is None:
        shown = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as we run
    else:
        try:
            shown = Unhurried(stream)
        except (OSError, ValueError):  # no stream of the process, but one in memory
            shown = stream
    streams = (shown,) if file is None else (shown, file)
    return Log(*streams, level=level, form=form)
