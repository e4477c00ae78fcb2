# SPDX-License-Identifier: Apache-2.0
"""What the table of commands is made of."""

from __future__ import annotations

from typing import Tuple

from tetrapy.config.setting import Setting
from tetrapy.named import NamedTuple

EXPRESSIONS = "expressions"
"""A kind of flag beside those of `config.setting`: CEL expressions, tuple of str."""

ANY = -1  # number of arguments


class Flag(NamedTuple):
    """A flag of a command."""

    row: Setting
    hidden: bool = False


class Command(NamedTuple):
    """A command, or with no function a group of those whose words begin with its words."""

    words: Tuple[str, ...]
    help: str
    run: str = ""  # module of this package and function: `getevents.run`
    arguments: str = ""  # what stands behind the words, as the usage shows it
    takes: int = 0  # how many arguments
    flags: Tuple[Flag, ...] = ()
    aliases: Tuple[str, ...] = ()  # of its last word
    text: str = ""  # what else its help says
    hidden: bool = False

    @property
    def name(self) -> str:
        """The words of the command, such as `tracingpolicy list`."""
        return " ".join(self.words)
