# SPDX-License-Identifier: Apache-2.0
"""Containers that runtimes are to be asked for, one after the other, in turns.

Who may make cgroups can make up any number of containers, and runtimes answer one question at a
time. So it is the turn of each who may have made some up, and nobody has more of them wait than
there is room left for others.
"""

from __future__ import annotations

import threading
from collections import OrderedDict, deque
from typing import Deque, Generic, Hashable, Optional, TypeVar

T = TypeVar("T")


class Questions(Generic[T]):
    """Put by one thread, taken by another."""

    def __init__(self, most: int) -> None:
        """`most` may wait, of all."""
        self._free = most
        # By who is behind them; whose turn it is comes first.
        self._waiting: OrderedDict[Hashable, Deque[T]] = OrderedDict()
        self._changed = threading.Condition()
        self._is_closed = False

    def put(self, maker: Hashable, question: T) -> bool:
        """False where it finds no room: as many of `maker` wait as others could still have."""
        with self._changed:
            own = self._waiting.get(maker, ())
            if len(own) >= self._free:
                return False
            self._free -= 1
            self._waiting.setdefault(maker, deque()).append(question)
            self._changed.notify()
            return True

    def take(self) -> Optional[T]:
        """The next one, when there is one; None once it is closed."""
        with self._changed:
            while not self._waiting and not self._is_closed:
                self._changed.wait()
            if self._is_closed:
                return None
            maker, own = self._waiting.popitem(last=False)
            question = own.popleft()
            if own:
                self._waiting[maker] = own
            self._free += 1
            return question

    def close(self) -> None:
        """Who takes them is to end."""
        with self._changed:
            self._is_closed = True
            self._changed.notify()
