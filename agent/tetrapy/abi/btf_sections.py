# SPDX-License-Identifier: Apache-2.0
"""The outer form of BTF: its header, and where each type starts.

The format is described in the kernel tree, Documentation/bpf/btf.rst, and include/uapi/linux/btf.h.
"""

from __future__ import annotations

import sys
from array import array
from struct import Struct
from typing import Tuple

from tetrapy.errors import BtfError
from tetrapy.named import NamedTuple

MAGIC = 0xEB9F
HEADER = Struct("<HBBIIIII")

# 32-bit words that follow the three words of every type: a fixed number, and a number per element.
_FIXED_WORDS = (0, 1, 0, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 1, 0, 0)
_ELEMENT_WORDS = (0, 0, 0, 0, 3, 3, 2, 0, 0, 0, 0, 0, 0, 2, 0, 3, 0, 0, 0, 3)


class Header(NamedTuple):
    """Where the type and string sections are, in bytes from the start of the BTF."""

    types: int
    types_size: int
    strings: int
    strings_size: int


def read_header(head: bytes, size: int) -> Header:
    """The header of BTF that has `size` bytes, of which `head` are the first (24 or more)."""
    if len(head) < HEADER.size:
        raise BtfError(f"no BTF: {len(head)} bytes are too few for its header")
    magic, version, _flags, header_size, types, types_size, strings, strings_size = (
        HEADER.unpack_from(head)
    )
    if magic != MAGIC:
        raise BtfError(f"no BTF: starts with {magic:#06x}, not {MAGIC:#06x}")
    if version != 1:
        raise BtfError(f"BTF version {version} is not known, only 1 is")
    if header_size < HEADER.size:
        raise BtfError(f"BTF header of {header_size} bytes")
    header = Header(header_size + types, types_size, header_size + strings, strings_size)
    end = max(header.types + types_size, header.strings + strings_size)
    if end > size:
        raise BtfError(f"the BTF is cut short: it says {end} bytes, {size} are there")
    return header


def index(types: bytes) -> Tuple[array[int], array[int]]:
    """All words of the type section, and the word at which each type starts."""
    if len(types) % 4:
        raise BtfError(f"the BTF type section has {len(types)} bytes, which is no multiple of 4")
    words = array("I", types)
    if sys.byteorder == "big":
        words.byteswap()
    starts = array("I", (0,))
    at, end = 0, len(words)
    try:
        while at < end:
            starts.append(at)
            info = words[at + 1]
            kind = info >> 24 & 31
            at += 3 + _FIXED_WORDS[kind] + _ELEMENT_WORDS[kind] * (info & 0xFFFF)
            if not kind:
                raise BtfError(f"type {len(starts) - 1}: kind 0")
    except IndexError:
        pass
    else:
        if at == end:
            return words, starts
    raise BtfError(f"type {len(starts) - 1} is of an unknown kind or is cut short")
