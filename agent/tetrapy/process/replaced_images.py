# SPDX-License-Identifier: Apache-2.0
"""Images that are gone, while children run them whose fork records are deferred.

Fork records are deferred until they matter (bpf/process.h). The child runs what its creator ran
when it forked; that one may have executed something else since, or have ended.
"""

from __future__ import annotations

from typing import List, Optional, Tuple

from tetrapy.events.process import Process
from tetrapy.process.budget import weight
from tetrapy.process.shared_store import SharedStore

_CAPACITY = 1024  # processes; a child that was lost keeps its creator's images until they give way

_IMAGES = 16  # of one process: it executed so often while a child was deferred

_MAX_BYTES = 2 << 20  # of all images

_Key = Tuple[int, int]  # pid, start


class _Images:
    """Of one process."""

    __slots__ = ("at", "deferred", "images", "size")

    def __init__(self) -> None:
        self.images: List[Tuple[Process, int]] = []  # and weight, the oldest first
        self.size = 0  # bytes of all
        self.deferred = self.at = 0  # so many children, who were forked before


class ReplacedImages:
    """Images by the process that ran them, as long as deferred children may ask."""

    def __init__(self) -> None:
        self._images: SharedStore[_Key, _Images] = SharedStore(_CAPACITY, _MAX_BYTES)

    def __len__(self) -> int:
        return len(self._images)

    def keep(self, process: Process, deferred: int, at: int) -> None:
        """The image `process` has ended, or is replaced, while it has so many deferred children.

        `at` is when: children that are forked later do not count.
        """
        key = (process.pid, process.start)
        if not deferred:
            self._images.pop(key)
            return
        found = self._images.get(key) or _Images()
        found.images.append((process, weight(process)))
        found.size += found.images[-1][1]
        if len(found.images) > _IMAGES:
            found.size -= found.images.pop(0)[1]
        found.deferred, found.at = deferred, at
        self._images.put(key, found, found.size, process.account)

    def find(self, pid: int, start: int, at: int) -> Optional[Process]:
        """What the process ran at the time `at`; None when it is not kept, or not any more.

        When an image that procfs showed was executed is not known.
        """
        found = None
        kept = self._images.get((pid, start))
        for image, _ in kept.images if kept is not None else ():
            if image.ktime <= at or (found is None and image.from_procfs):
                found = image
        return found

    def reported(self, pid: int, start: int, at: int) -> None:
        """A child of this process, forked `at`, is no longer deferred."""
        kept = self._images.get((pid, start))
        if kept is not None and at <= kept.at:
            kept.deferred -= 1
            if kept.deferred <= 0:
                self._images.pop((pid, start))
