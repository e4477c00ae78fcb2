# SPDX-License-Identifier: Apache-2.0
"""What the kernel tells of a loaded program (struct bpf_prog_info, include/uapi/linux/bpf.h)."""

from __future__ import annotations

import ctypes
import errno as errnos
import os
from contextlib import contextmanager
from struct import Struct
from typing import Iterator

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


# name, run_time_ns, run_cnt
_NAMED = Struct("=64x16s112xQQ")
_RUN_TIME = 0  # BPF_STATS_RUN_TIME


class NamedProgram(NamedTuple):
    """A program, and what it took since it was loaded, while statistics() were on."""

    name: str  # up to 15 bytes
    run_time_ns: int
    runs: int


def program_ids() -> Iterator[int]:
    """The numbers of all programs of the kernel. Raises KernelError."""
    number = ctypes.c_uint32(0)
    while not libbpf().bpf_prog_get_next_id(number, ctypes.byref(number)):
        yield number.value
    if last_errno() != errnos.ENOENT:
        raise KernelError(f"list of BPF programs: {error_text(last_errno())}", last_errno())


def named_program(number: int) -> NamedProgram:
    """Raises KernelError, also for one that is not there any more."""
    fd = libbpf().bpf_prog_get_fd_by_id(number)
    if fd < 0:
        raise KernelError(f"BPF program {number}: {error_text(last_errno())}", last_errno())
    info = ctypes.create_string_buffer(_NAMED.size)
    size = ctypes.c_uint32(_NAMED.size)
    try:
        if libbpf().bpf_prog_get_info_by_fd(fd, info, ctypes.byref(size)):
            raise KernelError(f"BPF program {number}: {error_text(last_errno())}", last_errno())
    finally:
        os.close(fd)
    name, run_time_ns, runs = _NAMED.unpack(info.raw)
    return NamedProgram(name.rstrip(b"\0").decode("utf-8", "replace"), run_time_ns, runs)


@contextmanager
def statistics() -> Iterator[None]:
    """Meanwhile the kernel measures programs (Linux 5.8). Raises KernelError."""
    fd = libbpf().bpf_enable_stats(_RUN_TIME)
    if fd < 0:
        errno = last_errno()
        raise KernelError(f"failed to enable stats: {error_text(errno)}", errno)
    try:
        yield
    finally:
        os.close(fd)


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
