# SPDX-License-Identifier: Apache-2.0
"""The commands of Tetragon's client: `tetrapy getevents`, or `tetra getevents` by a symbolic link.

`commands` is the table: words, flags and arguments of each command, and the function that runs it.
Help texts, completions and the manual page are derived from it. Exit codes: 0 done, 1 anything
else, 141 when nobody reads the output any more.
"""

from __future__ import annotations

from typing import List

TETRA = "tetra"


def knows(word: str) -> bool:
    """Whether this is the first word of a command."""
    from tetrapy.cli.client.commands import COMMANDS

    return any(word == one.words[0] or word in one.aliases for one in COMMANDS)


def main(words: List[str], program: str) -> int:
    """Run the command line behind `program`, which is tetrapy or tetra; returns the exit code."""
    from tetrapy.cli.client.run import run

    return run(words, program)
