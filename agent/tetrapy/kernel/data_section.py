# SPDX-License-Identifier: Apache-2.0
"""Variables of a loaded BPF object, as memory that user space and programs share."""

from __future__ import annotations

import ctypes
from ctypes import byref
from typing import Any, Mapping, Tuple

from tetrapy.errors import KernelError
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.libbpf import error_text, last_errno, libbpf
from tetrapy.kernel.shared_memory import Word


class DataSection:
    """`view` is the contents: `push` after writing to it, `pull` before reading.

    Both do nothing where the kernel maps arrays (Linux 5.5); before, each copies all of it.
    """

    def __init__(self, fd: int, view: memoryview, mapped: bool = False) -> None:
        """The one entry of the array `fd`; `view` is its memory (`mapped`), or as long as it."""
        self.view = view
        self.mapped = mapped
        self._fd = fd
        self._key = ctypes.c_uint32(0)
        self._buffer: Any = (ctypes.c_ubyte * len(self.view)).from_buffer(self.view)

    @classmethod
    def of(cls, loaded: BpfObject, section: str, mapped: bool = True) -> DataSection:
        """A writable section of a loaded object; without `mapped` it is copied in any case."""
        view, shared = loaded.contents(section)
        if not (shared and mapped):
            return cls(loaded.map_fd(section), memoryview(bytearray(view)))
        return cls(loaded.map_fd(section), view, mapped=True)

    @classmethod
    def in_array(
        cls, loaded: BpfObject, name: str, places: Mapping[str, Tuple[int, int]]
    ) -> DataSection:
        """The members of a structure, at offsets and of sizes in bytes, which is all of an array.

        It has no padding at its end.
        """
        size = max(offset + size for offset, size in places.values())
        return cls(loaded.map_fd(name), memoryview(bytearray(size)))

    def word(self, offset: int, size: int) -> Word:
        """A variable that programs may use at any moment; `offset` and `size` (4 or 8) in bytes."""
        return Word(self.view, offset, size)

    def push(self) -> None:
        """Let the programs see what was written. Raises KernelError when the kernel refuses it."""
        if not self.mapped:
            self._copied(
                libbpf().bpf_map_update_elem(self._fd, byref(self._key), byref(self._buffer), 0)
            )

    def pull(self) -> None:
        """See what the programs wrote. Raises KernelError when the kernel refuses it."""
        if not self.mapped:
            self._copied(
                libbpf().bpf_map_lookup_elem(self._fd, byref(self._key), byref(self._buffer))
            )

    def _copied(self, result: int) -> None:
        if result:
            errno = last_errno()
            raise KernelError(f"a data section was not copied: {error_text(errno)}", errno)
