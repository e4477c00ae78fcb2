# SPDX-License-Identifier: Apache-2.0
"""Files of tracefs, debugfs and securityfs, whether somebody has mounted these or not.

Where they are not mounted a mount of one's own is made that is in no directory: nobody sees it, and
it is gone with its file descriptor, however this process ends (fsmount(2), Linux 5.2).
"""

from __future__ import annotations

import contextlib
import os
from typing import Dict, Iterator, List, Optional, Sequence

from tetrapy.errors import KernelError
from tetrapy.kernel import sys_calls

_TRACEFS = ("/sys/kernel/tracing", "/sys/kernel/debug/tracing")
_DEBUGFS = ("/sys/kernel/debug",)
_SECURITYFS = ("/sys/kernel/security",)
_MAX_FILE = 64 << 20  # bytes; the list of functions that can be traced has a few million

_PLACES = {"tracefs": _TRACEFS[0], "debugfs": _DEBUGFS[0], "securityfs": _SECURITYFS[0]}

# include/uapi/linux/mount.h
_FSOPEN_CLOEXEC, _FSMOUNT_CLOEXEC = 1, 1
_FSCONFIG_CMD_CREATE = 6
_MOUNT_ATTR_NOSUID, _MOUNT_ATTR_NODEV, _MOUNT_ATTR_NOEXEC = 2, 4, 8


class KernelFiles:
    """The file systems, each opened when it is first asked for."""

    def __init__(self) -> None:
        self._roots: Dict[str, int] = {}

    def tracing(self, path: str) -> bytes:
        """A file of tracefs. Raises KernelError without tracefs, OSError for the file."""
        return self._read("tracefs", _TRACEFS, "events", path)

    def debugging(self, path: str) -> bytes:
        """A file of debugfs. Raises KernelError without debugfs, OSError for the file."""
        return self._read("debugfs", _DEBUGFS, "kprobes", path)

    def security(self, path: str) -> bytes:
        """A file of securityfs. Raises KernelError without securityfs, OSError for the file."""
        return self._read("securityfs", _SECURITYFS, "lsm", path)

    def events(self, subsystem: Optional[str] = None) -> List[str]:
        """The subsystems that have tracepoints, or the tracepoints of one; for suggestions."""
        root = self._root("tracefs", _TRACEFS, "events")
        path = "events" if subsystem is None else f"events/{subsystem}"
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=root)
        try:
            return sorted(entry.name for entry in os.scandir(fd) if entry.is_dir())
        finally:
            os.close(fd)

    def close(self) -> None:
        """Give back what was opened; calling it again does nothing."""
        while self._roots:
            os.close(self._roots.popitem()[1])

    def _read(self, kind: str, places: Sequence[str], sign: str, path: str) -> bytes:
        root = self._root(kind, places, sign)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=root)
        with open(fd, "rb", buffering=0) as file:
            pieces = []
            left = _MAX_FILE
            while left > 0:
                piece = file.read(min(left, 1 << 20))
                if not piece:
                    break
                pieces.append(piece)
                left -= len(piece)
            return b"".join(pieces)

    def _root(self, kind: str, places: Sequence[str], sign: str) -> int:
        """`sign`: what the file system has, so that an empty mount point is not taken for it."""
        if kind not in self._roots:
            found = next((path for path in places if os.path.exists(f"{path}/{sign}")), None)
            if found is not None:
                self._roots[kind] = os.open(found, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            else:
                self._roots[kind] = _mounted(kind)
        return self._roots[kind]


def _mounted(kind: str) -> int:
    """A directory: the root of a mount that is nowhere. Raises KernelError."""
    try:
        context = sys_calls.call("fsopen", kind.encode(), _FSOPEN_CLOEXEC)
        try:
            sys_calls.call("fsconfig", context, _FSCONFIG_CMD_CREATE, None, None, 0)
            flags = _MOUNT_ATTR_NOSUID | _MOUNT_ATTR_NODEV | _MOUNT_ATTR_NOEXEC
            return sys_calls.call("fsmount", context, _FSMOUNT_CLOEXEC, flags)
        finally:
            os.close(context)
    except OSError as err:
        place = _PLACES[kind]
        raise KernelError(
            f"{kind} is not mounted and cannot be opened ({err.strerror}); mount it: mount -t"
            f" {kind} {kind} {place}",
            err.errno or 0,
        ) from err


@contextlib.contextmanager
def opened() -> Iterator[KernelFiles]:
    """The file systems for the time of a `with`."""
    files = KernelFiles()
    try:
        yield files
    finally:
        files.close()
