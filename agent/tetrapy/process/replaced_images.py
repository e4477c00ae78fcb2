# SPDX-License-Identifier: Apache-2.0
"""Images that are gone, while children run them whose fork records are deferred.

Fork records are deferred until they matter (bpf/process.h). The child runs what its creator ran
when it forked; that one may have executed something else since, or have ended.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import Dict, List, Optional, Tuple

from tetrapy.events.process import Process
from tetrapy.process.budget import weight

_CAPACITY = 1024  # processes; a child that was lost keeps its creator's images until they give way

_IMAGES = 16  # of one process: it executed so often while a child was deferred

_MAX_BYTES = 2 << 20  # of all images

_Key = Tuple[int, int]  # pid, start


class ReplacedImages:
    """Images by the process that ran them, as long as deferred children may ask."""

    def __init__(self) -> None:
        self._images: OrderedDict[_Key, List[Tuple[Process, int]]] = OrderedDict()  # and weight
        self._deferred: Dict[_Key, int] = {}
        self._at: Dict[_Key, int] = {}
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._images)

    def keep(self, process: Process, deferred: int, at: int) -> None:
        """The image `process` has ended, or is replaced, while it has so many deferred children.

        `at` is when: children that are forked later do not count.
        """
        key = (process.pid, process.start)
        if not deferred:
            self._forget(key)
            return
        images = self._images.setdefault(key, [])
        images.append((process, weight(process)))
        self._bytes += images[-1][1]
        if len(images) > _IMAGES:
            self._bytes -= images.pop(0)[1]
        self._deferred[key] = deferred
        self._at[key] = at
        while len(self._images) > _CAPACITY or self._bytes > _MAX_BYTES:
            self._forget(next(iter(self._images)))

    def find(self, pid: int, start: int, at: int) -> Optional[Process]:
        """What the process ran at the time `at`; None when nobody kept it."""
        found = None
        for image, _ in self._images.get((pid, start), ()):
            if image.ktime <= at or found is None:
                found = image
        return found

    def reported(self, pid: int, start: int, at: int) -> None:
        """A child of this process, forked `at`, is no longer deferred."""
        key = (pid, start)
        if key in self._deferred and at <= self._at[key]:
            self._deferred[key] -= 1
            if self._deferred[key] <= 0:
                self._forget(key)

    def _forget(self, key: _Key) -> None:
        self._bytes -= sum(size for _, size in self._images.pop(key, ()))
        self._deferred.pop(key, None)
        self._at.pop(key, None)
