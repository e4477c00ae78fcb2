"""Log lines in Tetragon's forms: text, text-ts, json, json-ts."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any, TextIO

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

    def __init__(self, stream: TextIO, level: str = "info", form: str = "text") -> None:
        self._stream = stream
        self._threshold = LEVELS[level]
        self._json = form.startswith("json")
        self._stamped = form.endswith("-ts")

    def __call__(self, level: str, message: str, **keys: Any) -> None:
        """Write one line, unless the level is below the threshold."""
        number = LEVELS[level]
        if number < self._threshold:
            return
        fields = {"level": _NAMES[number], "msg": message, **keys}
        if self._stamped:
            fields = {"time": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()), **fields}
        if self._json:
            line = json.dumps(fields, ensure_ascii=False, default=str)
        else:
            line = " ".join(f"{key}={_quote(value)}" for key, value in fields.items())
        try:
            try:
                self._stream.write(line + "\n")
            except UnicodeEncodeError:  # a name that is no text, a terminal that is ASCII
                plain = line.encode("ascii", "backslashreplace").decode("ascii")
                self._stream.write(plain + "\n")
            self._stream.flush()
        except (OSError, ValueError):
            pass  # nobody reads the log; the events matter more


def _quote(value: Any) -> str:
    """Quoted as Go quotes when a reader could not tell where the value ends."""
    text = str(value)
    if text and text.isprintable() and not any(character in ' "=' for character in text):
        return text
    return json.dumps(text, ensure_ascii=False)


def standard_log(level: str, form: str, to_stderr: bool) -> Log:
    """The agent's log: on standard output, or beside it when that carries events.

    A stream that was closed before the start takes nothing.
    """
    stream = sys.stderr if to_stderr else sys.stdout
    if stream is None:
        stream = open(os.devnull, "w", encoding="utf-8")  # noqa: SIM115 - for as long as we run
    return Log(stream, level, form)
