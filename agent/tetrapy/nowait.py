# SPDX-License-Identifier: Apache-2.0
"""Writing to whatever a descriptor is of, without ever waiting for who reads it."""

from __future__ import annotations

import errno
import os
import select
import stat
from typing import Callable, Tuple

Write = Callable[[memoryview], int]


def without_waiting(fd: int) -> Tuple[Write, Callable[[], None]]:
    """How to write to `fd` without ever waiting, and how to give back what that takes.

    Others may have the same open file, as a shell and all that it starts have its terminal. So its
    own O_NONBLOCK is let alone: a pipe or a terminal is opened once more, and a socket has a flag
    for each call. Writing raises BlockingIOError where it would have to wait.
    """
    mode = os.fstat(fd).st_mode
    if stat.S_ISREG(mode):
        return lambda data: os.write(fd, data), _nothing
    if stat.S_ISSOCK(mode):
        import socket  # few have one

        peer = socket.socket(fileno=os.dup(fd))
        flags = socket.MSG_DONTWAIT | socket.MSG_NOSIGNAL
        return lambda data: peer.send(data, flags), peer.close
    try:
        again = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY
        own = os.open(f"/proc/self/fd/{fd}", again)
    except OSError:  # there is no /proc, or the terminal has been hung up
        return lambda data: _written_if_ready(fd, data), _nothing
    return lambda data: os.write(own, data), lambda: os.close(own)


def _nothing() -> None:
    pass


def _written_if_ready(fd: int, data: memoryview) -> int:
    if not select.select([], [fd], [], 0)[1]:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
    return os.write(fd, data[: select.PIPE_BUF])  # a pipe that is ready takes this much
