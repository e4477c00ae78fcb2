# SPDX-License-Identifier: Apache-2.0
r"""The BTF inside an arm64 kernel image, and the image inside an EFI zboot image.

An Image is the kernel as it lies in memory, without sections: the BTF is found by its own header.
Formats: Documentation/arch/arm64/booting.rst ("ARM\x64" at 56); zboot, which arm64 distributions
call vmlinuz: drivers/firmware/efi/libstub/zboot-header.S ("zimg" at 4, the payload's offset and
size at 8 and 12).
"""

from __future__ import annotations

import re
from struct import Struct
from typing import Optional

from tetrapy.abi.btf import Btf
from tetrapy.abi.btf_sections import read_header
from tetrapy.btf.harvest import limits
from tetrapy.errors import BtfError, FormatError

HEAD_SIZE = 64
_MAGIC = b"ARM\x64"
_ZBOOT_MAGIC = b"zimg"
_ZBOOT = Struct("<II")

# struct btf_header, little-endian: magic 0xeb9f, version 1, flags, size of the header (24 bytes;
# 32 with the layout of kinds that Linux 7 may add).
_HEADER = re.compile(rb"\x9f\xeb\x01\x00[\x18\x20]\0\0\0", re.DOTALL)
_LONG_HEADER = 32
_LAYOUT = Struct("<II")
_LAYOUT_AT = 24
# What else could look like it: a kernel has BTF of its own once, and code that compares with the
# magic; so many impostors there are not, and reading them costs time.
_MAX_CANDIDATES = 256
_MAX_CANDIDATE_BYTES = 2 * limits.BTF


def is_image(head: bytes) -> bool:
    """Whether the first 64 bytes of a file are those of an arm64 Image."""
    return head[56:60] == _MAGIC


def is_zboot(head: bytes) -> bool:
    """Whether the first 64 bytes of a file are those of an EFI zboot image, of any architecture."""
    return len(head) >= HEAD_SIZE and head[:2] == b"MZ" and head[4:8] == _ZBOOT_MAGIC


def zboot_payload(image: bytes) -> bytes:
    """The compressed kernel in an EFI zboot image; FormatError if it is cut short."""
    offset, size = _ZBOOT.unpack_from(image, 8)
    if offset + size > len(image):
        raise FormatError(
            f"the zboot image is cut short: its payload ends at byte {offset + size}, the file at "
            f"{len(image)}"
        )
    return image[offset : offset + size]


def find_btf(image: bytes) -> Optional[bytes]:
    """The first BTF in an uncompressed image that can be read and names task_struct, or None."""
    read = 0
    for number, found in enumerate(_HEADER.finditer(image)):
        size = _size(image, found.start())
        read += size
        if number >= _MAX_CANDIDATES or read > _MAX_CANDIDATE_BYTES:
            raise FormatError("too many places of the image look like BTF")
        data = image[found.start() : found.start() + size]
        if b"\0task_struct\0" in data:
            try:
                Btf(data)
            except BtfError:
                continue
            return data
    return None


def _size(image: bytes, start: int) -> int:
    """The size in bytes that a BTF header asks for; 0 if no BTF can start there."""
    head = image[start : start + _LONG_HEADER]
    try:
        header = read_header(head, len(image) - start)
    except BtfError:
        return 0
    end = max(header.types + header.types_size, header.strings + header.strings_size)
    if head[4] == _LONG_HEADER == len(head):
        offset, size = _LAYOUT.unpack_from(head, _LAYOUT_AT)
        end = max(end, head[4] + offset + size)
    if not header.types_size or end > min(limits.BTF, len(image) - start):
        return 0
    return end
