# SPDX-License-Identifier: Apache-2.0
"""Signals as something that wakes a poll, so that none is noticed late."""

from __future__ import annotations

import os
import signal
from typing import Any, Callable, Iterable


class SignalPipe:
    """While entered, each of `numbers` is given to `receive` and makes the pipe readable."""

    def __init__(self, numbers: Iterable[int], receive: Callable[[int], None]) -> None:
        self._numbers = list(numbers)
        self._receive = receive

    def __enter__(self) -> int:
        """The end of the pipe to poll."""
        self._read_fd, self._write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
        self._former_fd = signal.set_wakeup_fd(self._write_fd, warn_on_full_buffer=False)
        self._former = {number: signal.signal(number, self._handle) for number in self._numbers}
        return self._read_fd

    def _handle(self, number: int, _: Any) -> None:
        self._receive(number)

    def __exit__(self, *_: object) -> None:
        for number, handler in self._former.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._former_fd)
        os.close(self._read_fd)
        os.close(self._write_fd)
