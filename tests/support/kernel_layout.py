# SPDX-License-Identifier: Apache-2.0
"""Offsets of this kernel's structures, from its own BTF: what readings are compared with."""

from __future__ import annotations

from pathlib import Path
from typing import Callable

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_types import Type

KERNEL = Path("/sys/kernel/btf/vmlinux")

Read = Callable[[int, int], "bytes | None"]


class KernelLayout:
    """Reads members by their names, e.g. `number(task, "task_struct", "signal", "live")`."""

    def __init__(self, read: Read) -> None:
        self._read = read
        self._btf = Btf(KERNEL.read_bytes())

    def offset(self, structure: str, path: str) -> int:
        """The offset in bytes of `a.b.c`, anonymous members seen through."""
        return self._place(structure, path)[0]

    def size(self, structure: str) -> int:
        return self._struct(structure).ref

    def enumerator(self, enum: str, name: str) -> int | None:
        """The value of an enumerator, None if there is none of that name."""
        found = self._btf.find(enum, k.KIND_ENUM, k.KIND_ENUM64)
        return dict(self._btf.enumerators(found)).get(name) if found else None

    def number(self, address: int, structure: str, path: str) -> int:
        """The member as an unsigned number; a pointer is an address."""
        offset, size = self._place(structure, path)
        return int.from_bytes(self.raw(address + offset, size), "little")

    def raw(self, address: int, size: int) -> bytes:
        found = self._read(address, size)
        assert found is not None, f"{address:#x} cannot be read"
        return found

    def string(self, address: int) -> bytes:
        """A string of at most 255 bytes; byte by byte, the next page may not be there."""
        found = b""
        while len(found) < 256:
            byte = self.raw(address + len(found), 1)
            if byte == b"\0":
                break
            found += byte
        return found

    def names(self, dentry: int, until: int) -> tuple[bytes, ...]:
        """The names of the dentries from `until`, without it, down to `dentry`."""
        names: list[bytes] = []
        while dentry != until:
            length = self.number(dentry, "dentry", "d_name.len")
            names.insert(0, self.raw(self.number(dentry, "dentry", "d_name.name"), length))
            dentry = self.number(dentry, "dentry", "d_parent")
            assert len(names) < 100
        return tuple(names)

    def cgroup_names(self, cgroup: int) -> tuple[bytes, ...]:
        """The components of a cgroup's path, from the root of its hierarchy."""
        node = self.number(cgroup, "cgroup", "kn")
        names: list[bytes] = []
        while True:
            # Renamed in Linux 6.15.
            member = "__parent" if self.has("kernfs_node", "__parent") else "parent"
            parent = self.number(node, "kernfs_node", member)
            if not parent:
                return tuple(names)
            names.insert(0, self.string(self.number(node, "kernfs_node", "name")))
            node = parent

    def _struct(self, name: str) -> Type:
        found = self._btf.find(name, k.KIND_STRUCT)
        assert found is not None, name
        return found

    def has(self, structure: str, member: str) -> bool:
        """Whether a struct has a member."""
        return self._member(self._struct(structure), member) is not None

    def _place(self, structure: str, path: str) -> tuple[int, int]:
        found = self._struct(structure)
        offset = 0
        for name in path.split("."):
            place = self._member(found, name)
            assert place is not None, f"{structure}.{path}"
            offset += place[0]
            found = self._btf.resolve(place[1])
        return offset, self._btf.size_of(found.id)

    def _member(self, outer: Type, name: str) -> tuple[int, int] | None:
        """Offset in bytes and type of a member."""
        for member in self._btf.members(outer):
            if member.name == name:
                return member.bit_offset // 8, member.type_id
            if not member.name:
                inner = self._member(self._btf.resolve(member.type_id), name)
                if inner is not None:
                    return member.bit_offset // 8 + inner[0], inner[1]
        return None
