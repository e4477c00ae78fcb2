"""Opening what the setting export-filename names.

Of the two kinds of sinks a start imports only the one that it needs.
"""

from __future__ import annotations

import os
import stat
from typing import Any

from tetrapy.sinks.place import check_owner, refusal, resolve
from tetrapy.sinks.rules import FileRules
from tetrapy.sinks.sink import Log, Sink

STANDARD_OUTPUT = "-"

# O_NONBLOCK: a FIFO without a reader is refused, not waited for.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
_STANDARD_OUTPUT_FD = 1


def open_sink(settings: Any, log: Log) -> Sink:
    """A file that rotates, standard output, a FIFO or device, or nowhere.

    Raises ExportError when it cannot be written, SettingsError.
    """
    name = settings.export_filename
    if not name:
        return _stream(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), os.devnull)
    if name == STANDARD_OUTPUT:
        return _stream(_STANDARD_OUTPUT_FD, "standard output", owned=False)
    return open_file(name, FileRules.of(settings), log)


def open_file(name: str, rules: FileRules, log: Log) -> Sink:
    """A regular file by the rules; what else is at the path is written to as it is.

    Raises ExportError when it cannot be written.
    """
    try:
        path = resolve(name)
        # All other links are resolved: /dev/stdout and the like, which are no place of a file.
        is_descriptor = os.path.islink(path)
        try:
            found = os.stat(path)
        except FileNotFoundError:
            return _file(name, rules, log)
        if stat.S_ISREG(found.st_mode) and not is_descriptor:
            return _file(name, rules, log)
        if not is_descriptor:
            check_owner(path, found)
        fd = os.open(path, _FLAGS if is_descriptor else _FLAGS | os.O_NOFOLLOW)
        os.set_blocking(fd, True)
        return _stream(fd, name)
    except OSError as err:
        raise refusal(name, err) from err


def _file(name: str, rules: FileRules, log: Log) -> Sink:
    from tetrapy.sinks.file import FileSink

    return FileSink(name, rules, log)


def _stream(fd: int, name: str, *, owned: bool = True) -> Sink:
    from tetrapy.sinks.stream import LineSink

    return LineSink(fd, name, owned)
