# SPDX-License-Identifier: Apache-2.0
"""Help texts of the client's commands, out of their table."""

from __future__ import annotations

import textwrap
from typing import Iterable, List, Sequence, Tuple

from tetrapy.cli.client.command import EXPRESSIONS, Command, Flag
from tetrapy.cli.client.commands import COMMANDS
from tetrapy.cli.client.flags import GLOBAL
from tetrapy.config.setting import BOOL, DURATION, FILE, INT, LIST, STRING, Setting
from tetrapy.config.values import show_duration

WIDTH = 80
_INDENT = 28  # columns before the meaning of a flag

_PLACEHOLDERS = {
    STRING: "TEXT",
    FILE: "PATH",
    INT: "N",
    DURATION: "TIME",
    LIST: "LIST",
    EXPRESSIONS: "LIST",
}


def overview(program: str) -> str:
    """What the program does, and its commands."""
    top = [one for one in COMMANDS if len(one.words) == 1 and not one.hidden]
    return "\n".join(
        [
            "Asks the agent, or another that has Tetragon's API.",
            "",
            f"Usage:\n  {program} COMMAND [flags]",
            "",
            "Commands:",
            *rows((one.name, one.help) for one in top),
            "",
            "Flags of all commands:",
            *flag_lines(GLOBAL),
            "",
            f"{program} COMMAND --help tells more. Exit codes: 0 done, 1 not.\n",
        ]
    )


def of_command(command: Command, program: str) -> str:
    """The help of a command, or of a group."""
    words = f"{program} {command.name}"
    inner = [one for one in COMMANDS if one.words[:-1] == command.words and not one.hidden]
    parts = [sentence(command.help)]
    if command.text:
        parts.append(command.text.format(program=program).rstrip("\n"))
    usage = f"{words} COMMAND" if inner else f"{words} {command.arguments}".rstrip()
    parts.append(f"Usage:\n  {usage} [flags]")
    if command.aliases:
        parts.append(f"Other names: {', '.join(command.aliases)}")
    if inner:
        parts.append("\n".join(["Commands:", *rows((one.words[-1], one.help) for one in inner)]))
    if command.flags:
        parts.append("\n".join(["Flags:", *flag_lines(command.flags)]))
    parts.append("\n".join(["Flags of all commands:", *flag_lines(GLOBAL)]))
    return "\n\n".join(parts) + "\n"


def label(row: Setting) -> str:
    """`-o, --output json|compact`"""
    value = "" if row.kind == BOOL else f" {placeholder(row)}"
    return (f"-{row.short}, " if row.short else "") + f"--{row.name}{value}"


def placeholder(row: Setting) -> str:
    """What stands for the value."""
    if row.choices and row.kind != LIST:
        return "|".join(row.choices)
    return _PLACEHOLDERS[row.kind]


def meaning(row: Setting) -> str:
    """What the flag does, the words that it takes, and its default unless that is nothing."""
    text = row.help
    if row.choices and row.kind == LIST:
        text += f": {', '.join(row.choices)}"
    if row.default in ("", (), False, None):
        return text
    value = show_duration(row.default) if row.kind == DURATION else row.default
    return f"{text} (default {str(value).lower() if row.kind == BOOL else value})"


def flag_lines(flags: Sequence[Flag]) -> List[str]:
    """A line or more for each flag that is shown."""
    shown = [flag.row for flag in flags if not flag.hidden]
    return rows((label(row), meaning(row)) for row in shown)


def rows(pairs: Iterable[Tuple[str, str]]) -> List[str]:
    """Names with their meanings in a column."""
    lines = []
    for name, text in pairs:
        wrapped = textwrap.wrap(text, WIDTH - _INDENT, break_long_words=False)
        first = f"  {name}".ljust(_INDENT)
        if len(first) > _INDENT or first[-2:].strip():
            lines.append(first.rstrip())
        else:
            wrapped[0] = first + wrapped[0]
        lines += [line if line.startswith("  ") else " " * _INDENT + line for line in wrapped]
    return lines


def sentence(text: str) -> str:
    """With a capital letter and a full stop."""
    return text[0].upper() + text[1:] + "."
