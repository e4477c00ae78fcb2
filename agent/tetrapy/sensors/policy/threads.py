# SPDX-License-Identifier: Apache-2.0
"""What the kernel side keeps of threads, a share for each owner (bpf/share_counts.h).

Calls that have not returned (bpf/call_return.h), and what awaits threads (bpf/enforcement.h). A
thread may end within a function, and a program may miss what has it forgotten. When there is little
room, what is kept of threads that are gone is looked for.
"""

from __future__ import annotations

import os
from itertools import islice
from struct import Struct
from typing import Callable, Dict

from tetrapy.kernel.maps import BpfMap
from tetrapy.sensors.policy.tables import Sizes

_TID = Struct("=I4x")  # the keys begin with it
_INDEX, _COUNT = Struct("=I"), Struct("=q")
_SHARE = Struct("=I4x")  # the end of the values


class Threads:
    """Such a map, and that of how many there are of each share."""

    def __init__(self, counts: int, entries: int, sizes: Sizes, limits: Dict[str, int]) -> None:
        """Takes over both file descriptors."""
        self._fds = counts, entries
        self._counts = BpfMap(counts, _INDEX.size, _COUNT.size)
        self._entries = BpfMap(entries, sizes.key, sizes.value)
        self._room = sizes.entries
        self._all = limits["OWNER_SHARES"]  # the place of how many there are

    def take_out(self, is_there: Callable[[int], bool]) -> int:
        """Forget what is kept of threads that are gone, by tid, if half of the room is taken.

        Returns how much. Raises KernelError.
        """
        if self._count(self._all) - self._count(self._taken(self._all)) < self._room // 2:
            return 0
        gone = 0
        for key in dict.fromkeys(islice(self._entries, 2 * self._room)):
            if is_there(_TID.unpack(key)[0]):
                continue
            value = self._entries.get(key)
            if value is None or not self._entries.delete(key):
                continue  # the kernel side has forgotten it
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
