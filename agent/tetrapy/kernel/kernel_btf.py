# SPDX-License-Identifier: Apache-2.0
"""Functions in the running kernel's own BTF, which programs at its trampolines are verified with.

libbpf reads it here: that takes milliseconds where reading it in Python takes a second.
"""

from __future__ import annotations

import ctypes
from struct import Struct
from typing import Any, Optional, Sequence

from tetrapy.kernel.libbpf import libbpf
from tetrapy.named import NamedTuple

_STRUCTURE, _UNION, _FUNCTION = 4, 5, 12  # BTF_KIND_* (include/uapi/linux/btf.h)
_TYPE = Struct("=III")  # struct btf_type: name, info, size or type
_PARAMETER = Struct("=II")  # struct btf_param: name, type
_MEMBER = Struct("=III")  # struct btf_member: name, type, offset
_REGISTER = 8  # bytes


class Prototype(NamedTuple):
    """What a function is called with, and whether it returns something."""

    registers: int  # that hold its arguments: a structure of 16 bytes takes two
    returns: bool


class KernelBtf:
    """The BTF of the kernel itself, without modules; read when it is first asked for."""

    def __init__(self) -> None:
        self._handle: Any = None

    def is_there(self) -> bool:
        """Whether this kernel has BTF."""
        if self._handle is None:
            self._handle = libbpf().btf__load_vmlinux_btf()
        return bool(self._handle)

    def prototype(self, name: str) -> Optional[Prototype]:
        """Of a function; None where the kernel's BTF has none of that name."""
        library = libbpf()
        if not self.is_there():
            return None
        number = library.btf__find_by_name_kind(self._handle, name.encode(), _FUNCTION)
        if number <= 0:
            return None
        _, _, prototype = self._type(number)
        address, info, returned = self._type(prototype)
        count = info & 0xFFFF
        data = ctypes.string_at(address + _TYPE.size, count * _PARAMETER.size)
        sizes = [
            library.btf__resolve_size(self._handle, kind)
            for _, kind in _PARAMETER.iter_unpack(data)
            if kind  # a last one that is void stands for `...`
        ]
        return Prototype(sum(-(-max(size, 1) // _REGISTER) for size in sizes), returned != 0)

    def number(self, function: str) -> int:
        """Of a function, as programs name it that are attached to it; 0 if there is none."""
        if not self.is_there():
            return 0
        found = libbpf().btf__find_by_name_kind(self._handle, function.encode(), _FUNCTION)
        return max(int(found), 0)

    def has_member(self, structure: str, *path: str) -> bool:
        """Whether a structure has a member of the first name, that one of the second, and so on.

        Members of structures and unions without a name are those of the outer one.
        """
        if not self.is_there():
            return False
        found = libbpf().btf__find_by_name_kind(self._handle, structure.encode(), _STRUCTURE)
        return found > 0 and self._has(found, path)

    def _has(self, number: int, path: Sequence[str]) -> bool:
        address, info, _ = self._type(number)
        if not path:
            return True
        if info >> 24 & 0x1F not in {_STRUCTURE, _UNION}:
            return False
        data = ctypes.string_at(address + _TYPE.size, (info & 0xFFFF) * _MEMBER.size)
        for name, kind, _ in _MEMBER.iter_unpack(data):
            text = libbpf().btf__name_by_offset(self._handle, name)
            rest = path[1:] if text == path[0].encode() else path if not text else None
            if rest is not None and self._has(kind, rest):
                return True
        return False

    def _type(self, number: int) -> Any:
        """Address, info word, and the type that it refers to."""
        address = libbpf().btf__type_by_id(self._handle, number)
        _, info, reference = _TYPE.unpack(ctypes.string_at(address, _TYPE.size))
        return address, info, reference

    def close(self) -> None:
        """Forget it; it is read again when somebody asks."""
        handle, self._handle = self._handle, None
        if handle:
            libbpf().btf__free(handle)
