# SPDX-License-Identifier: Apache-2.0
"""A forked child that goes on in this Python, without exec."""

from __future__ import annotations

import os
import signal
from typing import Callable, Optional


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


def killer(number: int) -> str:
    """A signal that has ended a process, and who sends it."""
    if number == signal.SIGSYS:
        return "SIGSYS, by a seccomp filter"
    if number == signal.SIGKILL:
        return "SIGKILL, by somebody or for want of memory"
    return f"signal {number}"


def in_words(err: BaseException) -> str:
    """What a child tells of its failure; the kind of an exception that is the system's is known."""
    return str(err) if isinstance(err, OSError) else f"{type(err).__name__}: {err}"
