# SPDX-License-Identifier: Apache-2.0
"""The table of libbpf's C functions: names, argument types, results, and nothing else.

Prototypes: libbpf 1.7, src/libbpf.h and src/bpf.h. Every handle has a type of its own, so that a
map is not taken for a program.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import (
    POINTER,
    Structure,
    Union,
    c_bool,
    c_char_p,
    c_int,
    c_int64,
    c_size_t,
    c_uint32,
    c_uint64,
    c_ulong,
    c_void_p,
)
from errno import errorcode
from typing import Any, Optional

from tetrapy.kernel import iterators, libbpf_log
from tetrapy.kernel.native import load_libbpf


class BpfObjectHandle(Structure):
    """struct bpf_object"""


class BpfMapHandle(Structure):
    """struct bpf_map"""


class BpfProgramHandle(Structure):
    """struct bpf_program"""


class BpfLinkHandle(Structure):
    """struct bpf_link"""


class BtfHandle(Structure):
    """struct btf"""


ObjectPointer = POINTER(BpfObjectHandle)
MapPointer = POINTER(BpfMapHandle)
ProgramPointer = POINTER(BpfProgramHandle)
LinkPointer = POINTER(BpfLinkHandle)
BtfPointer = POINTER(BtfHandle)


class ObjectOpenOptions(Structure):
    """struct bpf_object_open_opts; `size` first, so that libbpf knows how much of it is given."""

    _fields_ = [
        ("size", c_size_t),
        ("object_name", c_char_p),
        ("relaxed_maps", c_bool),
        ("pin_root_path", c_char_p),
        ("unused", c_uint32),
        ("kconfig", c_char_p),
        ("btf_custom_path", c_char_p),
        ("kernel_log_buffer", c_void_p),
        ("kernel_log_size", c_size_t),
        ("kernel_log_level", c_uint32),
    ]


class MapCreateOptions(Structure):
    """struct bpf_map_create_opts, as far as it is used here."""

    _fields_ = [
        ("size", c_size_t),
        ("btf_fd", c_uint32),
        ("btf_key_type_id", c_uint32),
        ("btf_value_type_id", c_uint32),
        ("btf_vmlinux_value_type_id", c_uint32),
        ("inner_map_fd", c_uint32),
        ("map_flags", c_uint32),
    ]


class UprobeOptions(Structure):
    """struct bpf_uprobe_opts"""

    _fields_ = [
        ("size", c_size_t),
        ("reference_counter_offset", c_size_t),
        ("cookie", c_uint64),
        ("is_return", c_bool),
        ("function_name", c_char_p),
        ("attach_mode", c_int),
    ]


class MultiUprobeOptions(Structure):
    """struct bpf_uprobe_multi_opts"""

    _fields_ = [
        ("size", c_size_t),
        ("symbols", c_void_p),
        ("offsets", POINTER(c_ulong)),
        ("reference_counter_offsets", POINTER(c_ulong)),
        ("cookies", POINTER(c_uint64)),
        ("count", c_size_t),
        ("is_return", c_bool),
        ("is_session", c_bool),
    ]


class PerfEventOptions(Structure):
    """struct bpf_perf_event_opts"""

    _fields_ = [("size", c_size_t), ("cookie", c_uint64), ("force_ioctl_attach", c_bool)]


class MultiKprobeOptions(Structure):
    """What struct bpf_link_create_opts has of functions of the kernel."""

    _fields_ = [
        ("flags", c_uint32),
        ("count", c_uint32),
        ("symbols", POINTER(c_char_p)),
        ("addresses", POINTER(c_ulong)),
        ("cookies", POINTER(c_uint64)),
    ]


class _LinkPlace(Union):
    _fields_ = [("cookie", c_uint64), ("kprobes", MultiKprobeOptions)]


class LinkCreateOptions(Structure):
    """struct bpf_link_create_opts, as far as it is of perf events and of many kprobes."""

    _anonymous_ = ("place",)
    _fields_ = [
        ("size", c_size_t),
        ("flags", c_uint32),
        ("iterator", c_void_p),
        ("iterator_size", c_uint32),
        ("target", c_uint32),
        ("place", _LinkPlace),
    ]


class TestRunOptions(Structure):
    """struct bpf_test_run_opts; `size` first, so that libbpf knows how much of it is given."""

    _fields_ = [
        ("size", c_size_t),
        ("data_in", c_void_p),
        ("data_out", c_void_p),
        ("data_size_in", c_uint32),
        ("data_size_out", c_uint32),
        ("ctx_in", c_void_p),
        ("ctx_out", c_void_p),
        ("ctx_size_in", c_uint32),
        ("ctx_size_out", c_uint32),
        ("retval", c_uint32),
        ("repeat", c_int),
        ("duration", c_uint32),
        ("flags", c_uint32),
        ("cpu", c_uint32),
        ("batch_size", c_uint32),
    ]


_PROTOTYPES = {
    # name: (result, arguments)
    "bpf_object__open_mem": (ObjectPointer, [c_void_p, c_size_t, POINTER(ObjectOpenOptions)]),
    "bpf_object__load": (c_int, [ObjectPointer]),
    "bpf_object__close": (None, [ObjectPointer]),
    "bpf_object__next_program": (ProgramPointer, [ObjectPointer, ProgramPointer]),
    "bpf_object__find_program_by_name": (ProgramPointer, [ObjectPointer, c_char_p]),
    "bpf_object__find_map_by_name": (MapPointer, [ObjectPointer, c_char_p]),
    "bpf_object__next_map": (MapPointer, [ObjectPointer, MapPointer]),
    "bpf_program__name": (c_char_p, [ProgramPointer]),
    "bpf_program__fd": (c_int, [ProgramPointer]),
    "bpf_program__set_autoload": (c_int, [ProgramPointer, c_bool]),
    "bpf_program__set_type": (c_int, [ProgramPointer, c_int]),
    "bpf_program__set_expected_attach_type": (c_int, [ProgramPointer, c_int]),
    "bpf_program__set_flags": (c_int, [ProgramPointer, c_uint32]),
    "bpf_program__expected_attach_type": (c_int, [ProgramPointer]),
    "bpf_program__set_attach_target": (c_int, [ProgramPointer, c_int, c_char_p]),
    "bpf_program__attach": (LinkPointer, [ProgramPointer]),
    "bpf_program__attach_trace": (LinkPointer, [ProgramPointer]),
    "bpf_program__attach_iter": (LinkPointer, [ProgramPointer, c_void_p]),
    "bpf_program__attach_uprobe_opts": (
        LinkPointer,
        [ProgramPointer, c_int, c_char_p, c_size_t, POINTER(UprobeOptions)],
    ),
    "bpf_program__attach_uprobe_multi": (
        LinkPointer,
        [ProgramPointer, c_int, c_char_p, c_char_p, POINTER(MultiUprobeOptions)],
    ),
    "bpf_program__attach_perf_event_opts": (
        LinkPointer,
        [ProgramPointer, c_int, POINTER(PerfEventOptions)],
    ),
    "bpf_program__attach_raw_tracepoint": (LinkPointer, [ProgramPointer, c_char_p]),
    "bpf_link_create": (c_int, [c_int, c_int, c_int, POINTER(LinkCreateOptions)]),
    "bpf_link__destroy": (c_int, [LinkPointer]),
    "bpf_link__fd": (c_int, [LinkPointer]),
    "bpf_iter_create": (c_int, [c_int]),
    "bpf_link_get_info_by_fd": (c_int, [c_int, c_void_p, POINTER(c_uint32)]),
    "bpf_obj_pin": (c_int, [c_int, c_char_p]),
    "bpf_map__name": (c_char_p, [MapPointer]),
    "bpf_map__fd": (c_int, [MapPointer]),
    "bpf_map__map_flags": (c_uint32, [MapPointer]),
    "bpf_map__reuse_fd": (c_int, [MapPointer, c_int]),
    "bpf_map__set_max_entries": (c_int, [MapPointer, c_uint32]),
    "bpf_map__set_autocreate": (c_int, [MapPointer, c_bool]),
    "bpf_map__initial_value": (c_void_p, [MapPointer, POINTER(c_size_t)]),
    "btf__load_vmlinux_btf": (BtfPointer, []),
    "btf__find_by_name_kind": (c_int, [BtfPointer, c_char_p, c_uint32]),
    "btf__type_by_id": (c_void_p, [BtfPointer, c_uint32]),
    "btf__name_by_offset": (c_char_p, [BtfPointer, c_uint32]),
    "btf__resolve_size": (c_int64, [BtfPointer, c_uint32]),
    "btf__free": (None, [BtfPointer]),
    "bpf_map_lookup_elem": (c_int, [c_int, c_void_p, c_void_p]),
    "bpf_map_update_elem": (c_int, [c_int, c_void_p, c_void_p, ctypes.c_uint64]),
    "bpf_map_delete_elem": (c_int, [c_int, c_void_p]),
    "bpf_map_get_next_key": (c_int, [c_int, c_void_p, c_void_p]),
    "bpf_map_get_info_by_fd": (c_int, [c_int, c_void_p, POINTER(c_uint32)]),
    "bpf_map_create": (
        c_int,
        [c_int, c_char_p, c_uint32, c_uint32, c_uint32, POINTER(MapCreateOptions)],
    ),
    "bpf_prog_load": (c_int, [c_int, c_char_p, c_char_p, c_char_p, c_size_t, c_void_p]),
    "bpf_prog_test_run_opts": (c_int, [c_int, POINTER(TestRunOptions)]),
    "bpf_enable_stats": (c_int, [c_int]),
    "bpf_prog_get_fd_by_id": (c_int, [c_uint32]),
    "bpf_prog_get_next_id": (c_int, [c_uint32, POINTER(c_uint32)]),
    "bpf_prog_get_info_by_fd": (c_int, [c_int, c_void_p, POINTER(c_uint32)]),
    "libbpf_num_possible_cpus": (c_int, []),
    "libbpf_probe_bpf_prog_type": (c_int, [c_int, c_void_p]),
    "libbpf_probe_bpf_map_type": (c_int, [c_int, c_void_p]),
    "libbpf_probe_bpf_helper": (c_int, [c_int, c_int, c_void_p]),
    "libbpf_register_prog_handler": (c_int, [c_char_p, c_int, c_int, c_void_p]),
    "libbpf_set_print": (c_void_p, [libbpf_log.PrintCallback]),
    "libbpf_strerror": (c_int, [c_int, c_char_p, c_size_t]),
    "libbpf_version_string": (c_char_p, []),
}

# Numbers from here on are libbpf's (enum libbpf_errno), not errno's.
_LIBBPF_CODES = 4000

_library: Optional[ctypes.CDLL] = None


def libbpf() -> Any:
    """The loaded library, its functions typed; loaded at the first call.

    Raises NativeCodeError when it cannot be loaded on this host.
    """
    global _library
    if _library is None:
        library = load_libbpf()
        for name, (result, arguments) in _PROTOTYPES.items():
            function = getattr(library, name)
            function.restype = result
            function.argtypes = arguments
        libbpf_log.install(library)
        iterators.install(library)
        _library = library
    return _library


def last_errno() -> int:
    """The errno that the last call of libbpf left."""
    return ctypes.get_errno()


def error_text(errno: int) -> str:
    """`Operation not permitted (EPERM)`, for any sign of `errno`; libbpf's own codes too."""
    number = abs(errno)
    if number < _LIBBPF_CODES:
        return f"{os.strerror(number)} ({errorcode.get(number, number)})"
    buffer = ctypes.create_string_buffer(256)
    libbpf().libbpf_strerror(number, buffer, len(buffer))
    return f"{buffer.value.decode()} (libbpf {number})"
