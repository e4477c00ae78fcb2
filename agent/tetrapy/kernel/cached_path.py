# SPDX-License-Identifier: Apache-2.0
"""Files that the kernel finds by itself, without asking a file system: openat2(2).

A user's own file system, or an overlay of one, may never answer when it is asked for a name, and
who has asked cannot even be killed then.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Optional

from tetrapy.kernel.sys_calls import call

# struct open_how: flags, mode, resolve; include/uapi/linux/openat2.h
_HOW = struct.Struct("=QQQ")
_RESOLVE_IN_ROOT, _RESOLVE_CACHED = 0x10, 0x20
_FLAGS = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
# Before Linux 5.6, before 5.12, and where seccomp does not know the system call. Users have no
# overlays of their own on most of those.
_UNKNOWN = (errno.ENOSYS, errno.EINVAL, errno.EPERM)


def open_cached(root: bytes, path: bytes, dir_fd: Optional[int] = None) -> int:
    """A descriptor (O_PATH) of what is at `path` below the directory `root`.

    Names of files in use are known. Raises OSError: EAGAIN for a name that the kernel would have to
    ask for. Where it cannot be told not to, it asks.
    """
    top = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=dir_fd)
    try:
        how = ctypes.create_string_buffer(
            _HOW.pack(_FLAGS, 0, _RESOLVE_IN_ROOT | _RESOLVE_CACHED), _HOW.size
        )
        return call("openat2", top, path, ctypes.addressof(how), _HOW.size)
    except OSError as err:
        if err.errno not in _UNKNOWN:
            raise
        return os.open(path.lstrip(b"/"), _FLAGS, dir_fd=top)
    finally:
        os.close(top)
