# SPDX-License-Identifier: Apache-2.0
"""Calls that have not returned: those that never will are taken out (bpf/call_return.h).

A thread may end within a function, and a probe may miss a return. The kernel side keeps the call
until the same thread calls again, as one of its owner's; when there is little room, calls of
threads that are gone are looked for.
"""

from __future__ import annotations

import os
from itertools import islice
from struct import Struct
from typing import Callable, Dict

from tetrapy.kernel.maps import BpfMap
from tetrapy.sensors.policy.tables import Sizes

_KEY = Struct("=II")  # struct returning_key: tid, hook
_INDEX, _COUNT = Struct("=I"), Struct("=q")
_SHARE = Struct("=I4x")  # the end of struct returning


class Returns:
    """The maps of such calls, and of how many there are of each share."""

    def __init__(self, counts: int, calls: int, sizes: Sizes, limits: Dict[str, int]) -> None:
        """Takes over both file descriptors."""
        self._fds = counts, calls
        self._counts = BpfMap(counts, _INDEX.size, _COUNT.size)
        self._calls = BpfMap(calls, sizes.key, sizes.value)
        self._room = sizes.entries
        self._all = limits["OWNER_SHARES"]  # the place of how many there are

    def take_out(self, is_there: Callable[[int], bool]) -> int:
        """Forget calls of threads that are gone, by tid, if half of the room is taken.

        Returns how many. Raises KernelError.
        """
        if self._count(self._all) - self._count(self._taken(self._all)) < self._room // 2:
            return 0
        gone = 0
        for key in dict.fromkeys(islice(self._calls, 2 * self._room)):
            if is_there(_KEY.unpack(key)[0]):
                continue
            value = self._calls.get(key)
            if value is None or not self._calls.delete(key):
                continue  # it has returned
            gone += 1
            for place in (_SHARE.unpack(value[-_SHARE.size :])[0], self._all):
                taken = self._taken(place)
                self._counts.put(_INDEX.pack(taken), _COUNT.pack(self._count(taken) + 1))
        return gone

    def _taken(self, place: int) -> int:
        return place + self._all + 1

    def _count(self, place: int) -> int:
        value = self._counts.get(_INDEX.pack(place))
        return int(_COUNT.unpack(value)[0]) if value else 0

    def close(self) -> None:
        """Give the file descriptors back."""
        for fd in self._fds:
            os.close(fd)
