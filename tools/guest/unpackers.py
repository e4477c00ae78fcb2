# SPDX-License-Identifier: Apache-2.0
"""The agent's decompressors; zstd, LZ4 and LZO are in a library that `make build` makes."""

from __future__ import annotations

from tetrapy.btf.harvest import Unpackers
from tetrapy.kernel.decompress import decompressors, open_zstd

UNPACKERS = Unpackers(decompressors(), open_zstd)
