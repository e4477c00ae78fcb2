# SPDX-License-Identifier: Apache-2.0
"""Changes of maps of maps, made together: at each the kernel waits for all programs to end."""

from __future__ import annotations

import os
from functools import partial
from struct import Struct
from typing import Callable, Dict, List, Optional, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel.maps import drop, put
from tetrapy.kernel.waits import call_all

_FEW = 4  # changes that are not worth threads
_SLOT = _FD = Struct("=I")


class Changes:
    """What is to become of slots; nothing is done before `make`."""

    def __init__(self, outer: Callable[[str], int]) -> None:
        """`outer` gives the file descriptor of a map of maps, by name."""
        self._outer = outer
        # By name of the map of maps, and slot: our descriptor of a map, or None for no map.
        self._wanted: Dict[Tuple[str, int], Optional[int]] = {}

    def put(self, name: str, slot: int, fd: int) -> None:
        """A map is to be in the slot; its descriptor may be closed at once."""
        self._want(name, slot, os.dup(fd))

    def drop(self, name: str, slot: int) -> None:
        """The slot is to be empty."""
        self._want(name, slot, None)

    def _want(self, name: str, slot: int, fd: Optional[int]) -> None:
        former = self._wanted.pop((name, slot), None)
        if former is not None:
            os.close(former)
        self._wanted[name, slot] = fd

    def make(self, alive: Callable[[], None]) -> None:
        """Make all changes; `alive` is called meanwhile where there are many.

        Raises KernelError with what the kernel said first, when all others are made.
        """
        wanted, self._wanted = self._wanted, {}
        errors: List[KernelError] = []
        calls = [partial(self._make, errors, *key, fd) for key, fd in wanted.items()]
        if len(calls) > _FEW:
            call_all(calls, alive)
        else:
            for call in calls:
                call()
        if errors:
            raise errors[0]

    def _make(self, errors: List[KernelError], name: str, slot: int, fd: Optional[int]) -> None:
        try:
            if fd is None:
                drop(self._outer(name), _SLOT.pack(slot))
            else:
                put(self._outer(name), _SLOT.pack(slot), _FD.pack(fd))
        except KernelError as err:
            errors.append(err)
        finally:
            if fd is not None:
                os.close(fd)
