# SPDX-License-Identifier: Apache-2.0
"""A forked child that goes on in this Python, without exec."""

from __future__ import annotations

import os
import re
import resource
import signal
import sys
from contextlib import suppress
from typing import Callable, Optional

from tetrapy.kernel import sys_calls


class Child:
    """At most one child; made so that no exception of a signal's handler loses it."""

    def __init__(self) -> None:
        self.pid = 0
        self._ignoring = False

    def start(self, run: Callable[[], object]) -> None:
        """Fork, and call `run` in the child, which ends at the latest when that returns.

        All signals are blocked in the child: handlers are this process's affair. Raises OSError.
        """
        # Where SIGCHLD is ignored a child that ends is gone, and its number may be a stranger's.
        self._ignoring = signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
        if self._ignoring:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self.pid = os.fork()
            if self.pid == 0:
                try:
                    run()
                finally:
                    os._exit(1)
        finally:
            # What came meanwhile is handled in here, and may raise.
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)

    def kill(self) -> None:
        """Kill it if it has not ended by itself, and wait for it."""
        if self.pid:
            os.kill(self.pid, signal.SIGKILL)
        self.wait()

    def wait(self) -> Optional[int]:
        """Wait for its end; returns its status (wait(2)), None without a child."""
        pid, self.pid = self.pid, 0
        status = os.waitpid(pid, 0)[1] if pid else None
        if self._ignoring:
            self._ignoring = False
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        return status


def stand_alone(*kept: int) -> None:
    """In a child: end when the parent does, and hold nothing open of it but the streams and `kept`.

    What the parent closes is closed then: locks, connections, what an epoll has. Where modules come
    from stays open as well. Raises OSError.
    """
    with suppress(OSError):  # a seccomp filter forbids it
        sys_calls.call("prctl", sys_calls.PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    modules = (re.fullmatch("/proc/self/fd/([0-9]+)", path) for path in sys.path)
    needed = {0, 1, 2, *kept, *(int(found.group(1)) for found in modules if found)}
    for fd in {*map(int, os.listdir("/proc/self/fd"))} - needed:
        with suppress(OSError):  # the one that was listed
            os.close(fd)


def limit_memory(more: int) -> None:
    """Let this process have that many bytes more than it has now; beyond them is MemoryError."""
    with open("/proc/self/statm", encoding="ascii") as file:
        pages = int(file.read().split()[5])  # of data and stacks, as the limit counts
    _limit(resource.RLIMIT_DATA, pages * resource.getpagesize() + more)


def limit_time(more: int) -> None:
    """Let this process compute for that many seconds more; then SIGXCPU ends it."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    _limit(resource.RLIMIT_CPU, int(used.ru_utime + used.ru_stime) + 1 + more)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, (signal.SIGXCPU,))


def _limit(which: int, most: int) -> None:
    _soft, hard = resource.getrlimit(which)
    with suppress(OSError, ValueError):  # as above
        resource.setrlimit(
            which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard)
        )


def killer(number: int) -> str:
    """A signal that has ended a process, and who sends it."""
    if number == signal.SIGSYS:
        return "SIGSYS, by a seccomp filter"
    if number == signal.SIGKILL:
        return "SIGKILL, by somebody or for want of memory"
    if number == signal.SIGXCPU:
        return "SIGXCPU, for it took too much time"
    return f"signal {number}"


def in_words(err: BaseException) -> str:
    """What a child tells of its failure; the kind of an exception that is the system's is known."""
    return str(err) if isinstance(err, OSError) else f"{type(err).__name__}: {err}"
