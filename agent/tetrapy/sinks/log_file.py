"""The file that log lines are written to as well; it is trusted as little as an export file."""

from __future__ import annotations

import os
from typing import TextIO

from tetrapy.sinks.place import create, open_existing, resolve

_WHAT = "log file"


def open_log_file(name: str) -> TextIO:
    """The file, emptied, or made with mode 0600.

    Raises ExportError where others could have put it there, OSError.
    """
    path = resolve(name, _WHAT)
    try:
        fd = open_existing(path, _WHAT)
        os.ftruncate(fd, 0)
    except FileNotFoundError:
        fd = create(path, 0o600)
    return open(fd, "w", encoding="utf-8")
