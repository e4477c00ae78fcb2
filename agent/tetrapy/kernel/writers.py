# SPDX-License-Identifier: Apache-2.0
"""Whether somebody writes to a file (leases, fcntl(2))."""

from __future__ import annotations

import errno
import fcntl
import os
import signal


def has_writer(path: str) -> bool:
    """Whether a process has the file open to write to it; no, where the kernel does not say.

    It says so of local files of this process's user. Raises OSError for a file that cannot be read.
    """
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    try:
        # Who opens it while there is a lease has the kernel send a signal, which would end us.
        fcntl.fcntl(fd, fcntl.F_SETSIG, signal.SIGURG)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_RDLCK)
        fcntl.fcntl(fd, fcntl.F_SETLEASE, fcntl.F_UNLCK)
    except OSError as err:
        return err.errno == errno.EAGAIN
    finally:
        os.close(fd)
    return False
