"""A file descriptor that takes lines: a file, or standard output."""

from __future__ import annotations

import errno
import os
import select
import stat
from typing import Callable

from tetrapy.errors import ExportError

# A target that takes nothing is given this much patience, in bytes of lines.
_PENDING_LIMIT = 8 * 1024 * 1024
_PATIENCE = 1.0  # seconds that a stalled reader is waited for
_NO_PATIENCE = 0.0  # ... and once it has stalled
_STANDARD_OUTPUT = 1


class LineSink:
    """Writes whole lines; what the target refuses waits, and what cannot wait is counted."""

    def __init__(self, fd: int, name: str, owned: bool) -> None:
        self.name = name
        self.lost = 0  # lines
        self.closed_by_reader = False
        self._fd = fd
        self._owned = owned
        self._pending = b""
        # A pipe or a terminal whose reader stalls must not stall the agent.
        self._may_stall = not stat.S_ISREG(os.fstat(fd).st_mode)

    def write(self, lines: bytes) -> None:
        """Write `lines`, each ended by a line feed.

        Raises ExportError for a target that refuses them; they are kept for the next call. A pipe
        that nobody reads any more takes nothing and says so in `closed_by_reader`.
        """
        patience = _NO_PATIENCE if self._pending else _PATIENCE
        data = self._pending + lines if self._pending else lines
        self._pending = b""
        try:
            while data:
                done = self._write_some(data, patience)
                data = data[done:] if done < len(data) else b""
        except BrokenPipeError:
            self.closed_by_reader = True
        except OSError as err:
            self._keep(data)
            raise ExportError(
                f"export target {self.name}: {err.strerror}; "
                f"{len(self._pending)} bytes wait, {self.lost} lines are lost"
            ) from err

    def _write_some(self, data: bytes, patience: float) -> int:
        if not self._may_stall:
            return os.write(self._fd, data)
        if not select.select([], [self._fd], [], patience)[1]:
            raise BlockingIOError(errno.EAGAIN, "its reader does not read")
        # A pipe that select calls writable takes this much without blocking.
        return os.write(self._fd, data[: select.PIPE_BUF])

    def _keep(self, data: bytes) -> None:
        if len(data) > _PENDING_LIMIT:
            end = data.rfind(b"\n", 0, _PENDING_LIMIT) + 1
            self.lost += data.count(b"\n", end)
            data = data[:end]
        self._pending = data

    def close(self, log: Callable[..., None]) -> None:
        """Write what waits and close the target; says so in `log` when that fails."""
        try:
            self.write(b"")
        except ExportError as err:
            self.lost += self._pending.count(b"\n")
            self._pending = b""
            log("error", "Writing events", error=str(err))
        if self.lost:
            log("error", "Events are lost", file=self.name, lines=self.lost)
        if self._owned:
            os.close(self._fd)


def standard_output() -> LineSink:
    """Lines to standard output."""
    return LineSink(_STANDARD_OUTPUT, "standard output", owned=False)


def open_file(path: str, mode: int = 0o600) -> LineSink:
    """Lines to the end of the file at `path`, made with `mode` when it is not there.

    Raises ExportError when it cannot be written.
    """
    directory = os.path.dirname(path)
    try:
        if directory:
            os.makedirs(directory, mode=0o755, exist_ok=True)
        # O_NONBLOCK: a FIFO without a reader is refused, not waited for.
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NONBLOCK
        fd = os.open(path, flags, mode)
    except (FileExistsError, NotADirectoryError) as err:
        raise ExportError(
            f"export target {path} cannot be made: {directory} is not a directory"
        ) from err
    except IsADirectoryError as err:
        raise ExportError(
            f"export target {path} is a directory; name a file in it, for example "
            f"{os.path.join(path, 'tetrapy.log')}"
        ) from err
    except OSError as err:
        hint = ""
        if err.errno == errno.ENXIO:
            hint = "; it is a FIFO that nobody reads"
        elif err.errno == errno.EROFS:
            hint = "; name a file on a file system that can be written"
        raise ExportError(f"export target {path} cannot be written: {err.strerror}{hint}") from err
    os.set_blocking(fd, True)
    return LineSink(fd, path, owned=True)
