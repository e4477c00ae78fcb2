# SPDX-License-Identifier: Apache-2.0
"""Kernel structures in a made-up memory, laid out as a kernel's full BTF says.

It is a model by which the algorithms of tetrapy.btf.inference are judged on kernels that do not run
here: fields are set by name, and all other words are filled with what tempts a search: zeros, small
numbers and pointers.  tests/kernel/test_inference.py shows that the model is like a real kernel.
"""

from __future__ import annotations

import random
import struct
from typing import TYPE_CHECKING, NamedTuple

from tetrapy.abi import kinds as k
from tetrapy.abi.btf import Btf

if TYPE_CHECKING:
    from collections.abc import Mapping

PAGE = 4096
_BASE = {"x86_64": 0xFFFF_8881_0A00_0000, "arm64": 0xFFFF_0000_C340_0000}


class Field(NamedTuple):
    """A field's place in its struct and size, in bytes."""

    offset: int
    size: int


class Types:
    """Fields of a kernel's structs by their paths."""

    def __init__(self, btf: Btf) -> None:
        self.btf = btf
        self._fields: dict[tuple[str, str], Field | None] = {}

    def size(self, name: str) -> int:
        """Bytes of a struct."""
        found = self.btf.find(name, k.KIND_STRUCT)
        assert found is not None, name
        return found.ref

    def field(self, name: str, path: str) -> Field | None:
        """A field of a struct, such as "d_name.len", also inside anonymous members."""
        known = (name, path)
        if known not in self._fields:
            root = self.btf.find(name, k.KIND_STRUCT)
            assert root is not None, name
            self._fields[known] = self._find(root.id, path.split("."))
        return self._fields[known]

    def enumerators(self, name: str) -> dict[str, int]:
        """The names and values of an enum."""
        found = self.btf.find(name, k.KIND_ENUM)
        assert found is not None, name
        return dict(self.btf.enumerators(found))

    def _find(self, type_id: int, path: list[str]) -> Field | None:
        outer = self.btf.resolve(type_id)
        if outer.kind not in (k.KIND_STRUCT, k.KIND_UNION):
            return None
        for member in self.btf.members(outer):
            inner = None
            if not member.name:
                inner = self._find(member.type_id, path)
            elif member.name == path[0] and len(path) > 1:
                inner = self._find(member.type_id, path[1:])
            elif member.name == path[0]:
                inner = Field(0, self._size(member.type_id))
            if inner:
                return inner._replace(offset=inner.offset + member.bit_offset // 8)
        return None

    def _size(self, type_id: int) -> int:
        found = self.btf.resolve(type_id)
        return 0 if found.kind == k.KIND_VOID else self.btf.size_of(type_id)


class Moved(Types):
    """A kernel as another, with more bytes before some fields: as lock debugging has them."""

    def __init__(self, types: Types, room: Mapping[str, int]) -> None:
        """`room`: a field, "STRUCT.PATH", from which on all of the struct are so much further."""
        super().__init__(types.btf)
        self._room: dict[str, tuple[int, int]] = {}
        for name, more in room.items():
            struct_name, _, path = name.partition(".")
            start = types.field(struct_name, path)
            assert start is not None, name
            self._room[struct_name] = (start.offset, more)

    def size(self, name: str) -> int:
        return super().size(name) + self._room.get(name, (0, 0))[1]

    def field(self, name: str, path: str) -> Field | None:
        found = super().field(name, path)
        return found and found._replace(offset=self.moved(name, found.offset))

    def moved(self, name: str, offset: int) -> int:
        """Where what was at this offset of a struct is now."""
        start, more = self._room.get(name, (0, 0))
        return offset + more if offset >= start else offset


class Memory:
    """A sparse address space, in which objects are allocated one behind the other."""

    def __init__(
        self, types: Types, arch: str, seed: int, *, hostile: bool = False, stale: bool = False
    ) -> None:
        """`hostile`: unset words are pointers, mostly, that lead to objects that matter.

        `stale`: behind each object stands a dead one with the same content.
        """
        self.types = types
        self._random = random.Random(seed)
        self._next = _BASE[arch]
        self._pages: dict[int, bytearray] = {}
        self._hostile = hostile
        self._stale = stale
        self._objects: list[Object] = []

    def allocate(self, size: int, align: int = 64) -> int:
        """The address of zero bytes."""
        self._next = -(-self._next // align) * align
        address = self._next
        self._next += size
        for page in range(address // PAGE, (address + size - 1) // PAGE + 1):
            self._pages.setdefault(page, bytearray(PAGE))
        return address

    def text(self, text: bytes) -> int:
        """The address of a string."""
        address = self.allocate(len(text) + 1, 8)
        self.write(address, text + b"\0")
        return address

    def object(self, name: str, size: int | None = None, /, **fields: int) -> Object:
        """A struct of which some fields are set; dots of paths are written as two underscores."""
        size = size or self.types.size(name)
        found = Object(self, name, self.allocate(size), size)
        # Not of tasks: that two have the same number is no case.
        if self._stale and name != "task_struct":
            found.twin = self.allocate(size)
        self._objects.append(found)
        for path, value in fields.items():
            found.set(path.replace("__", "."), value)
        return found

    def write(self, address: int, data: bytes) -> None:
        """Put bytes to an address."""
        while data:
            page, at = divmod(address, PAGE)
            part = data[: PAGE - at]
            self._pages[page][at : at + len(part)] = part
            address, data = address + len(part), data[len(part) :]

    def read(self, address: int, size: int) -> bytes | None:
        """What a reference process's `read` does."""
        found = b""
        while len(found) < size:
            page, at = divmod(address + len(found), PAGE)
            if page not in self._pages:
                return None
            found += bytes(self._pages[page][at : at + size - len(found)])
        return found

    def fill(self) -> None:
        """Fill all words of objects to which nothing was put."""
        others = [self.allocate(self._random.choice((64, 192, 1024))) for _ in range(64)]
        aims = [made.address for made in self._objects] if self._hostile else others
        zeros, numbers, pointers = (100, 0, 240) if self._hostile else (400, 75, 60)
        words = [0] * zeros
        words += [
            self._random.randrange(1, 1 << bits) for bits in (2, 6, 12, 36) for _ in range(numbers)
        ]
        steps = (0, 0, 8, 16, 64)
        words += [self._random.choice(aims) + step for step in steps for _ in range(pointers)]
        for made in self._objects:
            kept = {word: self.read(word, 8) for word in made.touched}
            noise = self._random.choices(words, k=made.size // 8)
            self.write(made.address, struct.pack(f"<{len(noise)}Q", *noise))
            for word, data in kept.items():
                self.write(word, data or b"")
            if made.twin:
                self.write(made.twin, self.read(made.address, made.size) or b"")


class Object:
    """A struct in memory; it remembers which of its words were set."""

    def __init__(self, memory: Memory, name: str, address: int, size: int) -> None:
        self.memory = memory
        self.name = name
        self.address = address
        self.size = size
        self.touched: set[int] = set()
        self.twin = 0

    def has(self, path: str) -> bool:
        """Whether this kernel's struct has the field."""
        return self.memory.types.field(self.name, path) is not None

    def at(self, path: str) -> int:
        """The address of a field."""
        field = self.memory.types.field(self.name, path)
        assert field is not None, f"struct {self.name} has no {path}"
        return self.address + field.offset

    def set(self, path: str, value: int, index: int = 0, size: int = 0) -> None:
        """Put a number into a field, or into an element of 8 bytes of an array."""
        field = self.memory.types.field(self.name, path)
        assert field is not None, f"struct {self.name} has no {path}"
        size = size or (field.size if field.size in (1, 2, 4, 8) else 8)
        address = self.address + field.offset + 8 * index
        self.memory.write(address, value.to_bytes(size, "little"))
        self.touched |= {address & -8, (address + size - 1) & -8}

    def maybe(self, path: str, value: int) -> None:
        """As `set`, where this kernel has the field."""
        if self.has(path):
            self.set(path, value)

    def list(self, path: str) -> None:
        """An empty list: both words point to it."""
        address = self.at(path)
        for step in (0, 8):
            self.memory.write(address + step, struct.pack("<Q", address))
            self.touched.add(address + step)

    def free(self, path: str) -> None:
        """A lock that nobody holds: its words are zero."""
        field = self.memory.types.field(self.name, path)
        assert field is not None, f"struct {self.name} has no {path}"
        address = self.address + field.offset
        self.touched |= set(range(address & -8, address + field.size, 8))
