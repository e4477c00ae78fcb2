# SPDX-License-Identifier: Apache-2.0
"""libbpf's messages, whole: the verifier's reason for a refusal stands at the end of a long one.

libbpf has one print callback for the process (libbpf_set_print). It is installed once, when the
library is loaded, and never replaced, so that no object's end can leave libbpf with a function that
is gone. What is no warning C drops (agent/native/messages.c). Who wants messages collects them for
the calls of its own thread.
"""

from __future__ import annotations

import contextlib
import ctypes
import threading
from ctypes import CFUNCTYPE, byref, c_char_p, c_int, c_void_p
from typing import Any, Iterator, List

from tetrapy.errors import NativeCodeError
from tetrapy.kernel.native import load_own

PrintCallback = CFUNCTYPE(c_int, c_int, c_char_p, c_void_p)
"""libbpf_print_fn_t: level, format, va_list. A va_list is passed as an address on x86_64 (an array)
and on arm64 (a structure of more than 16 bytes)."""

_WARN = 0  # enum libbpf_print_level

# glibc and musl both have it; it allocates what the text needs.
_libc = ctypes.CDLL(None)
_vasprintf = _libc.vasprintf
_vasprintf.restype = c_int
_vasprintf.argtypes = [c_void_p, c_char_p, c_void_p]
_free = _libc.free
_free.restype = None
_free.argtypes = [c_void_p]


class _Collectors(threading.local):
    def __init__(self) -> None:
        self.stack: List[List[str]] = []


_collectors = _Collectors()


def _collect(level: int, template: bytes, arguments: int) -> int:
    stack = _collectors.stack
    if level != _WARN or not stack:
        return 0
    text = c_void_p()
    length = _vasprintf(byref(text), template, arguments)
    if length < 0:  # no memory: the message is lost, the call that it is about is not
        return 0
    try:
        message = ctypes.string_at(text.value or 0, length)
    finally:
        _free(text)
    stack[-1].append(message.decode("utf-8", "replace").rstrip("\n"))
    return 0


_callback = PrintCallback(_collect)  # as long-lived as the process


def install(library: Any) -> None:
    """Have `library`, which is libbpf, give its messages to this module."""
    try:
        own = load_own()
    except NativeCodeError:
        library.libbpf_set_print(_callback)
        return
    own.pass_warnings_to.argtypes = [PrintCallback]
    own.pass_warnings_to.restype = None
    own.pass_warnings_to(_callback)
    library.libbpf_set_print(ctypes.cast(own.pass_warning, PrintCallback))


@contextlib.contextmanager
def collected(messages: List[str]) -> Iterator[None]:
    """Append libbpf's warnings to `messages` while the calls inside are made in this thread."""
    stack = _collectors.stack
    stack.append(messages)
    try:
        yield
    finally:
        stack.pop()
