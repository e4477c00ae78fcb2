# SPDX-License-Identifier: Apache-2.0
"""Signals that wake a poll."""

from __future__ import annotations

import os
import select
import signal

import pytest

from tetrapy.kernel.signals import SignalPipe

NUMBERS = [signal.SIGUSR1, signal.SIGUSR2]


def readable(fd: int) -> bool:
    return bool(select.select([fd], [], [], 0)[0])


def test_a_signal_is_received_and_wakes() -> None:
    """The number is handed over and the pipe becomes readable."""
    received: list[int] = []
    with SignalPipe(NUMBERS, received.append) as fd:
        assert not readable(fd)
        os.kill(os.getpid(), signal.SIGUSR1)
        assert readable(fd)
        os.kill(os.getpid(), signal.SIGUSR2)
    assert received == NUMBERS


def test_all_is_as_before_afterwards() -> None:
    """Handlers, wake-up descriptor and open files."""
    before = [signal.getsignal(number) for number in NUMBERS]
    files = len(os.listdir("/proc/self/fd"))
    with SignalPipe(NUMBERS, lambda _: None), SignalPipe([signal.SIGHUP], lambda _: None):
        assert [signal.getsignal(number) for number in NUMBERS] != before
    assert [signal.getsignal(number) for number in NUMBERS] == before
    assert len(os.listdir("/proc/self/fd")) == files
    assert signal.set_wakeup_fd(-1) == -1


@pytest.mark.slow
def test_more_signals_than_the_pipe_holds() -> None:
    """A full pipe is no error: it is readable already."""
    received: list[int] = []
    with SignalPipe(NUMBERS, received.append) as fd:
        for _ in range(70_000):
            signal.raise_signal(signal.SIGUSR1)
        assert readable(fd)
    assert len(received) == 70_000
