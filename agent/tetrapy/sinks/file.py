# SPDX-License-Identifier: Apache-2.0
"""A file that takes lines, and is put aside when it is large or old enough.

A line goes wholly into one file. What the disk does not take waits, bounded. When a write ends
within a line, the rest follows as soon as there is room; should the file be left for another before
that, the part is cut off and the whole line goes into the other.
"""

from __future__ import annotations

import errno
import os
import time
from typing import NoReturn, Optional, Union

from tetrapy.errors import ExportError
from tetrapy.sinks.opened import OpenFile
from tetrapy.sinks.place import refusal
from tetrapy.sinks.rotation import Rotation
from tetrapy.sinks.rules import FileRules
from tetrapy.sinks.sink import LIMIT, Backlog, Log, Sink

_PENDING_LIMIT = LIMIT
# Seconds between two attempts at a file that refuses.
_FIRST_PAUSE, _MAX_PAUSE = 0.25, 5.0
# The descriptor is as good as before once there is room again.
_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_ASIDE = "overflow-"  # before the name of a file, for the file beside it
_NOTHING = -1  # a limit that every write exceeds


class FileSink(Sink):
    """Lines to the end of a regular file, which is made when it is not there.

    `tick` has to be called about once a second: it notices a file that was moved or deleted. The
    rules can be changed in `rotation`, and are kept to from the next tick on.
    """

    def __init__(self, name: str, rules: FileRules, log: Log) -> None:
        """Open the file. Raises ExportError when that is not possible or not safe."""
        super().__init__(name, Backlog(_PENDING_LIMIT))
        self._log = log
        self.rotation = Rotation(rules, log, time.monotonic())
        try:
            self._file = OpenFile(name, rules.mode, log)
        except OSError as err:
            raise refusal(name, err) from err
        self._is_open = True
        self._limit = self.rotation.threshold  # up to this size a write needs no thought
        self._torn = 0  # bytes of the first waiting line that the file has
        self._seen = self._file.size  # size when the file was last seen in its place
        self._lines_seen = 0
        self._pause = 0.0
        self._retry_at = 0.0
        self._reason = ""
        self._aside: Optional[FileSink] = None
        self._lacks_aside = False

    @property
    def compressions(self) -> int:
        """Backups that were compressed."""
        return self.rotation.compressions

    @property
    def rotation_failures(self) -> int:
        """Rotations, and compressions and removals of backups, that did not work."""
        return self.rotation.all_failures

    # --- writing -----------------------------------------------------------------------------

    def write(self, lines: bytes, count: int = 0) -> None:
        """Write `lines`, each ended by a line feed; `count` is their number, 0 has them counted.

        Raises ExportError for a file that refuses them; they wait for the next call or tick.
        """
        file = self._file
        end = file.size + len(lines)
        if end > self._limit:
            self._write_with_care(lines)
            return
        try:
            done = os.write(file.fd, lines)
        except OSError:
            done = 0  # tried once more below, where refusals are dealt with
        if done < len(lines):
            self._count(lines, 0, done)
            self._write_all(lines, done)
            return
        file.size = end
        self.lines += count or lines.count(b"\n")
        self.bytes += done
        self.last_write = time.time()

    def _write_with_care(self, lines: bytes) -> None:
        if self._limit != _NOTHING:
            self._write_all(lines, 0)
            return
        self._backlog.add(lines)
        self._retry(time.monotonic())

    def _retry(self, now: float) -> None:
        """Write what waits, unless the file refused a moment ago."""
        if now < self._retry_at:
            raise self._refusal()
        try:
            if not self._is_open:
                self._open()
            elif self._file.is_in_place():
                self._look_at_size()
            else:
                self._follow_path()
        except (OSError, ExportError) as err:
            self._fail(err)
        # In the pieces in which it came: all in one would take its memory twice.
        while True:
            torn, self._torn = self._torn, 0
            self._write_all(self._backlog.take_first(), torn)
            if not self._backlog.size:
                return

    def _write_all(self, data: bytes, at: int) -> None:
        """Write from `at` on; what is before, of the first line, the file has already."""
        view = memoryview(data)
        while at < len(data):
            try:
                end = self._end_of_part(data, at)
                done = os.write(self._file.fd, view[at:end])
            except OSError as err:
                start = data.rfind(b"\n", 0, at) + 1
                self._torn = at - start
                if err.errno == errno.EFBIG and self._file.size > self._torn and self._rotate():
                    at = start  # no file may grow larger here (ulimit -f); the next one can
                    continue
                self._backlog.put_back(data[start:], torn=self._torn > 0)
                self._fail(err)
            self._count(data, at, done)
            at += done
        self._pause = self._retry_at = 0.0
        self._limit = self.rotation.threshold

    def _end_of_part(self, data: bytes, at: int) -> int:
        """Up to where `data` goes into one file, which is rotated when nothing more does."""
        if at and data[at - 1 : at] != b"\n":
            return data.find(b"\n", at) + 1
        room = self.rotation.threshold - self._file.size
        if len(data) - at <= room:
            return len(data)
        end = data.rfind(b"\n", at, at + max(room, 0)) + 1
        if end:
            return end
        if self._file.size and self._rotate():
            return self._end_of_part(data, at)
        return data.find(b"\n", at) + 1  # a line that is longer than a file has its own

    def _count(self, data: bytes, at: int, done: int) -> None:
        self._file.size += done
        self.bytes += done
        self.lines += data.count(b"\n", at, at + done)
        self.last_write = time.time()

    # --- lines of who has filled its share ---------------------------------------------------

    @property
    def volume(self) -> int:
        """What the file and its backups may have."""
        rules = self.rotation.rules
        return rules.max_size * (rules.max_backups + 1) if rules.max_backups else 0

    @property
    def lost(self) -> int:
        """Lines that were given up."""
        return self._backlog.lost + (self._aside.lost if self._aside else 0)

    @property
    def aside(self) -> str:
        """The name of the file beside this one, which has backups of its own."""
        directory, name = os.path.split(self.name)
        return os.path.join(directory, _ASIDE + name)

    def write_aside(self, lines: bytes, count: int) -> None:
        """Write to the file beside, which is made when it is first needed.

        Where it cannot be made, the lines go into this one.
        """
        if self._aside is None and not self._lacks_aside:
            try:
                self._aside = FileSink(self.aside, self.rotation.rules, self._log)
            except ExportError as err:
                self._lacks_aside = True
                self._log("warn", "There is no file for lines beyond a share", error=str(err))
        (self._aside or self).write(lines, count)

    # --- refusals ----------------------------------------------------------------------------

    def _fail(self, err: Union[OSError, ExportError]) -> NoReturn:
        self.failures += 1
        self._pause = min(max(_FIRST_PAUSE, 2 * self._pause), _MAX_PAUSE)
        self._retry_at = time.monotonic() + self._pause
        self._limit = _NOTHING
        if isinstance(err, OSError):
            self._reason = f"export target {self.name}: {err.strerror}"
            if err.errno not in _FULL:
                self._leave()
        else:
            self._reason = str(err)
        raise self._refusal() from err

    def _refusal(self) -> ExportError:
        return ExportError(f"{self._reason}; {self.waiting} bytes wait, {self.lost} lines are lost")

    def _leave(self) -> None:
        """Close the file; it ends with a whole line then."""
        if self._is_open:
            self._is_open = False
            self._cut()
            self._file.close()
        self._torn = 0

    def _cut(self) -> None:
        """Take back the part of a line that the file ends with, where that is possible."""
        left = self._file.cut(self._torn)
        self.bytes -= self._torn - left
        self._torn = left

    def _open(self) -> None:
        self._file = OpenFile(self.name, self.rotation.rules.mode, self._log)
        self._is_open = True
        self._note_place()

    # --- a file that others move, delete or cut ----------------------------------------------

    def _note_place(self) -> None:
        self._seen, self._lines_seen = self._file.size - self._torn, self.lines

    def _look_at_size(self) -> None:
        """Notice that others cut the file (logrotate's copytruncate) or wrote to it."""
        size = os.fstat(self._file.fd).st_size
        if size != self._file.size:
            self._file.size = size
            if self._torn:
                self._torn = 0
                self._file.mend()
        self._note_place()

    def _follow_path(self) -> None:
        """Go on at the path with the file that is there now, or with a new one."""
        deleted = os.fstat(self._file.fd).st_nlink == 0
        self._log(
            "warn" if deleted else "info",
            "Export file was deleted" if deleted else "Export file was moved",
            file=self._file.path,
        )
        if deleted:
            self._rescue()
        self._leave()
        self._open()

    def _rescue(self) -> None:
        """Have lines wait again that were written after the file was last seen in its place."""
        file = self._file
        end = file.size - self._torn
        if os.fstat(file.fd).st_size != file.size or end <= self._seen:
            return
        data = os.pread(file.fd, min(end - self._seen, _PENDING_LIMIT), self._seen)
        data = data[: data.rfind(b"\n") + 1]
        written = self.lines - self._lines_seen
        self._backlog.lost += max(0, written - data.count(b"\n"))
        self.lines -= written
        self.bytes -= end - self._seen
        self._backlog.put_back(data)

    # --- rotation and care -------------------------------------------------------------------

    def _rotate(self) -> bool:
        self._cut()
        done = self.rotation.rotate(self._file, time.monotonic())
        if done:
            self.rotations += 1
            self._torn = 0
            self._note_place()
        if self._limit != _NOTHING:
            self._limit = self.rotation.threshold
        return done

    def tick(self, now: float) -> None:
        """Follow the path, write what waits, rotate by time, look after backups.

        Raises ExportError as `write` does.
        """
        self._care(now)
        self.rotation.tick(self._file, now)
        self._limit = self.rotation.threshold
        if self.rotation.is_due(now) and self._file.size:
            self.rotation.announce(self._file)
            self._rotate()
        if self._aside is not None:
            self._aside.rotation.follow(self.rotation.rules)
            self._aside.tick(now)

    def _care(self, now: float) -> None:
        if self._limit != _NOTHING:
            try:
                if self._file.is_in_place():
                    self._look_at_size()
                    return
            except OSError:
                pass  # what it is comes to light below
            self._limit = _NOTHING
        self._retry(now)

    def rotate(self) -> bool:
        """Begin a new file now; False when the file has to be gone on with.

        A file that others moved has its successor already. Raises ExportError as `write` does.
        """
        before = self._file
        self._care(time.monotonic())
        if self._file is not before or not self._file.size:
            return True
        self.rotation.announce(self._file)
        return self._rotate()

    def close(self, log: Log) -> None:
        """Write what waits and close the file; says so in `log` when that fails."""
        self._retry_at = 0.0
        try:
            self._care(time.monotonic())
        except ExportError as err:
            log("error", "Writing events", error=str(err))
        self._backlog.give_up()
        self._leave()
        if self._backlog.lost:
            log("error", "Events are lost", file=self.name, lines=self._backlog.lost)
        self.rotation.close()
        if self._aside is not None:
            self._aside.close(log)
