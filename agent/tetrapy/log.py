"""Log lines in Tetragon's forms: text, text-ts, json, json-ts."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, Optional, TextIO

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


class Log:
    """Called with a level, a message and keys: `log("info", "Started", pid=1)`."""

    def __init__(self, *streams: TextIO, level: str = "info", form: str = "text") -> None:
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
            line = json_bytes(json.dumps(fields, ensure_ascii=False, default=str)).decode()
        else:
            line = " ".join(f"{key}={_quote(value)}" for key, value in fields.items())
        for stream in self._streams:
            _write(stream, line + "\n")

    def configure(self, level: str) -> None:
        """From now on the least level is `level`."""
        self._configured = self.level = level

    def toggle_debug(self) -> str:
        """Log everything from now on, or again what the settings say; returns the new level."""
        self.level = self._configured if self.level == "debug" else "debug"
        return self.level


def _write(stream: TextIO, line: str) -> None:
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
    return json_bytes(json.dumps(text, ensure_ascii=False)).decode()


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
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as we run
    streams = (stream,) if file is None else (stream, file)
    return Log(*streams, level=level, form=form)
