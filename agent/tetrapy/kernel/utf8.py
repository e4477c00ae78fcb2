# SPDX-License-Identifier: Apache-2.0
"""Long texts that are not UTF-8, made so by C (agent/native/utf8.c, libtext.so)."""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import Any

from tetrapy.kernel.native import load_text

_UTF_16 = f"utf-16-{sys.byteorder[0]}e"  # without a mark at the beginning


def repaired(data: bytes) -> str:
    """The text of UTF-8, with one U+FFFD for each run of invalid bytes.

    Raises NativeCodeError when the library cannot be loaded, which the first call does.
    """
    out = (ctypes.c_uint16 * len(data))()
    units = _repair_utf8()(data, len(data), out)
    return str(memoryview(out)[:units], _UTF_16)


@lru_cache(maxsize=None)
def _repair_utf8() -> Any:
    function = load_text().repair_utf8
    function.restype = ctypes.c_size_t
    function.argtypes = [ctypes.c_char_p, ctypes.c_size_t, ctypes.c_void_p]
    return function
