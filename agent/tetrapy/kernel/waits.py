# SPDX-License-Identifier: Apache-2.0
"""Many calls in each of which the kernel waits until no program runs any more: ends of links,
changes of maps of maps.

Those waits take some 20 ms each, much more where all CPUs are busy. Calls that are under way at the
same time wait together.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import Callable, Iterable, List

AT_ONCE = 32
"""Threads that wait; each has little to do."""

_SIGN = 0.5  # seconds


def call_all(calls: Iterable[Callable[[], None]], alive: Callable[[], None] = lambda: None) -> None:
    """Call all, many at once and in no order; none may raise anything.

    `alive` is called meanwhile, in the calling thread, twice a second.
    """
    waiting = deque(calls)
    threads: List[threading.Thread] = []
    for _ in range(min(AT_ONCE, len(waiting))):
        thread = threading.Thread(target=_call, args=(waiting,), name="waiting", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # no more threads for us
            break
        threads.append(thread)
    for thread in threads:
        while thread.is_alive():
            thread.join(_SIGN)
            alive()
    _call(waiting)  # where there is no thread


def _call(waiting: deque[Callable[[], None]]) -> None:
    while True:
        try:
            call = waiting.popleft()
        except IndexError:
            return
        call()
