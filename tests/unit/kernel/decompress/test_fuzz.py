# SPDX-License-Identifier: Apache-2.0
"""Decompressors survive arbitrary bytes, in this very process.

Whatever they are given, they return no more than the limit or raise DecompressError.
"""

from __future__ import annotations

import io

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.support.packed import (
    CONTENTS,
    GOLDEN,
    golden,
    lz4_legacy,
    lz4_literals,
    lz4_run,
    lzo_run,
    lzop,
    zstd_frame,
    zstd_skippable,
)
from tests.unit.abi.test_fuzz import flipped
from tetrapy.errors import DecompressError
from tetrapy.kernel.decompress import ZstdReader, decompressors

pytestmark = pytest.mark.slow

LIMIT = 1 << 20

MAGIC = {
    "zstd": b"\x28\xb5\x2f\xfd",
    "lz4": b"\x02\x21\x4c\x18",
    "lzo": lzop([])[:-4],  # a header with its checksum, up to the blocks
}

# Small valid files: most of their bytes steer the decoder.
SMALL = {
    "zstd": zstd_skippable(b"ab") + zstd_frame([(0, 3, b"abc"), (1, 999, b"x"), (0, 1, b"!")]),
    "lz4": lz4_legacy([lz4_run(3000)]) + lz4_legacy([lz4_literals(b"abc" * 99)]),
    "lzo": lzop([(9, b"123456789"), (3000, lzo_run(3000)), (999, lzo_run(999))]),
}


def attempt(key: str, data: bytes, limit: int) -> None:
    """Decompress at once; zstd as a file too, where what it gives first agrees."""
    whole = None
    try:
        whole = decompressors()[key](data, limit)
        assert len(whole) <= limit
    except DecompressError:
        pass
    if key == "zstd":
        found = b""
        try:
            reader = ZstdReader(io.BytesIO(data))
            while len(found) <= limit and (piece := reader.read(1 + limit // 3)):
                found += piece
            if whole is not None:
                assert found == whole
        except DecompressError:
            # A file has nothing behind its last frame; in an image it is padding.
            assert whole is None or found == whole[: len(found)]


@given(st.sampled_from(sorted(MAGIC)), st.binary(max_size=400), st.booleans())
def test_arbitrary_bytes(key: str, data: bytes, known: bool):
    """Anything, also behind the right magic number."""
    attempt(key, MAGIC[key] + data if known else data, LIMIT)


@given(
    st.sampled_from(sorted(GOLDEN)).flatmap(
        lambda name: st.tuples(st.just(GOLDEN[name]), flipped(golden(name)))
    ),
    st.one_of(st.just(LIMIT), st.integers(0, len(CONTENTS) + 1)),
)
def test_damaged_files(case: tuple[str, bytes], limit: int):
    """Real files with changed bytes, bits and ends."""
    attempt(*case, limit)


@given(
    st.sampled_from(sorted(SMALL)).flatmap(
        lambda key: st.tuples(st.just(key), flipped(SMALL[key]))
    ),
    st.integers(0, 5000),
)
@example(("lz4", MAGIC["lz4"] + b"\x06\0\0\0\x1fA\xff\xff\0\0"), 100)
def test_damaged_structure(case: tuple[str, bytes], limit: int):
    """Small files, so that sizes, offsets and lengths are what is changed."""
    attempt(*case, limit)


@given(st.binary(max_size=300), st.integers(0, 400))
def test_damaged_blocks(data: bytes, size: int):
    """Arbitrary bytes as the block itself, past all headers and checksums."""
    attempt("lz4", lz4_legacy([data]), LIMIT)
    attempt("lzo", lzop([(size + len(data), data)]), LIMIT)
    attempt("zstd", zstd_frame([(2, len(data), data)]), LIMIT)
