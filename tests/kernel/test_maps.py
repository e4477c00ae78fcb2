# SPDX-License-Identifier: Apache-2.0
"""Maps of this kernel through their file descriptors."""

from __future__ import annotations

import os
import struct

import pytest

from tetrapy.errors import KernelError
from tetrapy.kernel.maps import (
    COUNTER_BYTES,
    PERCPU_ARRAY,
    clear_row,
    cpu_limit,
    create_map,
    put,
    read_counters,
    read_row,
)


def test_counters_of_all_processors() -> None:
    """Each of an entry is summed for itself; another entry, and one that was cleared, is 0."""
    fd = create_map(PERCPU_ARRAY, "test_counters", (4, 3 * COUNTER_BYTES), 4)
    single = create_map(PERCPU_ARRAY, "test_single", (4, COUNTER_BYTES), 2)
    try:
        each = struct.pack("3Q", 1, 0, 1 << 40) * cpu_limit()  # of which the kernel takes its own
        put(fd, struct.pack("I", 2), each)
        processors, none, large = read_row(fd, 2, 3)
        assert len(os.sched_getaffinity(0)) <= processors <= cpu_limit()
        assert (none, large) == (0, processors << 40)
        assert read_row(fd, 1, 3) == [0, 0, 0]
        clear_row(fd, 2, 3)
        assert read_row(fd, 2, 3) == [0, 0, 0]
        put(single, struct.pack("I", 1), struct.pack("Q", 7) * cpu_limit())
        assert read_counters(single, 2) == [0, 7 * processors]
        with pytest.raises(KernelError, match="values of 24"):
            read_row(fd, 2, 4)
    finally:
        os.close(fd)
        os.close(single)
