# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of a loaded program (struct bpf_prog_info, include/uapi/linux/bpf.h)."""

from __future__ import annotations

import ctypes
from struct import Struct

from tetrapy.errors import KernelError
from tetrapy.kernel.libbpf import error_text, last_errno, libbpf
from tetrapy.named import NamedTuple

# run_time_ns, run_cnt, recursion_misses, verified_insns; kernels that do not know one leave it 0.
_TAIL = Struct("=192xQQQI4x")


class ProgramInfo(NamedTuple):
    """Numbers that the kernel keeps for a program."""

    run_time_ns: int  # with kernel.bpf_stats_enabled
    runs: int  # likewise
    misses: int  # runs that were skipped because the program was running on that CPU; Linux 5.12
    verified: int  # instructions that the verifier walked over; Linux 5.16


def program_info(fd: int) -> ProgramInfo:
    """The numbers of the program behind a file descriptor.

    Raises KernelError when the kernel refuses them.
    """
    info = ctypes.create_string_buffer(_TAIL.size)
    size = ctypes.c_uint32(_TAIL.size)
    if libbpf().bpf_prog_get_info_by_fd(fd, info, ctypes.byref(size)):
        errno = last_errno()
        raise KernelError(f"information on a BPF program: {error_text(errno)}", errno)
    return ProgramInfo._make(_TAIL.unpack(info.raw))
