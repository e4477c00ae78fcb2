# SPDX-License-Identifier: Apache-2.0
"""The object of policies' programs while it is needed, with the kernel's types for it."""

from __future__ import annotations

import os
from typing import Dict, Mapping, Optional

from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import section_data
from tetrapy.abi.layout import rodata_offsets
from tetrapy.kernel import kfuncs, named_types
from tetrapy.kernel.bpf_object import BpfObject
from tetrapy.sensors.policy import objects

_MACHINES = {"x86_64": 0, "aarch64": 1}  # enum machine of bpf/call_kprobe.bpf.c


class PackedObject:
    """Unpacked when it is made, and again when it is opened after `settle`, which gives it back."""

    def __init__(
        self,
        name: str,
        btf_path: Optional[str],
        kernel_functions: Dict[int, int],
        constants: Mapping[str, bytes],
    ) -> None:
        """`name` is of the bundle; `btf_path` of what replaces the kernel's own BTF.

        `constants` are those that all instances have alike.
        """
        self._name = name
        self._btf_path = btf_path
        self._kernel_functions = kernel_functions
        self._constants = {
            **constants,
            "machine": _MACHINES[os.uname().machine].to_bytes(4, "little"),
        }
        self._data = b""
        self._types: Optional[named_types.NamedTypes] = None
        self.btf = Btf(self._own_types())
        self._variables = rodata_offsets(self.btf)

    def open(self, constants: Mapping[str, int]) -> BpfObject:
        """An instance with constants, to be configured and loaded. Raises KernelError."""
        loaded = BpfObject(self._contents(), "policy", self._types_path())
        values = {
            name: value.to_bytes(self._variables[name][1], "little")
            for name, value in constants.items()
        }
        for name, value in {**values, **self._constants}.items():
            if name in self._variables:
                loaded.set_constant(".rodata", self._variables[name][0], value)
        return loaded

    def _types_path(self) -> Optional[str]:
        if self._btf_path is not None:
            return self._btf_path
        if self._types is None:
            self._types = named_types.NamedTypes(self._own_types())
        return self._types.path

    def _own_types(self) -> bytes:
        return section_data(self._contents(), ".BTF")

    def _contents(self) -> bytes:
        if not self._data:
            data = objects.read(self._name)
            self._data = kfuncs.put_in(data, self._kernel_functions)
        return self._data

    def settle(self) -> None:
        """Nothing is opened for now: give back what that takes."""
        self._data = b""
        self.btf.forget()
        if self._types is not None:
            self._types.close()
            self._types = None
            named_types.forget()
