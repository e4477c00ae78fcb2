# SPDX-License-Identifier: Apache-2.0
"""The kernel inside an x86 bzImage (vmlinuz).

Format: Documentation/arch/x86/boot.rst: setup_sects at 0x1f1, "HdrS" at 0x202, payload_offset and
payload_length at 0x248 (boot protocol 2.08, Linux 2.6.26).
"""

from __future__ import annotations

from struct import Struct

from tetrapy.errors import FormatError

HEAD_SIZE = 0x250
_MAGIC = b"HdrS"
_MAGIC_AT = 0x202
_SETUP_SECTORS_AT = 0x1F1
_PROTOCOL = Struct("<H")
_PROTOCOL_AT = 0x206
_PAYLOAD = Struct("<II")
_PAYLOAD_AT = 0x248
_SECTOR = 512


def is_bzimage(head: bytes) -> bool:
    """Whether the first 592 bytes of a file are those of a bzImage."""
    return len(head) >= HEAD_SIZE and head[_MAGIC_AT : _MAGIC_AT + 4] == _MAGIC


def payload(image: bytes) -> bytes:
    """The compressed vmlinux; all but gzip have its unpacked size behind them.

    FormatError: no bzImage, too old to tell where its payload is, cut short.
    """
    if not is_bzimage(image):
        raise FormatError("no boot sector signature HdrS at 0x202: not a bzImage")
    (protocol,) = _PROTOCOL.unpack_from(image, _PROTOCOL_AT)
    if protocol < 0x208:
        raise FormatError(
            f"boot protocol {protocol >> 8}.{protocol & 255:02} does not tell where the payload is"
        )
    # 0 stands for 4, for the sake of very old boot loaders.
    sectors = image[_SETUP_SECTORS_AT] or 4
    offset, length = _PAYLOAD.unpack_from(image, _PAYLOAD_AT)
    start = (sectors + 1) * _SECTOR + offset
    if start + length > len(image):
        raise FormatError(
            f"the bzImage is cut short: its payload ends at byte {start + length}, the file at "
            f"{len(image)}"
        )
    return image[start : start + length]
