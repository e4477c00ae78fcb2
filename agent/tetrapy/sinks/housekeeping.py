"""What happens to rotated files: compression, and removal of those too many or too old.

It is done in a thread, which lives as long as there is something to do. The thread has no low
priority: it needs Python's lock now and then, and a thread that has the lock and does not get the
CPU would stop the agent. It sleeps as long as it worked instead. zlib works without the lock.
"""

from __future__ import annotations

import os
import re
import stat
import threading
import time
import zlib
from typing import Dict, List, Optional, Set, Tuple

from tetrapy.sinks.backups import COMPRESSED, STAMP, UNFINISHED
from tetrapy.sinks.place import dress
from tetrapy.sinks.rules import FileRules

_BLOCK = 1 << 18  # bytes that are read and compressed at a time
_GZIP = 16 + zlib.MAX_WBITS  # zlib's word for gzip's header and trailer
_LEVEL = 6
_PATIENCE = 1.0  # seconds that the end of the agent waits for a disk
_READ = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


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
                self._thread = threading.Thread(target=self._run, name="backups", daemon=True)
                self._thread.start()

    def wait(self, patience: Optional[float] = None) -> None:
        """Return when all rounds are done, or after so many seconds."""
        thread = self._thread
        if thread:
            thread.join(patience)

    def close(self) -> None:
        """Stop; a compression that is not finished begins anew at the next start."""
        self._stop.set()
        self.wait(_PATIENCE)

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
        newest_first = sorted(backups, reverse=True)
        too_many = set(newest_first[rules.max_backups :] if rules.max_backups else ())
        oldest = time.time_ns() - rules.max_age if rules.max_age else 0
        for plain in newest_first:
            for suffix in sorted(backups[plain]):
                path = plain + suffix
                try:
                    unfinished = suffix == UNFINISHED
                    if unfinished or plain in too_many or os.lstat(path).st_mtime_ns < oldest:
                        backups[plain].remove(suffix)
                        os.unlink(path)
                except FileNotFoundError:
                    continue
                except OSError as err:
                    self._note(path, err)
        if rules.compress:
            # When rotations outrun this, the oldest are soon removed.
            self._compress_all([plain for plain in newest_first if "" in backups[plain]])

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
