# SPDX-License-Identifier: Apache-2.0
"""`tetrapy policy`: the policies of the running agent, and tools for files of policies.

`commands` is the table: words, flags and arguments of each command, and the function that runs it.
Exit codes, for CI: 0 nothing is wrong; 1 something is; 2 wrong use, or a file that cannot be read.
`list` has 255 where no agent runs. Files are looked at without root and without a kernel.
"""

from __future__ import annotations

import importlib
from typing import List, Optional, Tuple

from tetrapy.cli.btf.output import error_text, warn
from tetrapy.cli.client import arguments
from tetrapy.cli.client import help as texts
from tetrapy.cli.client.command import ANY, Command
from tetrapy.cli.config import write
from tetrapy.cli.policy.commands import COMMANDS, EXIT_CODES
from tetrapy.errors import SettingsError, TetrapyError
from tetrapy.visible import printable

EXIT_OK, EXIT_FOUND, EXIT_TROUBLE = 0, 1, 2


def main(words: List[str]) -> int:
    """Run the command line behind `tetrapy policy`; returns the exit code."""
    name, *rest = words or [""]
    if name in {"-h", "--help", "help"}:
        found = _find(rest[0]) if rest else None
        return write(_help(found) if found else _overview())
    command = _find(name)
    if command is None:
        what = f"unknown command: {printable(name)}" if name else "no command is given"
        return _wrong(what, "")
    try:
        values, given = arguments.parse(rest, command.flags)
        if values.get(arguments.HELP):
            return write(_help(command))
        _expect_arguments(command, given)
    except SettingsError as err:
        return _wrong(str(err), f" {command.name}")
    return _run(command, values, given)


def _run(command: Command, values: arguments.Values, given: List[str]) -> int:
    module, _, function = command.run.partition(".")
    found = getattr(importlib.import_module(f"{__name__}.{module}"), function)
    try:
        return int(found(values, given))
    except TetrapyError as err:
        warn(f"Error: {err}")
    except OSError as err:
        warn(f"Error: {error_text(err)}")
    return EXIT_TROUBLE


def _expect_arguments(command: Command, given: List[str]) -> None:
    """Raises SettingsError."""
    if command.takes == ANY and not given and not command.arguments.startswith("["):
        raise SettingsError(f"{command.arguments.rstrip('.')} is missing")
    if command.takes != ANY and len(given) > command.takes:
        raise SettingsError(f"unknown argument: {printable(given[command.takes])}")
    if command.takes != ANY and len(given) < command.takes:
        raise SettingsError(f"{command.arguments} is missing")


def _find(name: str) -> Optional[Command]:
    return next((one for one in COMMANDS if one.name == name), None)


def _wrong(what: str, command: str) -> int:
    warn(f"Error: {what}\nRun tetrapy policy{command} --help for its use.")
    return EXIT_TROUBLE


def _overview() -> str:
    shown: List[Tuple[str, str]] = [(one.name, one.help) for one in COMMANDS]
    return "\n".join(
        [
            "Shows the TracingPolicies of the running agent, and works with files of",
            "policies before they are loaded: for that neither root nor an agent is needed.",
            "",
            "Usage:",
            "  tetrapy policy COMMAND [flags] [arguments]",
            "",
            "Commands:",
            *texts.rows(shown),
            "",
            "tetrapy policy COMMAND --help tells more.",
            EXIT_CODES,
        ]
    )


def _help(command: Command) -> str:
    usage = f"tetrapy policy {command.name} {command.arguments}".rstrip()
    flags = "\n".join(["Flags:", *texts.flag_lines(command.flags), "  -h, --help"])
    parts = [texts.sentence(command.help), f"Usage:\n  {usage}", flags]
    if command.text:
        parts.append(command.text.rstrip("\n"))
    return "\n\n".join([*parts, EXIT_CODES])
