# SPDX-License-Identifier: Apache-2.0
"""Ends that wait for the kernel, in place of which they wait for one another."""

from __future__ import annotations

import threading

import pytest

from tetrapy.kernel.waits import AT_ONCE, call_all

PATIENCE = 60.0  # seconds until a test fails; nothing is decided by it


def test_as_many_as_there_may_be_are_under_way_at_once() -> None:
    """Each waits until all of its round are there; and no more are than the bound says."""
    met = threading.Barrier(AT_ONCE)
    lock = threading.Lock()
    inside = most = called = 0

    def end() -> None:
        nonlocal inside, most, called
        with lock:
            inside += 1
            called += 1
            most = max(most, inside)
        met.wait(PATIENCE)
        with lock:
            inside -= 1

    call_all([end] * (3 * AT_ONCE))
    assert (called, most, inside) == (3 * AT_ONCE, AT_ONCE, 0)


def test_signs_of_life_come_from_the_caller_meanwhile() -> None:
    """An end that waits for one gets it."""
    alive = threading.Event()
    signed = []

    def sign() -> None:
        signed.append(threading.get_ident())
        alive.set()

    came = []
    call_all([lambda: came.append(alive.wait(PATIENCE))], sign)
    assert came == [True]
    assert set(signed) == {threading.get_ident()}


def test_without_threads_they_are_called_one_after_the_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Where a limit of tasks lets none be made."""

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    called: list[int] = []
    call_all([lambda at=at: called.append(at) for at in range(3)])  # type: ignore[misc]
    assert called == [0, 1, 2]
