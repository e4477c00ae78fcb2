# SPDX-License-Identifier: Apache-2.0
"""`tetrapy config`: the settings in force, and what set each.

Takes the agent's flags and reads what the agent would read. It needs no rights of root; files that
it may not read are reported.
"""

from __future__ import annotations

import os
import sys
from typing import Any, Dict, List, Mapping

from tetrapy.cli.btf.output import error_text, table, warn
from tetrapy.config import flags
from tetrapy.config.setting import BOOL, STRING, Setting
from tetrapy.config.settings import SETTINGS, Settings, not_yet
from tetrapy.config.sources import combine
from tetrapy.config.table import BY_NAME
from tetrapy.config.values import show
from tetrapy.errors import SettingsError
from tetrapy.json_codec import dumps
from tetrapy.visible import printable

HELP = """\
Shows each setting that is in force, and what set it: a flag, a variable, a
file, or nothing (default). What a start would warn of goes to standard error.

Usage: tetrapy config [flags]

  --changed               only settings that are not at their defaults
  -o, --output text|json  a table, or a document for programs
  -h, --help              show this text and exit

and every flag of the agent: tetrapy --help. Exit codes: 0, 1 for wrong use or
a setting that the agent would refuse.
"""
EXIT_OK, EXIT_USAGE, EXIT_UNREAD, EXIT_FATAL = 0, 1, 141, 255

_OPTIONS = (
    Setting("changed", BOOL, False, ""),
    Setting("output", STRING, "text", "", short="o", choices=("text", "json")),
)


def main(words: List[str], environment: Mapping[str, str], root: str = "/") -> int:
    """Run the command line behind `tetrapy config`; returns the exit code."""
    try:
        own = {setting.name: setting for setting in _OPTIONS}
        given, asked = flags.parse(words, {**BY_NAME, **own})
        if asked == flags.HELP:
            return write(HELP)
        options = {setting.name: given.pop(setting.name, setting.default) for setting in _OPTIONS}
        settings = combine(given, environment, root)
    except SettingsError as err:
        warn(f"Error: {err}")
        return EXIT_USAGE
    _print_notes(settings)
    rows = _rows(settings, changed_only=options["changed"])
    return write(_document(rows) if options["output"] == "json" else _table(rows))


def write(text: str) -> int:
    """Put a text on standard output; returns the exit code, which tells if nobody reads it."""
    stream = sys.stdout
    if stream is None:
        return EXIT_OK
    encoding = getattr(stream, "encoding", None) or "utf-8"
    try:
        stream.write(text.encode(encoding, "backslashreplace").decode(encoding))
        stream.flush()
    except OSError as err:
        # What could not be written would be complained of when Python ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 1)
        if isinstance(err, BrokenPipeError):
            return EXIT_UNREAD
        warn(f"Error: standard output: {error_text(err)}")
        return EXIT_FATAL
    return EXIT_OK


def _print_notes(settings: Settings) -> None:
    for note in settings.notes:
        if note.level in {"warn", "debug"}:
            details = ", ".join(f"{name}: {value}" for name, value in note.fields.items())
            warn(f"{note.message} ({details})" if details else note.message)
    for sentence in not_yet(settings):
        warn(sentence)


def _rows(settings: Settings, *, changed_only: bool) -> List[Dict[str, Any]]:
    values = settings.items()
    return [
        {
            "name": setting.name,
            "value": show(setting, values[setting.name]),
            "default": show(setting, setting.default),
            "source": settings.source(setting.name),
            "effect": not setting.no_effect,
        }
        for setting in SETTINGS
        if not changed_only or values[setting.name] != setting.default
    ]


def _document(rows: List[Dict[str, Any]]) -> str:
    return dumps({"settings": rows}, indent=True).decode() + "\n"


def _table(rows: List[Dict[str, Any]]) -> str:
    cells = [(row["name"], printable(row["value"]), printable(row["source"])) for row in rows]
    return "\n".join(table([("SETTING", "VALUE", "SET BY"), *cells])) + "\n"
