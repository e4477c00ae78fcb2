# SPDX-License-Identifier: Apache-2.0
"""libunpack.so for each architecture: decompressors that Python's library lacks before 3.14.

zstd's decompression half, LZ4's block decompressor and LZO1X's safe one, for `btf harvest` to read
kernel images and packages with. Exported is only what tetrapy.kernel.decompress calls.
"""

from __future__ import annotations

import sys
from pathlib import Path

from tools import shared_library

EXPORTS = (
    "LZ4_decompress_safe_usingDict",
    "XXH32",
    "ZSTD_createDCtx",
    "ZSTD_decompressBound",
    "ZSTD_decompressDCtx",
    "ZSTD_decompressStream",
    "ZSTD_findFrameCompressedSize",
    "ZSTD_freeDCtx",
    "ZSTD_getErrorName",
    "ZSTD_isError",
    "lzo1x_decompress_safe",
)

_SOURCES = (
    *(
        f"zstd/lib/common/{name}.c"
        for name in "entropy_common error_private fse_decompress xxhash zstd_common".split()
    ),
    *(
        f"zstd/lib/decompress/{name}.c"
        for name in "huf_decompress zstd_ddict zstd_decompress zstd_decompress_block".split()
    ),
    "lz4/lib/lz4.c",
    "lz4/lib/xxhash.c",
    "lzo2/minilzo/minilzo.c",
)

_FLAGS = (
    # A third of the size of -O2 at two thirds of its speed; one kernel takes 0.1 s.
    "-Os -DNDEBUG"
    # What zstd's own makefile defines for ZSTD_LIB_MINIFY: one of two Huffman and one of two
    # sequence decoders, which each read everything. No code for BMI2, no formats from before 1.0.
    " -DHUF_FORCE_DECOMPRESS_X1=1 -DZSTD_FORCE_DECOMPRESS_SEQUENCES_SHORT=1 -DZSTD_NO_INLINE=1"
    " -DDYNAMIC_BMI2=0 -DZSTD_DISABLE_ASM=1 -DZSTD_LEGACY_SUPPORT=0 -DZSTD_TRACE=0"
    " -Izstd/lib -Ilz4/lib -Ilzo2/minilzo -Ilzo2/include/lzo"
    " -Wl,-soname,libunpack.so -Wl,--version-script=exports.map"
).split()


def library(architecture: str) -> Path:
    """The path of libunpack.so for an architecture, built if need be. Raises BuildError."""
    return shared_library.library(RECIPE, architecture)


def _prepare(tree: Path) -> list[str]:
    (tree / "exports.map").write_text(f"{{ global: {'; '.join(EXPORTS)}; local: *; }};\n")
    return list(_SOURCES)


RECIPE = shared_library.Recipe(
    name="libunpack",
    archives=("zstd", "lz4", "lzo2"),
    flags=tuple(_FLAGS),
    prepare=_prepare,
    made_by=(Path(__file__),),
)


if __name__ == "__main__":
    for wanted in sys.argv[1:] or shared_library.ARCHITECTURES:
        print(library(wanted))
