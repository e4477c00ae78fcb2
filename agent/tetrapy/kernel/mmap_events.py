# SPDX-License-Identifier: Apache-2.0
"""Perf events that have the kernel look at every file that is mapped to be executed.

Nobody reads them: where there is one, the kernel finds out the path and the build id of such a
file, and hands both to its function `perf_event_mmap_output` (kernel/events/core.c).
"""

from __future__ import annotations

import ctypes
import errno
import fcntl
import os
from struct import Struct
from typing import List

from tetrapy.errors import KernelError
from tetrapy.kernel import sys_calls
from tetrapy.kernel.libbpf import error_text
from tetrapy.kernel.perfbuf import online_cpus

# struct perf_event_attr (include/uapi/linux/perf_event.h): type, size, config, sample_period,
# sample_type, read_format, flags; the rest is zero.
_ATTRIBUTES = Struct("=IIQQQQQ16x")
_SOFTWARE, _BPF_OUTPUT, _RAW = 1, 10, 1 << 10
_MMAP, _MMAP2, _BUILD_ID = 1 << 8, 1 << 23, 1 << 34
_ANY_PROCESS, _CLOEXEC = -1, 8
_IOC_ID = 0x80082407  # PERF_EVENT_IOC_ID
_ID = Struct("=Q")


class MmapEvents:
    """One perf event for each CPU; `close` gives them back."""

    def __init__(self) -> None:
        """Raises KernelError."""
        self._fds: List[int] = []
        self.ids: List[int] = []
        """As the kernel numbers them."""
        attributes = ctypes.create_string_buffer(
            _ATTRIBUTES.pack(
                _SOFTWARE, _ATTRIBUTES.size, _BPF_OUTPUT, 0, _RAW, 0, _MMAP | _MMAP2 | _BUILD_ID
            ),
            _ATTRIBUTES.size,
        )
        try:
            for cpu in online_cpus():
                self._open(ctypes.addressof(attributes), cpu)
        except OSError as err:
            self.close()
            number = err.errno or 0
            why = error_text(number)
            if number == errno.EINVAL:
                why = "this kernel tells no build ids of mapped files (Linux 5.12)"
            raise KernelError(f"perf events of mapped files: {why}", number) from err

    def _open(self, attributes: int, cpu: int) -> None:
        try:
            fd = sys_calls.call("perf_event_open", attributes, _ANY_PROCESS, cpu, -1, _CLOEXEC)
        except OSError as err:
            if err.errno == errno.ENODEV:
                return  # the CPU went offline meanwhile
            raise
        self._fds.append(fd)
        self.ids.append(_ID.unpack(fcntl.ioctl(fd, _IOC_ID, bytes(_ID.size)))[0])

    def close(self) -> None:
        """Give them back; safe to call twice."""
        while self._fds:
            os.close(self._fds.pop())
