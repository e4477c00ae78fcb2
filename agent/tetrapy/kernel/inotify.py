# SPDX-License-Identifier: Apache-2.0
"""Notices that files of a directory come, go or change (inotify(7))."""

from __future__ import annotations

import os

from tetrapy.kernel import sys_calls

# include/uapi/linux/inotify.h
_CLOSE_WRITE, _MOVED_FROM, _MOVED_TO, _CREATE, _DELETE = 0x8, 0x40, 0x80, 0x100, 0x200
_DELETE_SELF, _MOVE_SELF, _ONLYDIR = 0x400, 0x800, 0x1000000
_CHANGES = _CLOSE_WRITE | _MOVED_FROM | _MOVED_TO | _CREATE | _DELETE | _DELETE_SELF | _MOVE_SELF
_SIZE = 64 << 10  # bytes of events that are read at once


class Inotify:
    """Directories that are watched; `fd` is readable when something changed in one of them."""

    def __init__(self) -> None:
        """Raises OSError."""
        self.fd = sys_calls.call("inotify_init1", os.O_NONBLOCK | os.O_CLOEXEC)

    def watch(self, directory: str) -> None:
        """Watch a directory, not those below; it may be watched already. Raises OSError."""
        sys_calls.call("inotify_add_watch", self.fd, os.fsencode(directory), _CHANGES | _ONLYDIR)

    def drain(self) -> None:
        """Forget what was reported."""
        try:
            while os.read(self.fd, _SIZE):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Watch no more; safe to call twice."""
        if self.fd >= 0:
            os.close(self.fd)
        self.fd = -1
