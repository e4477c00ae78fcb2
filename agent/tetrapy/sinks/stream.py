# SPDX-License-Identifier: Apache-2.0
"""A file descriptor that takes lines: standard output, a FIFO, a device, a socket.

Who reads it may be slow, or stop, and nobody waits for them longer than `TIMEOUT`: what is not
taken waits in a backlog, and `push` hands it over bit by bit while the agent goes on.
"""

from __future__ import annotations

import os
import select
import time

from tetrapy.errors import ExportError
from tetrapy.nowait import without_waiting
from tetrapy.sinks.sink import LIMIT, Backlog, Log, Sink

# A target that takes nothing is given this much patience, in bytes of lines.
_PENDING_LIMIT = LIMIT
# In seconds for a whole call, however many lines it brings:
TIMEOUT = 0.02  # for a reader that has kept up so far
_LITTLE_PATIENCE = 0.001  # while lines wait for it
_LAST_PATIENCE = 2.0  # at the end, for all that waits
_STALLED = 1.0  # a reader that has taken nothing for so long is reported


class LineSink(Sink):
    """Writes whole lines; what the target refuses waits, and what cannot wait is counted."""

    def __init__(self, fd: int, name: str, owned: bool) -> None:
        """`owned`: nobody else has the descriptor, so that it may be closed at the end."""
        super().__init__(name, Backlog(_PENDING_LIMIT))
        self._write, self._close = without_waiting(fd)
        self._fd = fd
        self._owned = owned
        self._poll = select.poll()
        self._poll.register(fd, select.POLLOUT)
        self._torn = False  # the target has the first part of the line that waits first
        self._taken = 0.0  # when it took something last, by the monotonic clock

    @property
    def wants_push(self) -> bool:
        """Whether lines wait for the reader."""
        return bool(self._backlog.size)

    def write(self, lines: bytes, count: int = 0) -> None:
        """Write `lines`; a pipe that nobody reads any more says so in `closed_by_reader`."""
        if self._backlog.size:
            lost = self.lost
            self._backlog.add(lines)
            self.push()
            if self.lost > lost:
                raise self._refusal("its reader is too slow")
        elif lines:
            self._taken = time.monotonic()
            self._hand_over(lines, count, self._taken + TIMEOUT)

    def push(self) -> None:
        """Hand over what waits, as far as the reader takes it at once.

        Raises ExportError for a target that refuses, or that has taken nothing for long.
        """
        self._hand_over_all(_LITTLE_PATIENCE)

    def _hand_over_all(self, patience: float) -> None:
        backlog = self._backlog
        end = time.monotonic() + patience
        while backlog.size and self._hand_over(backlog.take_first(), 0, end):
            pass

    def _hand_over(self, data: bytes, count: int, end: float) -> bool:
        """Write until `end`, and have the rest wait; whether there is none."""
        at, refused = 0, None
        view = memoryview(data)
        try:
            while at < len(data):
                try:
                    at += self._write(view[at:])
                except BlockingIOError:
                    if not self._has_room(end):
                        break
        except BrokenPipeError:
            self.closed_by_reader = True
            self._backlog.give_up()
            self._backlog.lost += data.count(b"\n", at)
        except OSError as err:
            refused = err
        whole = at == len(data)
        if at:
            self.lines += count if count and whole else data.count(b"\n", 0, at)
            self.bytes += at
            self.last_write = time.time()
            self._torn = data[at - 1 : at] != b"\n"
        if whole or self.closed_by_reader:
            return whole
        lost = self.lost
        self._backlog.put_back(data[at:], torn=self._torn)
        now = time.monotonic()
        if at:
            self._taken = now
        if refused is not None:
            raise self._refusal(str(refused.strerror)) from refused
        if now - self._taken >= _STALLED:
            raise self._refusal("its reader does not read")
        if self.lost > lost:
            raise self._refusal("its reader is too slow")
        return False

    def _has_room(self, end: float) -> bool:
        left = end - time.monotonic()
        return left > 0 and bool(self._poll.poll(left * 1000))

    def _refusal(self, why: str) -> ExportError:
        self.failures += 1
        return ExportError(
            f"export target {self.name}: {why}; "
            f"{self.waiting} bytes wait, {self.lost} lines are lost"
        )

    def tick(self, now: float) -> None:
        """Write what waits."""
        self.push()

    def close(self, log: Log) -> None:
        """Write what waits, as far as it is taken soon; says in `log` what is lost."""
        try:
            self._hand_over_all(_LAST_PATIENCE)
            if self.waiting:
                raise self._refusal("its reader does not read")
        except ExportError as err:
            self._backlog.give_up()
            log("error", "Writing events", error=str(err))
        if self.lost and not self.closed_by_reader:
            log("error", "Events are lost", file=self.name, lines=self.lost)
        self._close()
        if self._owned:
            os.close(self._fd)
