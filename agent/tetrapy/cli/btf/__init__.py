# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf COMMAND ...`: the kernels that this tetrapy knows, and how it learns of others.

Exit codes: 0 done; 1 wrong use, or an input that is refused or damaged; 255 could not (no rights,
no space, ...).  `diff` has those of diff(1): 0 equal, 1 different, 2 trouble.  141 when nobody
reads the output any more, 130 after an interrupt, 143 after SIGTERM, 129 when the terminal is gone,
as from other programs that a shell runs.
"""

from __future__ import annotations

import gc
import os
import signal
import sys
from typing import Any, List, NoReturn

EXIT_UNREAD = 128 + signal.SIGPIPE

_STOPS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Stopped(BaseException):
    """A signal asks the command to stop; what it has begun is cleaned up on the way out."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.exit_code = 128 + number


def main(arguments: List[str], *, stdout_closed: bool = False) -> int:
    """Run the command line behind `tetrapy btf`; returns the exit code."""
    # Imported late: a start of the agent needs none of it.
    from tetrapy.cli.btf import commands

    # The agent's start turns both off; these commands run for minutes, and clean up.
    gc.enable()
    for number in _STOPS:
        # nohup and shells that do not control jobs let a signal be ignored. Of SIGINT that is not
        # known any more: the start has set it.
        if number == signal.SIGINT or signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _stop)
    try:
        return commands.run(arguments, stdout_closed=stdout_closed)
    except Stopped as stopped:
        return stopped.exit_code
    except BrokenPipeError:
        return EXIT_UNREAD
    finally:
        _settle()


def _stop(number: int, _frame: Any) -> NoReturn:
    # A second one would break off what the first one began to clean up.
    for other in _STOPS:
        signal.signal(other, signal.SIG_IGN)
    raise Stopped(number)


def _settle() -> None:
    """Forget output that cannot be written; Python would complain of it when it ends."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), 1)
