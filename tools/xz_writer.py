# SPDX-License-Identifier: Apache-2.0
"""Files of the bundle that are packed by xz, since zipimport knows no method as dense."""

from __future__ import annotations

import functools
import lzma


@functools.lru_cache(maxsize=64)  # a bill of materials asks again for what a build had
def packed(data: bytes, window: int = 0) -> bytes:
    """An .xz file of `data`; unpacking takes `window` bytes of memory, or as much as the data.

    Without a checksum worth the name: the zip has one.
    """
    window = window or max(1 << (len(data) - 1).bit_length(), 4096)  # holds all of it
    filters = [{"id": lzma.FILTER_LZMA2, "preset": 9, "dict_size": window}]
    return lzma.compress(data, check=lzma.CHECK_CRC32, filters=filters)
