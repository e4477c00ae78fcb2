# SPDX-License-Identifier: Apache-2.0
"""A writable data section of a loaded BPF object, as memory that user space and programs share."""

from __future__ import annotations

import ctypes
from ctypes import byref
from typing import Any

from tetrapy.errors import KernelError
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.libbpf import error_text, last_errno, libbpf
from tetrapy.kernel.shared_memory import Word


class DataSection:
    """`view` is the section's contents: `push` after writing to it, `pull` before reading.

    Both do nothing where the kernel maps arrays (Linux 5.5); before, each copies the whole section.
    """

    def __init__(self, loaded: BpfObject, section: str, mapped: bool = True) -> None:
        """Open the section of a loaded object; without `mapped` it is copied in any case."""
        self.view, shared = loaded.contents(section)
        self.mapped = shared and mapped
        self._fd = loaded.map_fd(section)
        if not self.mapped:
            self.view = memoryview(bytearray(self.view))
        self._key = ctypes.c_uint32(0)
        self._buffer: Any = (ctypes.c_ubyte * len(self.view)).from_buffer(self.view)

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
