# SPDX-License-Identifier: Apache-2.0
"""Which processes of procfs show an executable that nobody executed, by an iterator of the kernel.

procfs does not tell. bpf/executables.bpf.c does, of all tasks at once; so how often it is asked has
a bound.
"""

from __future__ import annotations

import time
from array import array
from typing import Collection, FrozenSet

from tetrapy.errors import KernelError
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.sensors.configuration import EXECUTABLES_PROGRAM

_SHARE = 10  # of the time one part is spent on asking, at most


class Executables:
    """Asks the iterator of a loaded object."""

    def __init__(self, loaded: BpfObject) -> None:
        self._object = loaded
        self._next = 0.0  # when it may be asked again, of time.monotonic()

    def doubtful(self, pids: FrozenSet[int]) -> Collection[int]:
        """Those of these processes, or more, of whose executables the kernel does not say that they
        were executed: all where it was asked too often, or does not answer.

        Who is not among them had executed, before this call, the file that procfs shows.
        """
        began = time.monotonic()
        if began < self._next:
            return pids
        try:
            listed = array("I", self._object.iterate(EXECUTABLES_PROGRAM))
        except KernelError:
            listed = array("I", pids)
        ended = time.monotonic()
        self._next = ended + _SHARE * (ended - began)
        return frozenset(listed)
