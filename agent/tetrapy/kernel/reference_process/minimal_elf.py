# SPDX-License-Identifier: Apache-2.0
"""The smallest program: it exits, and is ours alone down to its inode.

An ELF file without sections (elf(5)), whose whole is one segment of code.
"""

from __future__ import annotations

import os
import struct

_HEADER = struct.Struct("<4s12BHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_ADDRESS = 0x400000
# exit_group(0): e_machine, code
_X86_64 = 62, bytes.fromhex("31ff b8e7000000 0f05")  # xor edi, edi; mov eax, 231; syscall
_ARM64 = 183, bytes.fromhex("000080d2 c80b80d2 010000d4")  # mov x0, 0; mov x8, 94; svc 0


def image() -> bytes:
    """The bytes of the file."""
    machine, code = _X86_64 if os.uname().machine == "x86_64" else _ARM64
    start = _HEADER.size + _SEGMENT.size
    size = start + len(code)
    # 64 bits, little-endian, version 1; ET_EXEC; one program header.
    ident = (2, 1, 1, *[0] * 9)
    sizes = (_HEADER.size, _SEGMENT.size, 1, 0, 0, 0)
    header = _HEADER.pack(
        b"\x7fELF", *ident, 2, machine, 1, _ADDRESS + start, _HEADER.size, 0, 0, *sizes
    )
    # PT_LOAD, readable and executable.
    segment = _SEGMENT.pack(1, 5, 0, _ADDRESS, _ADDRESS, size, size, 0x1000)
    return header + segment + code
