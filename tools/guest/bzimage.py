"""The kernel's ELF file out of an x86 bzImage.

QEMU boots the ELF directly (PVH entry), which saves the guest two to three seconds of decompressing
under emulation. Format: Documentation/arch/x86/boot.rst (setup_sects at 0x1f1, payload_offset and
payload_length at 0x248), payload compressed as a whole, with its unpacked size behind it.
"""

from __future__ import annotations

import lzma
import struct
import subprocess
import zlib

from tools.errors import BuildError

_ELF = b"\x7fELF"


class BzImageError(BuildError):
    """The file is no bzImage, or its payload is compressed in a way that is not read here."""


def extract_elf(image: bytes) -> bytes:
    """The uncompressed vmlinux ELF. zstd payloads need the `zstd` program, lz4 ones `lz4`."""
    if image[0x202:0x206] != b"HdrS":
        raise BzImageError("no boot sector signature HdrS at 0x202: not a bzImage")
    setup_sectors = image[0x1F1] or 4
    offset, length = struct.unpack_from("<II", image, 0x248)
    start = (setup_sectors + 1) * 512 + offset
    unpacked = _decompress(image[start : start + length])
    elf = unpacked.find(_ELF)
    if elf < 0:
        raise BzImageError(f"no ELF header in the {len(unpacked)} bytes of the payload")
    return unpacked[elf:]


def _decompress(payload: bytes) -> bytes:
    if payload.startswith(b"\x1f\x8b"):
        return zlib.decompressobj(wbits=31).decompress(payload)
    if payload.startswith(b"\xfd7zXZ"):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ).decompress(payload)
    if payload.startswith(b"]\0\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE).decompress(payload)
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        return _filter(["zstd", "-qdc"], payload)
    if payload.startswith(b"\x02\x21\x4c\x18"):
        return _filter(["lz4", "-qdc"], payload)
    raise BzImageError(
        f"payload begins with {payload[:6].hex()}: gzip, xz, lzma, zstd, lz4 are read"
    )


def _filter(command: list[str], payload: bytes) -> bytes:
    # The size field behind the data makes both programs complain: the exit code says nothing.
    try:
        return subprocess.run(
            command, input=payload, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=False
        ).stdout
    except FileNotFoundError as err:
        raise BzImageError(f"payload needs the program {command[0]}: install it") from err
