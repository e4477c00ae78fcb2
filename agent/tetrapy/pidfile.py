# SPDX-License-Identifier: Apache-2.0
"""The pid file: one instance a machine (and a second one is told so)."""

from __future__ import annotations

import errno
import fcntl
import os
import stat

from tetrapy.errors import AlreadyRunningError, ReadOnlyError, TetrapyError

RUN_DIRECTORY = "/var/run/tetrapy"


class PidFile:
    """Holds `<directory>/tetrapy.pid`: decimal pid, no line feed, as Tetragon writes it.

    The file is locked as long as the process lives, so one left behind by a killed instance does
    not hinder the next.
    """

    def __init__(self, directory: str = RUN_DIRECTORY) -> None:
        """Take the file.

        Raises AlreadyRunningError when another instance holds it, ReadOnlyError when the directory
        is on a read-only file system, TetrapyError when the file cannot be written.
        """
        self.path = os.path.join(directory, "tetrapy.pid")
        while True:
            fd = self._open(directory)
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(fd, 32).decode("ascii", "replace").strip()
                os.close(fd)
                raise AlreadyRunningError(
                    f"failed to create pid file '{self.path}', another tetrapy instance seems to "
                    f"be up and running: process is already running (pid {holder or 'unknown'})"
                ) from None
            if self._is_current(fd):
                break
            os.close(fd)  # its holder removed it between our open and our lock
        self._fd = fd
        os.ftruncate(fd, 0)
        os.write(fd, str(os.getpid()).encode())

    def _open(self, directory: str) -> int:
        try:
            os.makedirs(directory, mode=0o755, exist_ok=True)
            _check_owner(directory)
            fd = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
        except OSError as err:
            if err.errno == errno.EROFS:
                raise ReadOnlyError(f"pid file {self.path}: {err.strerror}") from err
            raise TetrapyError(f"pid file {self.path}: {err.strerror}") from err
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            os.close(fd)
            raise TetrapyError(f"pid file {self.path} is no regular file; remove it")
        return fd

    def _is_current(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.fstat(fd), os.stat(self.path))
        except FileNotFoundError:
            return False

    def remove(self) -> None:
        """Give the file up; the lock goes last, so no other instance's file is removed."""
        try:
            os.unlink(self.path)
        except FileNotFoundError:
            pass
        os.close(self._fd)


def _check_owner(directory: str) -> None:
    """Refuse a directory in which others could put a file into the place of ours."""
    trusted = {0, os.geteuid()}
    link, found = os.lstat(directory), os.stat(directory)
    mode = stat.S_IMODE(found.st_mode)
    if {link.st_uid, found.st_uid} <= trusted and not mode & (stat.S_IWGRP | stat.S_IWOTH):
        return
    what = "is a symbolic link" if stat.S_ISLNK(link.st_mode) else f"has mode {mode:04o}"
    raise TetrapyError(
        f"run directory {directory} {what} and belongs to user {link.st_uid}; only root may be "
        "able to write to it: remove it"
    )
