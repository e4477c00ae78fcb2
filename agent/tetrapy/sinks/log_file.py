# SPDX-License-Identifier: Apache-2.0
"""The file that log lines are written to as well; it is trusted as little as an export file."""

from __future__ import annotations

import os
from typing import TextIO

from tetrapy.errors import ExportError
from tetrapy.sinks.open import target_of
from tetrapy.sinks.place import create, open_existing, resolve

_WHAT = "log file"


def open_log_file(name: str, events: str) -> TextIO:
    """The file, emptied, or made with mode 0600; `events` is where events go.

    Raises ExportError where others could have put it there or where events go, OSError.
    """
    path = resolve(name, _WHAT)
    if events and _is_same(path, events):
        raise ExportError(f"{path} is where events are written to; name another file")
    try:
        fd = open_existing(path, _WHAT)
        os.ftruncate(fd, 0)
    except FileNotFoundError:
        fd = create(path, 0o600)
    return open(fd, "w", encoding="utf-8")


def _is_same(path: str, events: str) -> bool:
    target = target_of(events)
    if target is None:
        return os.path.realpath(path) == os.path.realpath(events)
    return os.path.exists(path) and os.path.samestat(os.stat(path), target)
