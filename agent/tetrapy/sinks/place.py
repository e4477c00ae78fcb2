# SPDX-License-Identifier: Apache-2.0
"""Where an export file lies, and opening it so that nobody else decides what is written to.

Links are followed where only root or the agent's own user could have made them. So
/var/log/tetrapy.log may lead to another disk, and a link that somebody put into /tmp is refused. A
file that is there already, in a directory that others may write to, is refused when another user
made it, or when it has another name too: it could be any file of the system.
"""

from __future__ import annotations

import errno
import os
import stat
from typing import List, Optional

from tetrapy.errors import ExportError

TARGET = "export target"  # what a file is called in errors
_LINKS = 40  # as the kernel follows
_OTHERS_MAY_WRITE = stat.S_IWGRP | stat.S_IWOTH
# O_NONBLOCK: should a FIFO have come into its place, it is refused, not waited for.
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY


def resolve(path: str, what: str = TARGET) -> str:
    """The absolute path without links; descriptors such as /dev/stdout stay what they are.

    Raises ExportError for a link that is not to be trusted, OSError.
    """
    current = "/" if path.startswith("/") else os.getcwd()
    parts = path.split("/")[::-1]
    links = 0
    while parts:
        part = parts.pop()
        if part in {"", "."}:
            continue
        if part == "..":
            current = os.path.dirname(current)
            continue
        here = os.path.join(current, part)
        try:
            found = os.lstat(here)
        except FileNotFoundError:
            return os.path.join(here, *parts[::-1])
        if not stat.S_ISLNK(found.st_mode):
            current = here
            continue
        if current.startswith("/proc/") and current.endswith("/fd"):
            return here  # no path of a file; the kernel knows which one it means
        _check_link(f"{what} {path}", here, current, found)
        links += 1
        if links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
        target = os.readlink(here)
        if target.startswith("/"):
            current = "/"
        parts.extend(target.split("/")[::-1])
    return current


def _check_link(named: str, link: str, directory: str, found: os.stat_result) -> None:
    if found.st_uid in _trusted_users():
        parent = os.stat(directory)
        if parent.st_uid in _trusted_users() and (
            not parent.st_mode & _OTHERS_MAY_WRITE or parent.st_mode & stat.S_ISVTX
        ):
            return
    raise ExportError(
        f"{named}: {link} is a symbolic link that users other than root could have "
        f"made; name the file that it leads to, {os.path.realpath(link)}, if that is meant"
    )


def _trusted_users() -> List[int]:
    return [0, os.geteuid()]


def make_directories(directory: str) -> None:
    """Make a directory and those above it, 0755 each, less the umask. Raises OSError."""
    missing: List[str] = []
    while directory and not os.path.isdir(directory):
        missing.append(directory)
        directory = os.path.dirname(directory)
    while missing:
        try:
            os.mkdir(missing.pop(), 0o755)
        except FileExistsError:
            if missing:
                continue
            raise


def open_existing(path: str, what: str = TARGET) -> int:
    """A descriptor that appends to the file. Raises ExportError, or OSError (no such file, ...)."""
    fd = os.open(path, _FLAGS)
    try:
        _check_regular(path, os.fstat(fd), what)
        os.set_blocking(fd, True)
    except BaseException:
        os.close(fd)
        raise
    return fd


def _check_regular(path: str, found: os.stat_result, what: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise ExportError(f"{what} {path} is no regular file any more; remove it")
    check_owner(path, found, what)


def check_owner(path: str, found: os.stat_result, what: str = TARGET) -> None:
    """Refuse, with ExportError, what another user can have put there for us to write to."""
    directory = os.stat(os.path.dirname(path))
    trusted = _trusted_users()
    if directory.st_uid in trusted and not directory.st_mode & _OTHERS_MAY_WRITE:
        return
    why = ""
    if found.st_uid not in {*trusted, directory.st_uid}:
        why = f"belongs to user {found.st_uid}"
    elif found.st_nlink > 1 and stat.S_ISREG(found.st_mode):
        why = "has another name too (a hard link)"
    if why:
        raise ExportError(
            f"{what} {path} {why} and lies where others may write; "
            f"remove it, or name a file in a directory that only root can write to"
        )


def create(path: str, mode: int, like: Optional[os.stat_result] = None) -> int:
    """A descriptor of a new file that has this mode before anything can be in it.

    Its owner is that of `like`, where we may give it away. Raises OSError; the file must not exist.
    """
    fd = os.open(path, _FLAGS | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        dress(fd, mode, like)
        os.set_blocking(fd, True)
    except BaseException:
        os.close(fd)
        raise
    return fd


def dress(fd: int, mode: int, like: Optional[os.stat_result]) -> None:
    """Give a new file its mode, whatever the umask, and the owner of another."""
    new = os.fstat(fd)
    if like is not None and (like.st_uid, like.st_gid) != (new.st_uid, new.st_gid):
        try:
            os.fchown(fd, like.st_uid, like.st_gid)
        except OSError:
            pass  # without CAP_CHOWN it stays ours
    if stat.S_IMODE(new.st_mode) != mode:
        try:
            os.fchmod(fd, mode)
        except OSError:
            pass  # a file system without modes, or with fixed ones


def refusal(path: str, err: OSError) -> ExportError:
    """What to tell of a target that could not be opened."""
    if isinstance(err, (FileExistsError, NotADirectoryError)):
        return ExportError(
            f"export target {path} cannot be made: {os.path.dirname(path)} is not a directory"
        )
    if isinstance(err, IsADirectoryError):
        return ExportError(
            f"export target {path} is a directory; name a file in it, for example "
            f"{os.path.join(path, 'tetrapy.log')}"
        )
    hint = ""
    if err.errno == errno.ENXIO:
        hint = "; it is a FIFO that nobody reads, or a socket"
    elif err.errno == errno.EROFS:
        hint = "; name a file on a file system that can be written"
    return ExportError(f"export target {path} cannot be written: {err.strerror}{hint}")
