# SPDX-License-Identifier: Apache-2.0
"""Long texts that a process chose, by C (agent/native/text.c, libtetrapy.so).

A text takes as long as it has bytes, whatever they are.
"""

from __future__ import annotations

import ctypes
import sys
from functools import lru_cache
from typing import Any, Optional

from tetrapy import visible
from tetrapy.errors import NativeCodeError
from tetrapy.kernel.native import load_own

_UTF_32 = f"utf-32-{sys.byteorder[0]}e"  # without a mark at the beginning


def repaired(data: bytes) -> str:
    """The text of UTF-8, with one U+FFFD for each run of invalid bytes.

    Raises NativeCodeError when the library cannot be loaded.
    """
    repair = _function("repair_utf8")
    out = bytearray(4 * len(data) + 4)
    count = repair(data, ctypes.c_size_t(len(data)), _at(out))
    return str(memoryview(out)[: 4 * count], _UTF_32)


def joined(arguments: bytes) -> bytes:
    """Arguments, each but the last ended by a zero byte, as Tetragon joins them.

    Raises NativeCodeError when the library cannot be loaded.
    """
    join = _function("join_arguments")
    size = len(arguments)
    quoted, out = bytearray(size + 1), bytearray(3 * size + 3)
    return bytes(memoryview(out)[: join(arguments, ctypes.c_size_t(size), _at(quoted), _at(out))])


def json_bytes(document: str) -> Optional[bytes]:
    """What `tetrapy.visible.json_bytes` makes of JSON that is not all ASCII; None when the library
    cannot be loaded.
    """
    try:
        is_seen, escape = _function("is_seen"), _function("escape_json")
    except NativeCodeError:
        return None
    codes = document.encode(_UTF_32, "surrogatepass")
    size = ctypes.c_size_t(len(document))
    if is_seen(codes, size, _seen(), visible.LIMIT):
        return document.encode()
    out = bytearray(12 * len(document))
    return bytes(memoryview(out)[: escape(codes, size, _at(out))])


@lru_cache(maxsize=None)
def _function(name: str) -> Any:
    function = getattr(load_own(), name)
    function.restype = ctypes.c_size_t
    return function


def _at(buffer: bytearray) -> Any:
    return ctypes.byref(ctypes.c_char.from_buffer(buffer))


@lru_cache(maxsize=1)
def _seen() -> bytes:
    """Made when it is first needed, in 20 ms."""
    return visible.seen_bits()
