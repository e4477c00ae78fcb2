# SPDX-License-Identifier: Apache-2.0
"""Attaching one loaded program to many functions and tracepoints, each link with a number.

The number (a cookie, Linux 5.15) tells the program at which of its links it runs.
"""

from __future__ import annotations

import ctypes
import errno as errnos
import os
from ctypes import byref
from struct import Struct
from typing import Any, Callable, List

from tetrapy.errors import KernelError
from tetrapy.kernel import sys_calls
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.libbpf import (
    KprobeOptions,
    PerfEventOptions,
    UprobeOptions,
    error_text,
    last_errno,
    libbpf,
)
from tetrapy.kernel.libbpf_log import collected

_ANY_PROCESS = -1
# struct perf_event_attr (include/uapi/linux/perf_event.h): type, size, config; the rest is zero.
_PERF_ATTRIBUTES = Struct("=IIQ48x")
_PERF_TYPE_TRACEPOINT = 2
_PERF_CLOEXEC = 8  # PERF_FLAG_FD_CLOEXEC


class Link:
    """A program at its hook; `close` takes it off."""

    def __init__(self, handle: Any) -> None:
        self._handle = handle

    def close(self) -> None:
        """Detach; safe to call twice."""
        handle, self._handle = self._handle, None
        if handle:
            libbpf().bpf_link__destroy(handle)


def attach_kprobe(
    loaded: BpfObject, program: str, function: str, cookie: int = 0, is_return: bool = False
) -> Link:
    """Run the program when the kernel calls `function`, or returns from it. Raises KernelError."""
    options = KprobeOptions(size=ctypes.sizeof(KprobeOptions), cookie=cookie, is_return=is_return)
    handle = loaded.program(program)
    return _attached(
        f"kprobe {function}",
        lambda: libbpf().bpf_program__attach_kprobe_opts(handle, function.encode(), byref(options)),
    )


def attach_uprobe(
    loaded: BpfObject,
    program: str,
    path: str,
    offset: int,
    cookie: int = 0,
    is_return: bool = False,
    reference_counter_offset: int = 0,
) -> Link:
    """Run the program when any process reaches `offset` of a file. Raises KernelError."""
    options = UprobeOptions(
        size=ctypes.sizeof(UprobeOptions),
        cookie=cookie,
        is_return=is_return,
        reference_counter_offset=reference_counter_offset,
    )
    handle = loaded.program(program)
    return _attached(
        f"uprobe {path}+{offset:#x}",
        lambda: libbpf().bpf_program__attach_uprobe_opts(
            handle, _ANY_PROCESS, os.fsencode(path), offset, byref(options)
        ),
    )


def attach_tracepoint(
    loaded: BpfObject, program: str, name: str, number: int, cookie: int = 0
) -> Link:
    """Run the program when the tracepoint with this number (from its format file) is hit.

    The perf event is opened here: libbpf would look for the number in tracefs, which need not be
    mounted. Raises KernelError.
    """
    handle = loaded.program(program)
    what = f"tracepoint {name}"
    attributes = ctypes.create_string_buffer(
        _PERF_ATTRIBUTES.pack(_PERF_TYPE_TRACEPOINT, _PERF_ATTRIBUTES.size, number),
        _PERF_ATTRIBUTES.size,
    )
    try:
        # Of all processes, opened on the first CPU: a tracepoint's program runs on all of them.
        fd = sys_calls.call(
            "perf_event_open", ctypes.addressof(attributes), _ANY_PROCESS, 0, -1, _PERF_CLOEXEC
        )
    except OSError as err:
        code = err.errno or 0
        raise KernelError(f"{what}: not opened: {error_text(code)}", code) from err
    options = PerfEventOptions(size=ctypes.sizeof(PerfEventOptions), cookie=cookie)
    try:
        return _attached(
            what,
            lambda: libbpf().bpf_program__attach_perf_event_opts(handle, fd, byref(options)),
        )
    except KernelError:
        os.close(fd)  # else it is the link's
        raise


def attach_raw_tracepoint(loaded: BpfObject, program: str, event: str) -> Link:
    """Run the program when a tracepoint is hit, with the kernel's own arguments.

    Raises KernelError.
    """
    handle = loaded.program(program)
    return _attached(
        f"raw tracepoint {event}",
        lambda: libbpf().bpf_program__attach_raw_tracepoint(handle, event.encode()),
    )


def _attached(what: str, attach: Callable[[], Any]) -> Link:
    messages: List[str] = []
    with collected(messages):
        handle = attach()
    if not handle:
        number = last_errno()
        why = "there is no such thing in this kernel" if abs(number) == errnos.ENOENT else ""
        raise KernelError(
            f"{what}: not attached: {why or error_text(number)}", abs(number), "\n".join(messages)
        )
    return Link(handle)
