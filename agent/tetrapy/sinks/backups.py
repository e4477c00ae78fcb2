# SPDX-License-Identifier: Apache-2.0
"""Rotated files: their names, their compression, and removal of those too many or too old.

`tetrapy.log` becomes `tetrapy-2006-01-02T15-04-05.000.log`, in UTC.

It is done in a thread, which lives as long as there is something to do. The thread has no low
priority: it needs Python's lock now and then, and a thread that has the lock and does not get the
CPU would stop the agent. It sleeps as long as it worked instead. zlib works without the lock.
"""

from __future__ import annotations

import os
import re
import stat
import struct
import threading
import time
import zlib
from typing import Dict, List, Optional, Set, Tuple

from tetrapy.sinks.place import dress
from tetrapy.sinks.rules import FileRules

_BLOCK = 1 << 18  # bytes that are read and compressed at a time
_GZIP = 16 + zlib.MAX_WBITS  # zlib's word for gzip's header and trailer
_LEVEL = 6
_TRAILER = struct.Struct("<II")
_MS = 1_000_000  # nanoseconds
_TIMEOUT = 1.0  # seconds that the end of the agent waits for a disk
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW

COMPRESSED = ".gz"
UNFINISHED = ".gz.tmp"
# The stamp as a regular expression.
STAMP = (
    "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3])-[0-5][0-9]-[0-5][0-9]\.[0-9]{3}"
)
STAMP_LENGTH = len("2006-01-02T15-04-05.000")
_LAST = 253402300799_999  # milliseconds since the epoch; the end of the year 9999


def stamp_of(milliseconds: int) -> str:
    """The stamp of a time since the epoch; later ones sort behind earlier ones."""
    # File systems may say anything.
    seconds, rest = divmod(min(max(milliseconds, 0), _LAST), 1000)
    return f"{time.strftime('%Y-%m-%dT%H-%M-%S', time.gmtime(seconds))}.{rest:03}"


class BackupNames:
    """Makes a name for each rotation; a later one sorts behind an earlier one."""

    def __init__(self) -> None:
        self._last = 0  # milliseconds since the epoch

    def make(self, path: str) -> str:
        """A path that no file has, nor its compressed form."""
        stem, extension = os.path.splitext(path)
        # The clock may have been set back, and two rotations may fall into one millisecond.
        stamp = max(time.time_ns() // 1_000_000, self._last + 1)
        while True:
            name = f"{stem}-{stamp_of(stamp)}{extension}"
            if not os.path.lexists(name) and not os.path.lexists(name + COMPRESSED):
                self._last = stamp
                return name
            stamp += 1


class Housekeeper:
    """Looks after the backups of one file."""

    def __init__(self) -> None:
        self.compressions = 0
        self.failures = 0
        self.trouble = ""  # what went wrong in the last round
        self._lock = threading.Lock()
        self._wanted: Optional[Tuple[str, FileRules]] = None  # the round that is asked for
        self._thread: Optional[threading.Thread] = None  # set while it works
        self._stop = threading.Event()

    def ask(self, path: str, rules: FileRules) -> None:
        """Have a round done soon, for the file at `path` (without links)."""
        with self._lock:
            self._wanted = path, rules
            if self._thread is None:
                thread = threading.Thread(target=self._run, name="backups", daemon=True)
                try:
                    thread.start()
                except RuntimeError as err:  # the machine has no thread left; the next round may
                    self.failures += 1
                    self.trouble = f"{path}: {err}"
                    return
                self._thread = thread

    def wait(self, patience: Optional[float] = None) -> None:
        """Return when all rounds are done, or after so many seconds."""
        thread = self._thread
        if thread:
            thread.join(patience)

    def close(self) -> None:
        """Stop; a compression that is not finished begins anew at the next start."""
        self._stop.set()
        self.wait(_TIMEOUT)

    def _run(self) -> None:
        while True:
            with self._lock:
                wanted, self._wanted = self._wanted, None
                if wanted is None or self._stop.is_set():
                    self._thread = None
                    return
            self.trouble = ""
            try:
                self._do_round(*wanted)
            except OSError as err:
                self._note(wanted[0], err)

    def _note(self, path: str, err: OSError) -> None:
        self.failures += 1
        self.trouble = f"{path}: {err.strerror}"

    def _do_round(self, file: str, rules: FileRules) -> None:
        backups = _find(file)
        stem, _ = os.path.splitext(file)
        self._settle(backups)
        dates = {plain: self._date(plain, stem, backups[plain]) for plain in backups}
        newest_first = sorted(backups, key=lambda plain: (dates[plain], plain), reverse=True)
        too_many = set(newest_first[rules.max_backups :] if rules.max_backups else ())
        oldest = stamp_of((time.time_ns() - rules.max_age) // _MS) if rules.max_age else ""
        for plain in newest_first:
            for suffix in sorted(backups[plain]):
                path = plain + suffix
                try:
                    unfinished = suffix == UNFINISHED
                    if unfinished or plain in too_many or "" < dates[plain] < oldest:
                        backups[plain].remove(suffix)
                        os.unlink(path)
                except FileNotFoundError:
                    continue
                except OSError as err:
                    self._note(path, err)
        if rules.compress:
            # When rotations outrun this, the oldest are soon removed.
            self._compress_all([plain for plain in newest_first if "" in backups[plain]])

    def _settle(self, backups: Dict[str, Set[str]]) -> None:
        """Remove plain backups whose compressed form is complete: a kill came between."""
        for plain, forms in backups.items():
            if not {"", COMPRESSED} <= forms:
                continue
            try:
                if _is_compressed(plain):
                    forms.remove("")
                    os.unlink(plain)
            except OSError as err:
                self._note(plain, err)

    def _date(self, plain: str, stem: str, forms: Set[str]) -> str:
        """The stamp of the time when the last line was written; none when it is in the future.

        The name and the file each tell one, and the earlier counts: files are touched, and a clock
        that was ahead gave names. Where both are ahead of the clock nothing is known but that it
        was before now: it is the oldest of this round, and its age is counted from now on.
        """
        now = time.time_ns()
        latest = stamp_of(now // _MS)
        date = plain[len(stem) + 1 :][:STAMP_LENGTH]
        for form in forms:
            try:
                date = min(date, stamp_of(os.lstat(plain + form).st_mtime_ns // _MS))
                if date > latest:
                    os.utime(plain + form, ns=(now, now), follow_symlinks=False)
            except FileNotFoundError:
                continue
            except OSError as err:
                self._note(plain, err)
        return date if date <= latest else ""

    def _compress_all(self, paths: List[str]) -> None:
        for path in paths:
            if self._wanted is not None or self._stop.is_set():
                return  # another round is asked for, which may remove some of these
            try:
                self.compressions += self._compress(path)
            except FileNotFoundError:
                continue
            except OSError as err:
                self._note(path, err)

    def _compress(self, path: str) -> bool:
        """Replace a backup by its compressed form, which has its name only when it is complete."""
        source = os.open(path, _READ)
        unfinished = path + UNFINISHED
        try:
            target = os.open(unfinished, _MAKE, 0o600)
            try:
                whole = self._pack(source, target)
            finally:
                os.close(target)
            # A rotation may have been taken back meanwhile.
            whole = whole and os.path.samestat(os.fstat(source), os.lstat(path))
            if whole:
                os.rename(unfinished, path + COMPRESSED)
        except OSError:
            _remove(unfinished)
            raise
        finally:
            os.close(source)
        if not whole:
            _remove(unfinished)
            return False
        _sync_directory(os.path.dirname(path))
        os.unlink(path)
        return True

    def _pack(self, source: int, target: int) -> bool:
        """Write the compressed form to the disk; False when the agent ends meanwhile."""
        like = os.fstat(source)
        dress(target, stat.S_IMODE(like.st_mode), like)
        packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, _GZIP)
        while True:
            begin = time.monotonic()
            block = os.read(source, _BLOCK)
            _write(target, packer.compress(block) if block else packer.flush())
            if not block:
                break
            if self._stop.wait(time.monotonic() - begin):
                return False
        # Its age stays that of its lines.
        os.utime(target, ns=(like.st_atime_ns, like.st_mtime_ns))
        os.fsync(target)
        return True


def _find(path: str) -> Dict[str, Set[str]]:
    """Backups of a file, by the path of the plain form, and in which forms each is there."""
    directory, name = os.path.split(path)
    stem, extension = os.path.splitext(name)
    plain = f"{re.escape(stem)}-{STAMP}{re.escape(extension)}"
    pattern = re.compile(f"({plain})({re.escape(COMPRESSED)}|{re.escape(UNFINISHED)})?")
    found: Dict[str, Set[str]] = {}
    with os.scandir(directory) as entries:
        for entry in entries:
            match = pattern.fullmatch(entry.name)
            if match and entry.is_file(follow_symlinks=False):
                found.setdefault(os.path.join(directory, match[1]), set()).add(match[2] or "")
    return found


def _is_compressed(plain: str) -> bool:
    """Whether the compressed form beside a backup is made of it. Raises OSError.

    A gzip file ends with the checksum and the length of what is in it.
    """
    with open(os.open(plain + COMPRESSED, _READ), "rb") as file:
        file.seek(-min(_TRAILER.size, os.fstat(file.fileno()).st_size), os.SEEK_END)
        trailer = file.read()
    checksum = length = 0
    with open(os.open(plain, _READ), "rb") as file:
        for block in iter(lambda: file.read(_BLOCK), b""):
            checksum = zlib.crc32(block, checksum)
            length += len(block)
    return trailer == _TRAILER.pack(checksum, length % (1 << 32))


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass  # it could not be made


def _write(fd: int, data: bytes) -> None:
    while data:
        data = data[os.write(fd, data) :]


def _sync_directory(directory: str) -> None:
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
