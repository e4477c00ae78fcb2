# SPDX-License-Identifier: Apache-2.0
"""docs/tetra.8: the client's commands and flags, out of their table."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tetrapy.cli.client.commands import COMMANDS
from tetrapy.cli.client.flags import GLOBAL
from tetrapy.cli.client.help import meaning, placeholder
from tetrapy.config.setting import BOOL
from tools.settings_docs.roff import roff, sentence

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tetrapy.cli.client.command import Command, Flag

PATH = "docs/tetra.8"

_HEAD = r"""
.\" Written by `python3 -m tools.settings_docs` from the table in
.\" agent/tetrapy/cli/client/commands.py. Do not edit.
.TH TETRA 8 "" "tetrapy" "System administration"
.ad l
.nh
.SH NAME
tetra \- ask tetrapy, or another agent with Tetragon's API
.SH SYNOPSIS
.B tetra
.I COMMAND
.RI [ flags ]
.br
.B tetrapy
.I COMMAND
.RI [ flags ]
.SH DESCRIPTION
The commands of Tetragon's client are commands of tetrapy, and all there is where it runs under the
name
.BR tetra .
The address of the agent is found in its info file, unless a flag gives another.
.SH COMMANDS
""".lstrip()
_TAIL = r"""
.SH EXIT STATUS
0 when it is done, 1 when it is not, 141 when nobody reads the output any more.
.SH SEE ALSO
.BR tetrapy (8)
""".lstrip()


def manual() -> str:
    """The page, in the macros of man(7)."""
    shown = [one for one in COMMANDS if one.run and not _is_hidden(one)]
    commands = "".join(_command(one) for one in shown)
    return f"{_HEAD}{commands}.SH FLAGS OF ALL COMMANDS\n{_entries(GLOBAL)}{_TAIL}"


def _is_hidden(command: Command) -> bool:
    """Whether it, or a group that it is in, is hidden."""
    words = command.words
    return any(one.hidden for one in COMMANDS if one.words == words[: len(one.words)])


def _command(command: Command) -> str:
    usage = f"{command.name} {command.arguments}".rstrip()
    text = roff(sentence(command.help))
    if command.text:
        # Examples stand in the page as they are.
        prose, _, examples = command.text.format(program="tetra").partition("Example")
        text += "\n" + roff(re.sub(r"\s+", " ", prose).strip()) if prose.strip() else ""
        lines = examples.partition(":\n")[2].rstrip("\n").splitlines()
        if lines:
            text += "\n.PP\n.EX\n" + "\n".join(map(roff, lines)) + "\n.EE"
    return f'.SS "{roff(usage)}"\n{text}\n{_entries(command.flags)}'


def _entries(flags: Iterable[Flag]) -> str:
    return "".join(_entry(flag) for flag in flags if not flag.hidden)


def _entry(flag: Flag) -> str:
    row = flag.row
    short = f"\\fB\\-{row.short}\\fR, " if row.short else ""
    # Words that can be chosen are written as they stand, what stands for a value is not.
    font = "B" if row.choices else "I"
    value = "" if row.kind == BOOL else f" \\f{font}{roff(placeholder(row))}\\fR"
    return f".TP\n{short}\\fB{roff('--' + row.name)}\\fR{value}\n{roff(sentence(meaning(row)))}\n"
