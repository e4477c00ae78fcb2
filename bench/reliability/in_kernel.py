# SPDX-License-Identifier: Apache-2.0
"""Which BPF objects are in the kernel, whoever they belong to."""

from __future__ import annotations

import ctypes
import platform
import time
from collections.abc import Mapping

_BPF = {"x86_64": 321, "aarch64": 280}[platform.machine()]
# enum bpf_cmd: BPF_PROG_GET_NEXT_ID, BPF_MAP_GET_NEXT_ID, BPF_LINK_GET_NEXT_ID (Linux 5.8).
_NEXT = {"programs": 11, "maps": 12, "links": 31}
_SIZE = 12  # of what the commands take: start_id, next_id, open_flags
# The kernel frees what nobody holds a moment later, on a busy machine after seconds.
_TIMEOUT = 60.0


def ids(kind: str) -> set[int]:
    """Ids of all programs, maps or links."""
    libc = ctypes.CDLL(None)
    attributes = (ctypes.c_uint32 * 32)()
    found: set[int] = set()
    while libc.syscall(_BPF, _NEXT[kind], ctypes.byref(attributes), _SIZE) == 0:
        found.add(attributes[1])
        attributes[0] = attributes[1]
    return found


def left(held: Mapping[str, set[int]]) -> dict[str, int]:
    """How many of these ids are still there when the kernel had its time to free them."""
    deadline = time.monotonic() + _TIMEOUT
    while True:
        counts = {kind: len(numbers & ids(kind)) for kind, numbers in held.items()}
        if not any(counts.values()) or time.monotonic() > deadline:
            return counts
        time.sleep(0.05)
