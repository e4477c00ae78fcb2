"""A file descriptor that takes lines: standard output, a FIFO, a device."""

from __future__ import annotations

import errno
import os
import select
import stat
import time

from tetrapy.errors import ExportError
from tetrapy.sinks.backlog import LIMIT, Backlog
from tetrapy.sinks.sink import Log, Sink

# A target that takes nothing is given this much patience, in bytes of lines.
_PENDING_LIMIT = LIMIT
_PATIENCE = 1.0  # seconds that a stalled reader is waited for
_NO_PATIENCE = 0.0  # ... and once it has stalled


class LineSink(Sink):
    """Writes whole lines; what the target refuses waits, and what cannot wait is counted."""

    def __init__(self, fd: int, name: str, owned: bool) -> None:
        super().__init__(name, Backlog(_PENDING_LIMIT))
        self._fd = fd
        self._owned = owned
        self._torn = False  # the target has the first part of the line that waits first
        # A pipe or a terminal whose reader stalls must not stall the agent.
        self._may_stall = not stat.S_ISREG(os.fstat(fd).st_mode)

    def write(self, lines: bytes, count: int = 0) -> None:
        """Write `lines`; a pipe that nobody reads any more says so in `closed_by_reader`."""
        backlog = self._backlog
        patience = _NO_PATIENCE if backlog.size else _PATIENCE
        data = lines
        if backlog.size:
            backlog.add(lines)
            data = backlog.take()
        at = 0
        try:
            while at < len(data):
                at += self._write_some(data, at, patience)
        except BrokenPipeError:
            self.closed_by_reader = True
            backlog.lost += data.count(b"\n", at)
        except OSError as err:
            if at:
                self._torn = data[at - 1 : at] != b"\n"
            backlog.put_back(data[at:], torn=self._torn)
            self.failures += 1
            raise ExportError(
                f"export target {self.name}: {err.strerror}; "
                f"{backlog.size} bytes wait, {backlog.lost} lines are lost"
            ) from err
        else:
            self._torn = False
        finally:
            if at:
                whole = data is lines and at == len(data)
                self.lines += count if count and whole else data.count(b"\n", 0, at)
                self.bytes += at
                self.last_write = time.time()

    def _write_some(self, data: bytes, at: int, patience: float) -> int:
        if not self._may_stall:
            return os.write(self._fd, data[at:] if at else data)
        if not select.select([], [self._fd], [], patience)[1]:
            raise BlockingIOError(errno.EAGAIN, "its reader does not read")
        # A pipe that select calls writable takes this much without blocking.
        return os.write(self._fd, data[at : at + select.PIPE_BUF])

    def tick(self, now: float) -> None:
        """Write what waits."""
        if self._backlog.size:
            self.write(b"")

    def close(self, log: Log) -> None:
        """Write what waits and close the target; says so in `log` when that fails."""
        try:
            self.write(b"")
        except ExportError as err:
            self._backlog.give_up()
            log("error", "Writing events", error=str(err))
        if self.lost and not self.closed_by_reader:
            log("error", "Events are lost", file=self.name, lines=self.lost)
        if self._owned:
            os.close(self._fd)
