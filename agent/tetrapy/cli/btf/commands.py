# SPDX-License-Identifier: Apache-2.0
"""The commands of `tetrapy btf`, their parsers, and how what goes wrong in them ends."""

from __future__ import annotations

import argparse
import errno
import importlib
import sys
from typing import Any, List, NoReturn, Optional, Tuple

from tetrapy.cli.btf.output import error_text, warn
from tetrapy.errors import (
    ArchiveError,
    BtfNotFoundError,
    FormatError,
    LayoutError,
    SettingsError,
    StoreError,
    TetrapyError,
)
from tetrapy.visible import printable

EXIT_OK = 0
EXIT_REFUSED = 1
EXIT_FATAL = 255

# Command -> its module, beside this one, and its line in the overview.  A module has DESCRIPTION,
# configure(parser) and run(options) -> exit code; optionally TROUBLE, the exit code for all that
# goes wrong.  Only the one of the command that runs is imported.
COMMANDS = {
    "list": ("list", "kernels that are known here"),
    "which": ("which", "the BTF that is used here, or for another kernel, and why"),
    "verify": ("verify", "whether a BTF serves this release"),
    "diff": ("diff", "what differs between two kernels, by struct and field"),
    "add": ("add", "keep the BTF of a kernel of your own on this host (root)"),
    "remove": ("remove", "remove a kernel from the local store"),
    "harvest": ("harvest", "collect full BTFs out of kernels and packages"),
    "pack": ("pack", "make an archive of many kernels' BTFs"),
    "merge": ("merge", "make one archive of parts that were packed apart"),
}

_DESCRIPTION = """\
BTF is a kernel's description of its own data structures. Where the kernel has none, tetrapy takes
it from what was added on this host or from the archive that it carries, or infers it.
"""

_EPILOG = """\
tetrapy btf COMMAND --help tells more.
Exit codes: 0 done, 1 wrong use or a refused or damaged input, 255 could not.
"""

# What the user gave is to blame.
_REFUSALS = (ArchiveError, BtfNotFoundError, FormatError, LayoutError, SettingsError, StoreError)
_WRONG_NAMES = (errno.ENOENT, errno.ENOTDIR, errno.EISDIR, errno.ELOOP, errno.ENAMETOOLONG)


class _HelpWasShown(Exception):
    """The parser has done all that was asked."""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise SettingsError(f"{message}\nRun {self.prog} --help for its use.")

    def exit(self, status: int = 0, message: Optional[str] = None) -> NoReturn:
        _flush()
        raise _HelpWasShown


def parser_of(name: str) -> argparse.ArgumentParser:
    """The parser of one command."""
    module = _module(name)
    parser = _Parser(
        prog=f"tetrapy btf {name}",
        description=module.DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    module.configure(parser)
    return parser


def overview() -> str:
    """The help that names all commands."""
    lines = [f"  {name:9} {text}" for name, (_module_name, text) in COMMANDS.items()]
    usage = "usage: tetrapy btf COMMAND [flags]\n"
    return "\n".join((usage, _DESCRIPTION, "commands:", *lines, "", _EPILOG))


def run(arguments: List[str], *, stdout_closed: bool = False) -> int:
    """Run one command; returns the exit code. BrokenPipeError and Stopped pass."""
    if sys.stdout is not None and hasattr(sys.stdout, "reconfigure"):
        # Names in a file that is read need not be text that the terminal can show.
        sys.stdout.reconfigure(errors="backslashreplace")
    trouble: int = 0
    try:
        name, rest = _command(arguments)
        module = _module(name) if name else None
        trouble = getattr(module, "TROUBLE", 0)
        _check_output(closed=stdout_closed)
        code = EXIT_OK
        if module is None:
            print(overview(), end="")
        else:
            code = module.run(parser_of(name).parse_args(rest))
        _flush()
        return code
    except _HelpWasShown:
        return EXIT_OK
    except BrokenPipeError:
        raise
    except TetrapyError as err:
        warn(f"Error: {err}")
        return trouble or (EXIT_REFUSED if isinstance(err, _REFUSALS) else EXIT_FATAL)
    except OSError as err:
        warn(f"Error: {error_text(err)}")
        return trouble or (EXIT_REFUSED if err.errno in _WRONG_NAMES else EXIT_FATAL)
    except MemoryError:
        warn("Error: there is not enough memory")
        return trouble or EXIT_FATAL


def _command(arguments: List[str]) -> Tuple[str, List[str]]:
    """The command and its words, no command for the overview; SettingsError for another word."""
    name, *rest = arguments or [""]
    if name in {"-h", "--help", "help"}:
        return (rest[0], ["--help"]) if rest and rest[0] in COMMANDS else ("", [])
    if name in COMMANDS:
        return name, rest
    what = f"unknown command: {printable(name)}" if name else "no command is given"
    raise SettingsError(f"{what}\nRun tetrapy btf --help for the commands.")


def _check_output(*, closed: bool) -> None:
    if closed:
        raise OSError(errno.EBADF, "standard output is closed, so there is nowhere to answer")


def _flush() -> None:
    """Write what is buffered, so that what cannot be written is reported."""
    if sys.stdout is not None:
        sys.stdout.flush()


def _module(name: str) -> Any:
    return importlib.import_module(f"tetrapy.cli.btf.{COMMANDS[name][0]}")
