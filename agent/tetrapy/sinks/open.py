# SPDX-License-Identifier: Apache-2.0
"""Opening what the settings export-filename and log-file name.

Of the two kinds of sinks a start imports only the one that it needs.
"""

from __future__ import annotations

import fcntl
import os
import stat
from typing import Any, Optional, TextIO

from tetrapy.errors import ExportError
from tetrapy.sinks.place import check_owner, create, open_existing, refusal, resolve
from tetrapy.sinks.rules import FileRules
from tetrapy.sinks.sink import Log, Sink

# What needs neither /dev nor /proc.
_STREAMS = {"-": 1, "/dev/stdout": 1, "/dev/stderr": 2}
_TITLES = {1: "standard output", 2: "standard error"}
_STDOUT = 1
_LOG_FILE = "log file"  # what it is called in errors

# O_NONBLOCK: a FIFO without a reader is refused, not waited for.
_FLAGS = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY


def open_sink(settings: Any, log: Log) -> Sink:
    """A file that rotates, standard output, a FIFO or device, or nowhere.

    Raises ExportError when it cannot be written, SettingsError.
    """
    name = settings.export_filename
    if not name:
        return _stream(os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC), os.devnull)
    number = descriptor_of(name)
    if number is not None:
        return _inherited(number, name)
    return open_file(name, FileRules.of(settings), log)


def descriptor_of(name: str) -> Optional[int]:
    """The number of the agent's own descriptor that a name means; None when it means none.

    Such names are `-`, /dev/stdout, /dev/stderr, /dev/fd/N, /proc/self/fd/N, and links to them.
    """
    if name in _STREAMS:
        return _STREAMS[name]
    try:
        path = resolve(name)
    except (OSError, ExportError):
        path = name  # there may be no /proc
    if path in _STREAMS:
        return _STREAMS[path]
    directory, number = os.path.split(path)
    own = f"/proc/{os.getpid()}/"
    if number.isdecimal() and (
        directory in {"/dev/fd", "/proc/self/fd", f"{own}fd"}
        or (directory.startswith(f"{own}task/") and directory.endswith("/fd"))
    ):
        return int(number)
    return None


def target_of(name: str) -> Optional[os.stat_result]:
    """What events will be written to; None when it is not there yet."""
    try:
        number = descriptor_of(name)
        return os.stat(name) if number is None else os.fstat(number)
    except (OSError, OverflowError):
        return None


def is_standard_output(name: str) -> bool:
    """Whether events go where standard output goes, by whatever name, so that nothing else may."""
    if not name:
        return False
    if descriptor_of(name) == _STDOUT:
        return True
    target = target_of(name)
    if target is None or (stat.S_ISCHR(target.st_mode) and not os.isatty(_STDOUT)):
        return False  # what goes to /dev/null cannot be mixed
    try:
        return os.path.samestat(target, os.fstat(_STDOUT))
    except OSError:
        return False  # it is closed


def _inherited(number: int, name: str) -> Sink:
    """A descriptor that the agent was started with; its own ones are not inheritable."""
    title = _TITLES.get(number, f"descriptor {number}")
    try:
        there = os.get_inheritable(number)
        mode = fcntl.fcntl(number, fcntl.F_GETFL) & os.O_ACCMODE
    except (OSError, OverflowError):
        there, mode = False, os.O_RDONLY
    if not there:
        raise ExportError(
            f"export target {name}: {title} is closed; open it, or name a file to export to"
        )
    if mode == os.O_RDONLY:
        raise ExportError(f"export target {name}: {title} is open for reading only")
    return _stream(number, title, owned=False)


def open_file(name: str, rules: FileRules, log: Log) -> Sink:
    """A regular file by the rules; what else is at the path is written to as it is.

    Raises ExportError when it cannot be written.
    """
    try:
        path = resolve(name)
        # All other links are resolved: another process's descriptor, which is no place of a file.
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


def open_log_file(name: str, events: str) -> TextIO:
    """The file, emptied, or made with mode 0600; `events` is where events go.

    Raises ExportError where others could have put it there or where events go, OSError.
    """
    path = resolve(name, _LOG_FILE)
    if events and _is_same(path, events):
        raise ExportError(f"{path} is where events are written to; name another file")
    try:
        fd = open_existing(path, _LOG_FILE)
        os.ftruncate(fd, 0)
    except FileNotFoundError:
        fd = create(path, 0o600)
    return open(fd, "w", encoding="utf-8")


def _is_same(path: str, events: str) -> bool:
    target = target_of(events)
    if target is None:
        return os.path.realpath(path) == os.path.realpath(events)
    return os.path.exists(path) and os.path.samestat(os.stat(path), target)
