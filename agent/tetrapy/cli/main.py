# SPDX-License-Identifier: Apache-2.0
"""The command line: settings in, exit code out.

Exit codes: 0 after a stop by signal, 1 for wrong use, 255 when the agent could not start
(Tetragon's, at the versions this agent follows), 70 after an error that nobody expected. `tetrapy
btf ...` has its own, see `cli.btf`; so have `cli.config` and `cli.policy`.
"""

from __future__ import annotations

import os
import sys
from typing import Callable, List, Optional

from tetrapy.config import flags
from tetrapy.config.settings import Settings, not_yet
from tetrapy.config.sources import combine
from tetrapy.errors import ExportError, KernelError, SettingsError, TetrapyError
from tetrapy.log import Log, standard_log
from tetrapy.uncaught import EXIT_UNCAUGHT, Uncaught, described

EXIT_OK = 0
EXIT_USAGE = 1
EXIT_FATAL = 255
STDOUT, STDERR = 1, 2


def main(arguments: Optional[List[str]] = None) -> int:
    """Run the agent, or another command; returns the exit code."""
    closed = _open_standard_files()
    words = _without_own_path(sys.argv[1:] if arguments is None else arguments)
    try:
        if arguments is None and os.path.basename(sys.argv[0]) == "tetra":
            words.insert(0, "tetra")
        return _run(words, closed)
    except Exception as err:  # noqa: BLE001 - the last place where it can be reported
        what = described(err)
        print(f"Error: unexpected: {what['error']}, at {what['at']}", file=sys.stderr)
        return EXIT_UNCAUGHT


def _run(words: List[str], closed: List[int]) -> int:
    if words[:1] == ["btf"]:
        from tetrapy.cli import btf

        return btf.main(words[1:], stdout_closed=STDOUT in closed)
    if words[:1] == ["config"]:
        from tetrapy.cli import config

        return config.main(words[1:], os.environ)
    if words[:1] == ["tetra"]:
        from tetrapy.cli import client

        return client.main(words[1:], client.TETRA)
    if words[:1] == ["policy"]:
        from tetrapy.cli import policy

        return policy.main(words[1:])
    if words and not words[0].startswith("-"):
        from tetrapy.cli import client

        if client.knows(words[0]):
            return client.main(words, "tetrapy")
    try:
        given, asked = flags.parse(["--help"] if words == ["help"] else words)
        if asked:
            return _answer(asked)
        settings = combine(given, os.environ)
    except SettingsError as err:
        print(f"Error: {err}\nRun tetrapy --help for the flags.", file=sys.stderr)
        return EXIT_USAGE
    if settings.generate_docs:
        return _answer("docs")
    try:
        log = _open_log(settings)
    except (OSError, ExportError) as err:
        reported = err if isinstance(err, ExportError) else f"{settings.log_file}: {err.strerror}"
        print(f"Error: log-file: {reported}", file=sys.stderr)
        return EXIT_USAGE
    return _run_agent(settings, log, lambda: combine(given, os.environ))


def _open_log(settings: Settings) -> Log:
    """Raises ExportError, OSError for a log file that cannot be written or takes the events."""
    # Imported late: --help and a mistyped flag need none of it.
    from tetrapy.sinks.open import is_standard_output, open_log_file

    log_file = None
    if settings.log_file:
        log_file = open_log_file(settings.log_file, settings.export_filename)
    to_stderr = is_standard_output(settings.export_filename)
    log = standard_log(
        "debug" if settings.debug else settings.log_level,
        settings.log_format,
        to_stderr=to_stderr,
        file=log_file,
    )
    if to_stderr and _is_same_file(STDOUT, STDERR):
        log("warn", "Events and log go to the same file: direct one of them elsewhere")
    return log


def _is_same_file(one: int, other: int) -> bool:
    return not os.isatty(one) and os.path.samestat(os.fstat(one), os.fstat(other))


def _run_agent(settings: Settings, log: Log, reread: Callable[[], Settings]) -> int:
    uncaught = Uncaught(log)
    uncaught.watch()
    log_notes(settings, log)
    try:
        from tetrapy.daemon.agent import Agent

        Agent(settings, log, reread, lambda: uncaught.seen).run()
    except TetrapyError as err:
        if isinstance(err, KernelError) and err.log:
            log("debug", "libbpf", log=err.log)
        log("fatal", "Failed to execute tetrapy", error=str(err))
        return EXIT_USAGE if isinstance(err, SettingsError) else EXIT_FATAL
    except Exception as err:  # noqa: BLE001 - what was acquired has been given back
        uncaught.report(err)
    return EXIT_UNCAUGHT if uncaught.seen else EXIT_OK


def log_notes(settings: Settings, log: Log) -> None:
    """Log what was noticed while settings were read, and which of them have no effect."""
    for note in settings.notes:
        log(note.level, note.message, **note.fields)
    for sentence in not_yet(settings):
        log("warn", sentence)


def _answer(asked: str) -> int:
    """Print what the command line asks for in place of a run."""
    from tetrapy.cli.config import write
    from tetrapy.config import help as texts
    from tetrapy.version import __version__

    if asked == flags.VERSION:
        return write(f"{__version__}\n")
    return write(texts.usage() if asked == flags.HELP else texts.as_yaml())


def _without_own_path(words: List[str]) -> List[str]:
    """The words without the agent's own path in front.

    Commands for Tetragon's image name the program once more behind the image, whose entry point it
    is already.
    """
    if (
        words
        and words[0].startswith("/")
        and os.path.realpath(words[0]) == os.path.realpath(sys.argv[0])
    ):
        return words[1:]
    return words


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
