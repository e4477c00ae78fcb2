# SPDX-License-Identifier: Apache-2.0
"""The types of the kernel that an object names, for libbpf in place of all the kernel has.

libbpf compares each type that an object's relocations name with all 130,000 of the kernel: five
million instructions each, and reads the kernel's BTF anew for each object. C finds those of these
names in one pass (agent/native/types.c).
"""

from __future__ import annotations

import contextlib
import ctypes
import os
from functools import lru_cache
from typing import Any, Iterator, Optional

from tetrapy.errors import NativeCodeError
from tetrapy.kernel.native import load_own

PATH = "/sys/kernel/btf/vmlinux"

_ROOM = 1 << 18  # bytes of types, and of their texts: five times as much as there are
_HEADER = 24  # struct btf_header (include/uapi/linux/btf.h)


class NamedTypes:
    """BTF under a path that only this process can open, until `close`."""

    def __init__(self, object_btf: bytes) -> None:
        """`path` is None where libbpf has to read the kernel's BTF itself, or there is none."""
        self._fd = -1
        self.path: Optional[str] = None
        data = select(object_btf)
        if not data:
            return
        try:
            self._fd = os.memfd_create("tetrapy-types", os.MFD_CLOEXEC)
            with open(self._fd, "wb", closefd=False) as file:
                file.write(data)
            path = f"/proc/self/fd/{self._fd}"
            # libbpf opens the path anew, which needs a procfs that is mounted there.
            os.close(os.open(path, os.O_RDONLY | os.O_CLOEXEC))
            self.path = path
        except (OSError, AttributeError):
            # No memfd in this kernel or this Python, or it is forbidden.
            self.close()

    def close(self) -> None:
        """Forget them; safe to call twice."""
        self.path = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


@contextlib.contextmanager
def path(object_btf: bytes, given: Optional[str]) -> Iterator[Optional[str]]:
    """For the time of a `with`: of the types that an object names, unless others are given."""
    if given is not None:
        yield given
        return
    types = NamedTypes(object_btf)
    try:
        yield types.path
    finally:
        types.close()


def select(object_btf: bytes, kernel: str = PATH) -> bytes:
    """BTF of the kernel's types whose names those of an object have, and of what they contain.

    All of a name, whatever their flavours. Empty where the kernel has no BTF, or there is no room.
    """
    try:
        data, select_types = _contents(kernel), _select_types()
    except (OSError, NativeCodeError):
        return b""
    to = ctypes.create_string_buffer(2 * _ROOM + _HEADER)
    size = select_types(data, len(data), object_btf, len(object_btf), to, _ROOM)
    return ctypes.string_at(to, size)


def function_number(name: str, kernel: str = PATH) -> int:
    """Of a function, in the kernel's BTF; 0 where there is none of this name."""
    try:
        data, find_function = _contents(kernel), load_own().find_function
    except (OSError, NativeCodeError):
        return 0
    find_function.restype = ctypes.c_uint32
    find_function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_char_p]
    return int(find_function(data, len(data), name.encode()))


def forget() -> None:
    """Give back the BTF of the kernel, which is kept from the first question to here: reading its
    five megabytes costs as much as loading a small program.
    """
    _contents.cache_clear()


@lru_cache(maxsize=1)
def _contents(kernel: str) -> bytes:
    with open(kernel, "rb") as file:
        return file.read()


@lru_cache(maxsize=None)
def _select_types() -> Any:
    function = load_own().select_types
    function.restype = ctypes.c_size_t
    function.argtypes = [
        *(ctypes.c_char_p, ctypes.c_size_t),
        *(ctypes.c_char_p, ctypes.c_size_t),
        *(ctypes.c_void_p, ctypes.c_uint32),
    ]
    return function
