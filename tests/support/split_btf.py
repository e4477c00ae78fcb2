# SPDX-License-Identifier: Apache-2.0
"""BTF of a kernel module that does not exist, written by libbpf on top of a kernel's BTF."""

from __future__ import annotations

import ctypes
from ctypes import POINTER, c_char_p, c_int, c_int64, c_uint32, c_void_p
from typing import TYPE_CHECKING, Any

from tetrapy.kernel.native import load_libbpf

if TYPE_CHECKING:
    from pathlib import Path

# Prototypes: libbpf 1.7, src/btf.h.
_PROTOTYPES = {
    "btf__parse": (c_void_p, [c_char_p, c_void_p]),
    "btf__new_empty_split": (c_void_p, [c_void_p]),
    "btf__free": (None, [c_void_p]),
    "btf__find_by_name": (c_int, [c_void_p, c_char_p]),
    "btf__add_ptr": (c_int, [c_void_p, c_int]),
    "btf__add_array": (c_int, [c_void_p, c_int, c_int, c_uint32]),
    "btf__add_struct": (c_int, [c_void_p, c_char_p, c_uint32]),
    "btf__add_field": (c_int, [c_void_p, c_char_p, c_int, c_uint32, c_uint32]),
    "btf__add_enum64": (c_int, [c_void_p, c_char_p, c_uint32, ctypes.c_bool]),
    "btf__add_enum64_value": (c_int, [c_void_p, c_char_p, c_int64]),
    "btf__add_func_proto": (c_int, [c_void_p, c_int]),
    "btf__add_func_param": (c_int, [c_void_p, c_char_p, c_int]),
    "btf__add_typedef": (c_int, [c_void_p, c_char_p, c_int]),
    "btf__raw_data": (c_void_p, [c_void_p, POINTER(c_uint32)]),
}


def library() -> Any:
    """libbpf with the functions that write BTF."""
    lib: Any = load_libbpf()
    for name, (result, arguments) in _PROTOTYPES.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def module(base: Path) -> bytes:
    """Split BTF of a few types that refer to the kernel's types and share names with them."""
    lib = library()
    kernel = lib.btf__parse(bytes(base), None)
    assert kernel, f"{base} is no BTF"
    made = lib.btf__new_empty_split(kernel)
    try:
        _fill(lib, kernel, made)
        size = c_uint32()
        return ctypes.string_at(lib.btf__raw_data(made, ctypes.byref(size)), size.value)
    finally:
        lib.btf__free(made)
        lib.btf__free(kernel)


def _fill(lib: Any, kernel: c_void_p, made: c_void_p) -> None:
    def kernels(name: bytes) -> int:
        found = lib.btf__find_by_name(kernel, name)
        assert found > 0, name
        return found

    integer, task = kernels(b"int"), kernels(b"task_struct")
    pointer = lib.btf__add_ptr(made, task)
    array = lib.btf__add_array(made, integer, kernels(b"list_head"), 3)
    lib.btf__add_struct(made, b"module_thing", 120)
    lib.btf__add_field(made, b"pid", pointer, 0, 0)
    lib.btf__add_field(made, b"lists", array, 64, 0)
    lib.btf__add_field(made, b"low_bits", integer, 448, 5)
    lib.btf__add_field(made, b"list", kernels(b"list_head"), 512, 0)
    # A name that the kernel has too, of a struct that is another.
    lib.btf__add_struct(made, b"task_struct", 4)
    lib.btf__add_field(made, b"module_only", integer, 0, 0)
    lib.btf__add_enum64(made, b"module_limits", 8, True)
    lib.btf__add_enum64_value(made, b"MODULE_LEAST", -(1 << 40))
    prototype = lib.btf__add_func_proto(made, integer)
    lib.btf__add_func_param(made, b"task", pointer)
    lib.btf__add_func_param(made, b"", integer)
    lib.btf__add_typedef(made, b"module_call", lib.btf__add_ptr(made, prototype))
