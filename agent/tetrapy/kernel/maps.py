"""Reading maps through their file descriptors."""

from __future__ import annotations

import ctypes
from typing import List

from tetrapy.errors import KernelError
from tetrapy.kernel.libbpf import error_text, last_errno, libbpf


def read_counters(map_fd: int, entries: int) -> List[int]:
    """A per-CPU array of 64-bit counters, summed over the CPUs: one number per entry.

    Raises KernelError when the map cannot be read.
    """
    library = libbpf()
    per_cpu = (ctypes.c_uint64 * library.libbpf_num_possible_cpus())()
    totals = []
    for index in range(entries):
        key = ctypes.c_uint32(index)
        if library.bpf_map_lookup_elem(map_fd, ctypes.byref(key), ctypes.byref(per_cpu)):
            errno = last_errno()
            raise KernelError(f"counter {index}: {error_text(errno)}", errno)
        totals.append(sum(per_cpu))
    return totals


def write_u32(map_fd: int, index: int, value: int) -> None:
    """Put a 32-bit value into an array.

    Raises KernelError when the kernel refuses it.
    """
    key, data = ctypes.c_uint32(index), ctypes.c_uint32(value)
    if libbpf().bpf_map_update_elem(map_fd, ctypes.byref(key), ctypes.byref(data), 0):
        errno = last_errno()
        raise KernelError(f"map entry {index}: {error_text(errno)}", errno)
