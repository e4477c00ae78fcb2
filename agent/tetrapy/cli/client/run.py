# SPDX-License-Identifier: Apache-2.0
"""Finds the command that is meant, and runs it."""

from __future__ import annotations

import importlib
from typing import Callable, List, Optional, Tuple

from tetrapy.cli.btf.output import error_text, warn
from tetrapy.cli.client import arguments
from tetrapy.cli.client import help as texts
from tetrapy.cli.client.command import ANY, Command
from tetrapy.cli.client.commands import COMMANDS
from tetrapy.cli.client.flags import GLOBAL
from tetrapy.cli.config import write
from tetrapy.config.setting import BOOL
from tetrapy.errors import SettingsError, TetrapyError
from tetrapy.visible import printable

EXIT_OK, EXIT_FAILED = 0, 1


def run(words: List[str], program: str) -> int:
    """Run what the words say; returns the exit code. What went wrong goes to standard error."""
    try:
        command, rest = _command(words, program)
        if command is None:
            return write(texts.overview(program))
        flags = (*command.flags, *GLOBAL)
        values, given = arguments.parse(rest, flags)
        if values.get(arguments.HELP) or not command.run:
            return write(texts.of_command(command, program))
        if command.takes != ANY and len(given) != command.takes:
            raise SettingsError(f"accepts {command.takes} arg(s), received {len(given)}")
        return _function(command)(values, given)
    except TetrapyError as err:
        warn(f"Error: {err}")
    except OSError as err:
        warn(f"Error: {error_text(err)}")
    return EXIT_FAILED


def _function(command: Command) -> Callable[[arguments.Values, List[str]], int]:
    module, _, name = command.run.partition(".")
    found: Callable[[arguments.Values, List[str]], int] = getattr(
        importlib.import_module(f"tetrapy.cli.client.{module}"), name
    )
    return found


def _command(words: List[str], program: str) -> Tuple[Optional[Command], List[str]]:
    """The command that the words begin with, flags left aside, and what else there is.

    No command for the overview. Raises SettingsError for one that is not known.
    """
    at = _first(words, 0)
    if at is None or words[at] == "help":
        named = words[at + 1 :] if at is not None else []
        return _command([*named, "--help"], program) if named else (None, [])
    found: Optional[Command] = None
    left = list(words)
    place: Optional[int] = at
    while place is not None:
        inner = _of(found, left[place])
        if inner is None:
            break
        found = inner
        del left[place]
        place = _first(left, 0)
        if found.run and (place is None or _of(found, left[place]) is None):
            break
    if found is None or (not found.run and place is not None):
        parent = f"{program} {found.name}" if found else program
        word = printable(left[place or 0])
        raise SettingsError(
            f'unknown command "{word}" for "{parent}"\nRun \'{parent} --help\' for usage.'
        )
    return found, left


def _of(group: Optional[Command], word: str) -> Optional[Command]:
    words = group.words if group else ()
    for one in COMMANDS:
        if one.words[:-1] == words and (one.words[-1] == word or word in one.aliases):
            return one
    return None


def _first(words: List[str], start: int) -> Optional[int]:
    """Where the first word is that is neither a flag of all commands nor its value."""
    at = start
    while at < len(words):
        word = words[at]
        if not word.startswith("-") or word in {"-", "--"}:
            return at
        at += 2 if _takes_next(word) else 1
    return None


def _takes_next(word: str) -> bool:
    rows = [flag.row for flag in GLOBAL]
    return any(row.kind != BOOL and word == f"--{row.name}" for row in rows)
