# SPDX-License-Identifier: Apache-2.0
"""A kernel's BTF out of a file: raw, in an ELF file, or either of these packed by xz.

A kernel image that has to be unpacked first (vmlinuz) or a package is `btf.harvest`'s business.
"""

from __future__ import annotations

import io
import os
import stat
from typing import Union

from tetrapy.abi.elf import SHF_COMPRESSED, SHT_NOBITS, Elf, FileBytes
from tetrapy.btf import xz
from tetrapy.errors import FormatError

# Full BTFs have 3 to 10 MB, kernels with everything switched on 30.
MAX_SIZE = 64 << 20
SUFFIXES = (".btf", ".btf.xz", ".btf.tar.xz")

_ELF = b"\x7fELF"
_BTF = b"\x9f\xeb"
_TAR_MAGIC = slice(257, 262)


def read_btf(path: str) -> bytes:
    """The raw bytes of the BTF that a file holds; only their start is looked at.

    Raises FormatError when there is none, or more than MAX_SIZE bytes of it; OSError when the file
    cannot be read.
    """
    with open(path, "rb", buffering=0) as file:
        status = os.fstat(file.fileno())
        if stat.S_ISREG(status.st_mode):
            content = FileBytes(file.fileno())
            if content[0:4] == _ELF:
                return _section(content)
        return _content(_read(file))


def _read(file: io.RawIOBase) -> bytes:
    """The whole file, which may be a pipe or a device."""
    parts = []
    rest = MAX_SIZE + 1
    while rest:
        part = file.read(min(rest, 1 << 20))
        if not part:
            break
        parts.append(part)
        rest -= len(part)
    if not rest:
        raise FormatError(f"has more than {MAX_SIZE >> 20} MiB, which no BTF has")
    return b"".join(parts)


def _content(data: bytes) -> bytes:
    if data.startswith(xz.MAGIC):
        data = xz.unpack(data, MAX_SIZE)
        if data[_TAR_MAGIC] == b"ustar":
            data = _member(data)
    if data.startswith(_ELF):
        return _section(data)
    if not data.startswith(_BTF):
        raise FormatError(
            f"holds no BTF: it starts with {data[:4].hex() or 'nothing'}, and raw BTF with 9feb,"
            " ELF with 7f454c46, xz with fd377a58"
        )
    return data


def _section(data: Union[bytes, FileBytes]) -> bytes:
    section = Elf(data).section(".BTF")
    if section is None or section.type == SHT_NOBITS:
        raise FormatError("is an ELF file without a .BTF section")
    if section.flags & SHF_COMPRESSED:
        raise FormatError("its .BTF section is compressed")
    if section.size > MAX_SIZE:
        raise FormatError(f"its .BTF section has {section.size:,} bytes, which no kernel's has")
    found = data[section.offset : section.offset + section.size]
    if len(found) != section.size:
        raise FormatError("its .BTF section is cut short")
    return found


def _member(data: bytes) -> bytes:
    """The first file of a tar archive, in which BTFHub keeps one BTF each."""
    from tetrapy.btf.harvest import tar  # not for the agent, which reads no such files

    for entry in tar.entries(io.BytesIO(data), MAX_SIZE):
        return entry.content(MAX_SIZE)
    raise FormatError("its tar archive holds no file")
