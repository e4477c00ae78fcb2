# SPDX-License-Identifier: Apache-2.0
"""The file that a process of procfs executes, where it is not the host's at its path.

procfs tells paths from the root of whatever mount namespace a file was opened in, so a path alone
does not tell a file that a user has mounted, or has changed his root directory for.

Nor is the file always the one that was executed. prctl(2) may name another: PR_SET_MM_EXE_FILE for
who has CAP_SYS_RESOURCE on the host, PR_SET_MM_MAP for who has CAP_CHECKPOINT_RESTORE or
CAP_SYS_ADMIN in a user namespace of his own, which is anybody.
"""

from __future__ import annotations

import functools
import os
import time
from typing import FrozenSet, Optional, Tuple

from tetrapy.events.executed import UNREPORTED, ExecutedFile
from tetrapy.events.text import to_text
from tetrapy.kernel.statx import state_of

_FIRST = (1, 2)  # the machine's first process, and kthreadd
_FRESH = 1.0  # seconds for which the list of mounts is believed


class HostFiles:
    """The files that the machine's first process finds: those of its root directory and mounts.

    kthreadd, which shares its root directory, is asked where the first one may not be looked at.
    """

    def __init__(self, procfs: str) -> None:
        """`procfs` is where the machine's processes are shown."""
        self._mount_list = ""
        self._mounts: FrozenSet[int] = frozenset()
        self._devices: FrozenSet[int] = frozenset()
        self._read_at = 0.0
        self._root: Optional[Tuple[int, int]] = None
        self._users = b""
        for pid in _FIRST:
            try:
                root = state_of(f"{procfs}/{pid}/root".encode())
            except OSError:
                continue
            self._root = (root.mount, root.inode)
            self._users = _user_namespace(f"{procfs}/{pid}/exe".encode())
            self._mount_list = f"{procfs}/{pid}/mountinfo"
            break

    def file(
        self, exe: bytes, root: bytes, path: bytes, deleted: bool, dir_fd: Optional[int] = None
    ) -> Optional[ExecutedFile]:
        """The file at the link `exe` of a process; None if it is the host's at `path`.

        `root` is the link to the root directory of the process. A file that cannot be looked at is
        reported as one that is not known.
        """
        hosts = self._root
        if hosts is None or not path:
            return UNREPORTED
        try:
            file, top = state_of(exe, dir_fd), state_of(root, dir_fd)
        except OSError:
            return UNREPORTED
        deleted = deleted or not file.links
        foreign = (top.mount, top.inode) != hosts
        # A root directory is one of a mount, and a mount is in one namespace.
        if not foreign and file.mount != hosts[0]:
            foreign = not self._has(file.mount)
        is_sure = _user_namespace(exe, dir_fd) == self._users
        if not deleted and not foreign and is_sure:
            return None
        return ExecutedFile(
            to_text(path),
            file.inode,
            file.links,
            file.device,
            deleted=deleted,
            foreign=foreign,
            is_sure=is_sure,
        )

    def answers(self, device: int) -> bool:
        """Whether opening a file of this device waits for no user: it is mounted among the
        machine's, and no FUSE. True if these are not known.
        """
        self._read()
        return not self._mount_list or device in self._devices

    def _has(self, mount: int) -> bool:
        self._read()
        return mount in self._mounts

    def _read(self) -> None:
        """Read the list of mounts, unless it is fresh."""
        now = time.monotonic()
        if self._mounts and now - self._read_at <= _FRESH:
            return
        self._read_at = now
        mounts, devices = set(), set()
        try:
            with open(self._mount_list, "rb") as file:
                for line in file:
                    # proc_pid_mountinfo(5): number, parent, device, ... - type, ...
                    number, _, device, rest = line.split(b" ", 3)
                    mounts.add(int(number))
                    if not rest.rpartition(b" - ")[2].startswith(b"fuse"):
                        major, _, minor = device.partition(b":")
                        devices.add(int(major) << 20 | int(minor))
        except (OSError, ValueError):
            mounts, devices = set(), set()
        self._mounts, self._devices = frozenset(mounts), frozenset(devices)


def _user_namespace(exe: bytes, dir_fd: Optional[int] = None) -> bytes:
    """What names that of a process; empty where the kernel has none, or it cannot be read."""
    try:
        return os.readlink(exe[: -len(b"exe")] + b"ns/user", dir_fd=dir_fd)
    except OSError:
        return b""


@functools.lru_cache(maxsize=4)
def host_files(procfs: str) -> HostFiles:
    """Those of the machine whose processes `procfs` shows; its first process never ends."""
    return HostFiles(procfs)
