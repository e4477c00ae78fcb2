# SPDX-License-Identifier: Apache-2.0
"""What kernel images and packages are compressed with and Python before 3.14 cannot read.

gzip, bzip2, lzma and xz are in the standard library of every Python; zstd, LZ4 and LZO are decoded
by the bundle's libunpack.so, which is loaded at the first call. That raises NativeCodeError where
the library cannot be loaded. Damaged data, and data that would become larger than the caller
allows, raise DecompressError.
"""

from __future__ import annotations

import io
from typing import BinaryIO, Callable, Dict

from tetrapy.kernel.decompress.lz4 import decompress_lz4_legacy
from tetrapy.kernel.decompress.lzop import decompress_lzo
from tetrapy.kernel.decompress.zstd import INPUT_CHUNK, ZstdReader, decompress_zstd

__all__ = [
    "ZstdReader",
    "decompress_lz4_legacy",
    "decompress_lzo",
    "decompress_zstd",
    "decompressors",
    "open_zstd",
]


def decompressors() -> Dict[str, Callable[[bytes, int], bytes]]:
    """Functions (data, limit in bytes) -> decompressed bytes, by what the format is called."""
    return {"zstd": decompress_zstd, "lz4": decompress_lz4_legacy, "lzo": decompress_lzo}


def open_zstd(file: BinaryIO) -> io.BufferedReader:
    """What a binary file holds, decompressed while it is read: for `tarfile.open(fileobj=...)`.

    Closing it leaves `file` open.
    """
    return io.BufferedReader(ZstdReader(file), INPUT_CHUNK)
