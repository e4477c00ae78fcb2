# SPDX-License-Identifier: Apache-2.0
"""Iterators of tasks: programs that the kernel runs for each task when somebody reads them.

The kernel wants the number of a function of its own that stands for the kind. libbpf would read all
of the kernel's types to find it, a twentieth of a start; named_types has them at hand. So libbpf's
handler of their section is replaced (libbpf_register_prog_handler() of libbpf.h).
"""

from __future__ import annotations

import ctypes
import errno
from ctypes import CFUNCTYPE, POINTER, Structure, c_int, c_long, c_size_t, c_uint32, c_void_p
from typing import Any

from tetrapy.kernel import named_types

SECTION = b"iter/task"

_FUNCTION = "bpf_iter_task"  # DEFINE_BPF_ITER_FUNC in kernel/bpf/task_iter.c
# enum bpf_prog_type, enum bpf_attach_type (include/uapi/linux/bpf.h).
_RAW_TRACEPOINT, _TRACING, _ITERATOR = 17, 26, 28


class _LoadOptions(Structure):
    """struct bpf_prog_load_opts, as far as the kernel's types are named."""

    _fields_ = [
        ("size", c_size_t),
        ("attempts", c_int),
        ("expected_attach_type", c_int),
        ("types_fd", c_uint32),
        ("flags", c_uint32),
        ("interface", c_uint32),
        ("kernel_version", c_uint32),
        ("function", c_uint32),
    ]


_Prepare = CFUNCTYPE(c_int, c_void_p, POINTER(_LoadOptions), c_long)


class _HandlerOptions(Structure):
    """struct libbpf_prog_handler_opts"""

    _fields_ = [
        ("size", c_size_t),
        ("cookie", c_long),
        ("set_up", c_void_p),
        ("prepare", _Prepare),
        ("attach", c_void_p),
    ]


def install(library: Any) -> None:
    """Have libbpf leave the number of the function to us. `library` is libbpf."""
    set_type = library.bpf_program__set_type

    def prepare(program: int, options: Any, _cookie: int) -> int:
        options.contents.function = named_types.function_number(_FUNCTION)
        # Only now: libbpf reads the kernel's types for an object with a program of this type.
        error: int = set_type(ctypes.cast(program, set_type.argtypes[0]), _TRACING)
        return error if options.contents.function else -errno.ESRCH

    _kept.append(_Prepare(prepare))
    options = _HandlerOptions(size=ctypes.sizeof(_HandlerOptions), prepare=_kept[-1])
    library.libbpf_register_prog_handler(SECTION, _RAW_TRACEPOINT, _ITERATOR, ctypes.byref(options))


_kept: list[Any] = []  # libbpf calls them as long as it is loaded
