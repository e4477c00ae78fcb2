"""The command line: settings in, exit code out.

Exit codes: 0 after a stop by signal, 1 for wrong use, 255 when the agent could not start
(Tetragon's, at the versions this agent follows). `tetrapy btf ...` has its own, see `cli.btf`.
"""

from __future__ import annotations

import os
import sys
from typing import List, Optional

from tetrapy.config.sources import read
from tetrapy.errors import ExportError, KernelError, SettingsError, TetrapyError
from tetrapy.log import standard_log

EXIT_OK = 0
EXIT_USAGE = 1
EXIT_FATAL = 255
STDOUT = 1


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the agent, or `tetrapy btf`; returns the exit code."""
    closed = _open_standard_files()
    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["btf"]:
        from tetrapy.cli import btf

        return btf.main(words[1:], stdout_closed=STDOUT in closed)
    if words == ["help"]:
        words = ["--help"]
    try:
        settings = read(words, os.environ)
    except SettingsError as err:
        print(f"Error: {err}\nRun tetrapy --help for the flags.", file=sys.stderr)
        return EXIT_USAGE
    # Imported late: --help and a mistyped flag need none of it.
    from tetrapy.daemon.agent import Agent
    from tetrapy.daemon.start import STANDARD_OUTPUT

    log = standard_log(
        "debug" if settings.debug else settings.log_level.lower(),
        settings.log_format,
        to_stderr=settings.export_filename == STANDARD_OUTPUT,
    )
    try:
        if STDOUT in closed and settings.export_filename == STANDARD_OUTPUT:
            raise ExportError("standard output is closed; open it, or name a file to export to")
        Agent(settings, log).run()
    except TetrapyError as err:
        if isinstance(err, KernelError) and err.log:
            log("debug", "libbpf", log=err.log)
        log("fatal", "Failed to execute tetrapy", error=str(err))
        return EXIT_FATAL
    return EXIT_OK


def _open_standard_files() -> List[int]:
    """Open those of the descriptors 0 to 2 that are closed on /dev/null; returns their numbers.

    Else the next file that is opened would take the number, and what is printed would go there.
    """
    closed = []
    for fd in range(3):
        try:
            os.fstat(fd)
        except OSError:
            closed.append(fd)
            os.open(os.devnull, os.O_RDWR)
    return closed
