# SPDX-License-Identifier: Apache-2.0
"""What a shared library asks of the system it is loaded on: needed libraries, symbol versions.

And how one needed library is taken out of it.

Reads the dynamic section and the version needs of a 64-bit little-endian ELF file
(System V ABI, "Dynamic Linking"; LSB, "Symbol Versioning").
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass

from tools.errors import BuildError

_PT_DYNAMIC = 2
_PT_LOAD = 1
_DT_NEEDED, _DT_STRTAB, _DT_SONAME = 1, 5, 14
_DT_VERNEED, _DT_VERNEEDNUM = 0x6FFFFFFE, 0x6FFFFFFF
_MACHINES = {62: "x86_64", 183: "aarch64"}


@dataclass(frozen=True)
class CoreQueries:
    """The machine of a library, the libraries it needs, the symbol versions it wants of them."""

    machine: str
    libraries: frozenset[str]
    versions: frozenset[str]

    def newest_glibc(self) -> tuple[int, ...]:
        """The highest GLIBC_x.y that is wanted, as numbers; empty when none is."""
        numbers = [v.removeprefix("GLIBC_").split(".") for v in self.versions if v[:6] == "GLIBC_"]
        if any(not part.isdigit() for number in numbers for part in number):
            raise BuildError(f"a private glibc version is wanted: {sorted(self.versions)}")
        return max((tuple(map(int, number)) for number in numbers), default=())


def without(image: bytes, library: str) -> bytes:
    """The shared library `image`, which does not ask for `library` any more, if it did.

    Symbols that it takes from there are then looked for wherever the process has them.
    """
    _, at, entries, text = _dynamic(image)
    kept = [(tag, value) for tag, value in entries if tag != _DT_NEEDED or text(value) != library]
    kept += [(0, 0)] * (len(entries) - len(kept))  # the table ends with the first DT_NULL
    table = b"".join(struct.pack("<QQ", *entry) for entry in kept)
    return image[:at] + table + image[at + len(table) :]


def queries(image: bytes) -> CoreQueries:
    """What the ELF shared library `image` needs. Raises BuildError when it is no such file."""
    file_offset, _, dynamic, text = _dynamic(image)
    (machine,) = struct.unpack_from("<18xH", image)
    single = dict(dynamic)
    libraries = frozenset(text(value) for tag, value in dynamic if tag == _DT_NEEDED)
    versions = set()
    if _DT_VERNEED in single:
        at = file_offset(single[_DT_VERNEED])
        for _ in range(single[_DT_VERNEEDNUM]):
            # Elf64_Verneed: version, count, file, offset of the first aux, offset of the next.
            _, entries, _, first, following = struct.unpack_from("<HHIII", image, at)
            aux = at + first
            for _ in range(entries):
                # Elf64_Vernaux: hash, flags, other, name, offset of the next.
                _, _, _, name, step = struct.unpack_from("<IHHII", image, aux)
                versions.add(text(name))
                aux += step
            at += following
    return CoreQueries(_MACHINES.get(machine, str(machine)), libraries, frozenset(versions))


def _dynamic(
    image: bytes,
) -> tuple[Callable[[int], int], int, list[tuple[int, int]], Callable[[int], str]]:
    """Address -> place in the file; place and entries of the dynamic section; string by number."""
    if image[:6] != b"\x7fELF\x02\x01":
        raise BuildError("not a 64-bit little-endian ELF file")
    (offset,) = struct.unpack_from("<32xQ", image)
    entry_size, count = struct.unpack_from("<54xHH", image)
    # Program header: type, flags, offset, virtual address, physical address, size in the file.
    headers = [struct.unpack_from("<IIQQQQ", image, offset + i * entry_size) for i in range(count)]
    loads: list[tuple[int, int, int]] = [
        (vaddr, at, size) for kind, _, at, vaddr, _, size in headers if kind == _PT_LOAD
    ]

    def file_offset(address: int) -> int:
        for vaddr, at, size in loads:
            if vaddr <= address < vaddr + size:
                return address - vaddr + at
        raise BuildError(f"address {address:#x} is in no segment of the file")

    place, entries = 0, []
    for kind, _, at, _, _, size in headers:
        if kind == _PT_DYNAMIC:
            place, entries = at, list(struct.iter_unpack("<QQ", image[at : at + size]))
    strings = file_offset(dict(entries)[_DT_STRTAB])

    def text(at: int) -> str:
        start = strings + at
        return image[start : image.index(b"\0", start)].decode()

    return file_offset, place, entries, text
