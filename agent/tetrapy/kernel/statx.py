# SPDX-License-Identifier: Apache-2.0
"""What the kernel itself knows of a file, its mount included: statx(2).

The file system is not asked, so neither a server that is gone nor a user's own file system can make
the agent wait.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Optional

from tetrapy.kernel.sys_calls import call
from tetrapy.named import NamedTuple

_AT_FDCWD = -100
_AT_STATX_DONT_SYNC = 0x4000
_AT_NO_AUTOMOUNT = 0x800
_NLINK, _INO, _MNT_ID = 0x4, 0x100, 0x1000  # since Linux 5.8 a kernel knows the last
# struct statx: mask, nlink, ino, and far behind them dev_major, dev_minor, mnt_id
_STATX = struct.Struct("=I 12x I 12x Q 96x II Q")
_SIZE = 256


class FileState(NamedTuple):
    """A file, and the mount through which it was reached."""

    mount: int  # its number; one in use belongs to one mount namespace
    inode: int
    device: int  # major number << 20 | minor number
    links: int


def state_of(path: bytes, dir_fd: Optional[int] = None) -> FileState:
    """The file that `path` leads to, links of procfs included. Raises OSError."""
    buffer = ctypes.create_string_buffer(_SIZE)
    at = _AT_FDCWD if dir_fd is None else dir_fd
    flags = _AT_STATX_DONT_SYNC | _AT_NO_AUTOMOUNT
    call("statx", at, path, flags, _NLINK | _INO | _MNT_ID, ctypes.addressof(buffer))
    mask, links, inode, major, minor, mount = _STATX.unpack_from(buffer.raw)
    if not mask & _MNT_ID:
        mount = _mount_of(path, dir_fd)
    return FileState(mount, inode, major << 20 | minor, links)


def _mount_of(path: bytes, dir_fd: Optional[int]) -> int:
    fd = os.open(path, os.O_PATH | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        with open(f"/proc/self/fdinfo/{fd}", "rb", buffering=0) as file:
            for line in (file.read() or b"").splitlines():
                name, _, number = line.partition(b":")
                if name == b"mnt_id":
                    return int(number)
    finally:
        os.close(fd)
    return 0
