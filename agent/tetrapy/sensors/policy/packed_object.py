# SPDX-License-Identifier: Apache-2.0
"""The object of policies' programs while it is needed, with the kernel's types for it."""

from __future__ import annotations

from typing import Dict, Optional

from tetrapy.abi.elf import section_data
from tetrapy.kernel import bundle, kfuncs
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.kernel.named_types import NamedTypes


class PackedObject:
    """Unpacked when it is first opened; `settle` gives that back."""

    def __init__(
        self, name: str, btf_path: Optional[str], kernel_functions: Dict[int, int]
    ) -> None:
        """`name` is of the bundle; `btf_path` of what replaces the kernel's own BTF."""
        self._name = name
        self._btf_path = btf_path
        self._kernel_functions = kernel_functions
        self._data = b""
        self._types: Optional[NamedTypes] = None

    def own_types(self) -> bytes:
        """The object's BTF."""
        return section_data(self._contents(), ".BTF")

    def open(self) -> BpfObject:
        """An instance, to be configured and loaded. Raises KernelError."""
        path = self._btf_path
        if path is None:
            if self._types is None:
                self._types = NamedTypes(self.own_types())
            path = self._types.path
        return BpfObject(self._contents(), "policy", path)

    def _contents(self) -> bytes:
        if not self._data:
            data = bundle.read_packed(self._name)
            self._data = kfuncs.put_in(data, self._kernel_functions)
        return self._data

    def settle(self) -> None:
        """Nothing is opened for now: give back what that takes."""
        self._data = b""
        if self._types is not None:
            self._types.close()
            self._types = None
