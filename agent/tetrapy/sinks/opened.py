# SPDX-License-Identifier: Apache-2.0
"""The export file while it is open: its place, its end, and putting it aside.

A kill or a power loss may have ended it within a line. The rest of that line is gone, so no reader
could ever parse it, and many stop at it (jq does). It is cut off, although a program that follows
the file may have read it already: such programs wait for the line feed before they use a line.
"""

from __future__ import annotations

import os
import stat

from tetrapy.sinks.place import create, make_directories, open_existing, resolve
from tetrapy.sinks.sink import Log

_BLOCK = 1 << 16
_FARTHEST = 64 << 20  # no line of ours is longer


class OpenFile:
    """A regular file that lines are appended to; `size` is what it has by our own count."""

    def __init__(self, name: str, mode: int, log: Log) -> None:
        """Open the file, or make it with this mode, and its directory.

        Raises ExportError where that is not safe, OSError.
        """
        self.path = resolve(name)
        self._log = log
        try:
            self.fd = open_existing(self.path)
        except FileNotFoundError:
            make_directories(os.path.dirname(self.path))
            self.fd = create(self.path, mode)
            self.size = 0
            return
        try:
            self._look_at(mode)
        except BaseException:
            os.close(self.fd)
            raise

    def _look_at(self, mode: int) -> None:
        found = os.fstat(self.fd)
        self.mend()
        more = stat.S_IMODE(found.st_mode) & ~mode
        if more:
            self._log(
                "warn",
                "Export file can be used by more users than export-file-perm says",
                file=self.path,
                mode=f"{stat.S_IMODE(found.st_mode):03o}",
                hint=f"chmod {mode:03o} {self.path}",
            )

    def mend(self) -> None:
        """Have the file end with a whole line. Raises OSError."""
        before = self.size = os.fstat(self.fd).st_size
        if not before or os.pread(self.fd, 1, before - 1) == b"\n":
            return
        self.size = mend_end(self.fd, before)
        if self.size < before:
            self._log(
                "warn",
                "Removed the beginning of a line whose rest was never written",
                file=self.path,
                bytes=before - self.size,
            )

    def is_in_place(self) -> bool:
        """Whether the path still leads to this file. Raises OSError."""
        try:
            return os.path.samestat(os.lstat(self.path), os.fstat(self.fd))
        except (FileNotFoundError, NotADirectoryError):
            return False

    def cut(self, torn: int) -> int:
        """Take the part of a line off the end; returns how much of it is still there."""
        if not torn:
            return 0
        try:
            if os.fstat(self.fd).st_size == self.size:
                os.ftruncate(self.fd, self.size - torn)
                self.size -= torn
            else:
                self.mend()  # others cut the file or wrote to it: the part may be at its end or not
        except OSError:
            return torn  # an append-only file
        return 0

    def begin_anew(self, backup: str, mode: int) -> None:
        """Put the file aside by this name and go on with a new one at its path.

        Raises OSError; then all is as before.
        """
        old = os.fstat(self.fd)
        os.rename(self.path, backup)
        try:
            fd = create(self.path, mode, old)
        except OSError:
            if not os.path.lexists(self.path):
                os.rename(backup, self.path)
            raise
        os.close(self.fd)
        self.fd = fd
        self.size = 0

    def close(self) -> None:
        """Give the descriptor back."""
        os.close(self.fd)


def mend_end(fd: int, size: int) -> int:
    """Have the file end with a line feed; returns its size then. Raises OSError.

    What looks like the beginning of an event is cut off, a block of zeros too (which file systems
    leave after a power loss); behind a complete or a foreign line the line feed is added.
    """
    start = _last_line(fd, size)
    if size - start <= _FARTHEST:
        last = os.pread(fd, size - start, start)
        if _is_torn(last):
            try:
                os.ftruncate(fd, start)
                return start
            except PermissionError:
                pass  # an append-only file
    os.write(fd, b"\n")
    return size + 1


def _last_line(fd: int, size: int) -> int:
    """Where the line at the end begins."""
    end = size
    while end > 0 and size - end <= _FARTHEST:
        begin = max(0, end - _BLOCK)
        feed = os.pread(fd, end - begin, begin).rfind(b"\n")
        if feed >= 0:
            return begin + feed + 1
        end = begin
    return end


def _is_torn(last: bytes) -> bool:
    text = last.strip(b"\0")
    if not text.startswith(b'{"'):
        return b'{"'.startswith(text)
    from tetrapy.json_codec import loads  # no part of a usual start

    try:
        loads(text)
    except ValueError:
        return True
    return text != last
