# SPDX-License-Identifier: Apache-2.0
"""A kernel in any of the forms in which it is installed -> its BTF and what it says of itself."""

from __future__ import annotations

import io
import re
from typing import Union

from tetrapy.abi.elf import EM_AARCH64, EM_X86_64, SHF_COMPRESSED, SHT_NOBITS, Elf, FileBytes
from tetrapy.btf.harvest import arm64, bzimage, limits, tar
from tetrapy.btf.harvest.c_header import is_header, read_header
from tetrapy.btf.harvest.compression import compression_of, unpack
from tetrapy.btf.harvest.isf import is_isf, read_isf
from tetrapy.btf.harvest.options import Unpackers
from tetrapy.errors import FormatError
from tetrapy.named import NamedTuple

HEAD_SIZE = 1024
_ELF = b"\x7fELF"
_BTF = b"\x9f\xeb"
_MACHINES = {EM_X86_64: "x86_64", EM_AARCH64: "arm64"}
# linux_banner of init/version.c: release, builder, compiler, "#1 SMP ..." of the kernel.
_BANNER = re.compile(rb"Linux version \d[^\s\0]{0,80} \([^\0\n]{0,1000}")
_MAX_RODATA = 256 << 20
_DWARF = (".debug_info", ".zdebug_info")


class NoBtfError(FormatError):
    """A kernel without BTF. `dwarf`: it has DWARF, of which BTF can be made."""

    def __init__(self, message: str, dwarf: bool = False) -> None:
        super().__init__(message)
        self.dwarf = dwarf


_FROM_HEADER = "it is made of a vmlinux.h: types without functions"
_FROM_ISF = "it is made of a symbol file of Volatility: types without typedefs and functions"


class Image(NamedTuple):
    """What an image holds. `arch`: x86_64, arm64, or "" where it does not tell (raw BTF).

    `banner`: "Linux version ..." without the newline, "" where there is none. `name`: of the .btf
    inside a tar, else "". `note`: what to know about how the BTF was made, else "".
    """

    btf: bytes
    arch: str = ""
    banner: str = ""
    name: str = ""
    note: str = ""


def is_image(head: bytes) -> bool:
    """Whether the first 1024 bytes of a file are of one of the forms that `read_image` takes."""
    packed = tar.is_tar(head) or compression_of(head) or is_isf(head) or is_header(head)
    return bool(head.startswith((_ELF, _BTF)) or is_kernel(head) or packed)


def is_kernel(head: bytes) -> bool:
    """Whether the first 1024 bytes of a file are those of a kernel or BTF, beyond doubt."""
    forms = (bzimage.is_bzimage(head), arm64.is_zboot(head), arm64.is_image(head))
    return head.startswith(_BTF + b"\1\0") or any(forms)


def is_elf(head: bytes) -> bool:
    """Whether these bytes start an ELF file."""
    return head.startswith(_ELF)


def read_image(data: bytes, unpackers: Unpackers) -> Image:
    """The BTF of a kernel image, raw BTF, BTFHub's .btf.tar.xz, ISF or C, compressed or not.

    FormatError: none of these, damaged, above a limit; NoBtfError: a kernel without BTF;
    NotLinuxError: JSON or C, but of no kernel.
    """
    for _ in range(limits.NESTING + 1):
        head = data[:HEAD_SIZE]
        if head.startswith(_ELF):
            return read_elf(data)
        if head.startswith(_BTF):
            return Image(_limited(data))
        if bzimage.is_bzimage(head):
            data = _unpacked(bzimage.payload(data), unpackers, "the bzImage's payload")
        elif arm64.is_zboot(head):
            data = _unpacked(arm64.zboot_payload(data), unpackers, "the zboot image's payload")
        elif arm64.is_image(head):
            return _read_arm64(data)
        elif tar.is_tar(head):
            return _read_tar(data)
        elif is_isf(head):
            btf, constant = read_isf(data)
            return Image(btf, banner=_banner(constant), note=_FROM_ISF)
        elif is_header(head):
            btf, left_out = read_header(data)
            return Image(btf, note="; ".join(filter(None, (_FROM_HEADER, left_out))))
        elif compression_of(head):
            data = _unpacked(data, unpackers, "the file")
        else:
            raise FormatError(
                f"begins with {head[:8].hex() or 'nothing'}: no ELF file, bzImage, arm64 Image, "
                "BTF, symbol file (ISF), vmlinux.h, or one of these compressed"
            )
    raise FormatError(f"is packed more than {limits.NESTING} times")


def read_elf(data: Union[bytes, FileBytes]) -> Image:
    """The BTF of a vmlinux; errors as `read_image`. The file is not read whole."""
    elf = Elf(data)
    arch = machine(elf)
    section = elf.section(".BTF")
    if section is None or not section.size or section.type == SHT_NOBITS:
        dwarf = any(found.name in _DWARF for found in elf.sections)
        raise NoBtfError("the kernel has no .BTF section" + (" but DWARF" if dwarf else ""), dwarf)
    if section.flags & SHF_COMPRESSED:
        raise FormatError(
            "its section .BTF is compressed; uncompress it first:"
            " objcopy --decompress-debug-sections FILE"
        )
    if section.size > limits.BTF:
        raise FormatError(_too_large(section.size))
    return Image(elf.data(section), arch, elf_banner(elf))


def machine(elf: Elf) -> str:
    """The architecture of a vmlinux; FormatError if it is another than x86_64 and arm64."""
    arch = _MACHINES.get(elf.machine)
    if arch is None:
        raise FormatError(f"an ELF file for machine {elf.machine}: x86_64 and arm64 are read here")
    return arch


def elf_banner(elf: Elf) -> str:
    """The banner of a vmlinux, "" if it has none (a file of DWARF alone)."""
    section = elf.section(".rodata")
    if section is None or section.flags & SHF_COMPRESSED or section.size > _MAX_RODATA:
        return ""
    return _banner(elf.data(section))


def _read_arm64(image: bytes) -> Image:
    btf = arm64.find_btf(image)
    if btf is None:
        raise NoBtfError("the arm64 kernel has no BTF in it")
    return Image(btf, "arm64", _banner(image))


def _read_tar(data: bytes) -> Image:
    names = []
    for entry in tar.entries(io.BytesIO(data), limits.KERNEL):
        if entry.path.endswith(".btf"):
            return Image(entry.content(limits.BTF), name=entry.path.rpartition("/")[2])
        names.append(entry.path)
    raise FormatError(f"the tar has no .btf file in it but {', '.join(names[:3]) or 'nothing'}")


def _unpacked(data: bytes, unpackers: Unpackers, what: str) -> bytes:
    try:
        return unpack(data, limits.KERNEL, unpackers)
    except FormatError as err:
        raise FormatError(f"{what}: {err}") from err


def _limited(data: bytes) -> bytes:
    if len(data) > limits.BTF:
        raise FormatError(_too_large(len(data)))
    return data


def _too_large(size: int) -> str:
    return f"{size >> 20} MiB of BTF, the limit is {limits.BTF >> 20}"


def _banner(data: bytes) -> str:
    found = _BANNER.search(data)
    return found.group().decode("ascii", "replace") if found else ""
