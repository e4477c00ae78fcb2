# SPDX-License-Identifier: Apache-2.0
"""Having glibc give memory back: what one burst took must not stay with the agent for good."""

from __future__ import annotations

import ctypes
from contextlib import suppress

from tetrapy.kernel import sys_calls

# malloc.h; a threshold that is set no longer grows by itself, up to 32 MiB, with what was freed.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
_THRESHOLD = 128 << 10  # bytes: long texts and batches of lines are given back at once


def give_back() -> None:
    """Return to the kernel what is free in the middle of the heap; where the C library is glibc."""
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (OSError, AttributeError):
        return


def without_huge_pages() -> None:
    """Have the kernel give this process pages of 4 KiB alone, where it would join them otherwise.

    A huge page takes 2 MiB wherever one of its 512 pages is in use: khugepaged adds 3 MB to the
    agent some seconds after its start.
    """
    with suppress(OSError):  # a seccomp filter forbids it
        sys_calls.call("prctl", sys_calls.PR_SET_THP_DISABLE, 1, 0, 0, 0)


def keep_small() -> bool:
    """Return long texts to the kernel when they are freed, and have one heap for all threads.

    False where the C library is not glibc; it then does as it does.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return all(
        mallopt(name, value)
        for name, value in (
            (_M_MMAP_THRESHOLD, _THRESHOLD),
            (_M_TRIM_THRESHOLD, _THRESHOLD),
            (_M_ARENA_MAX, 1),
        )
    )
