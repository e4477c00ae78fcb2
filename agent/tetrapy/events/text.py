# SPDX-License-Identifier: Apache-2.0
"""Bytes and times of the kernel -> text of an event (rules: Tetragon's events, `Process`)."""

from __future__ import annotations

import time
from binascii import b2a_base64
from posixpath import normpath
from typing import Callable, List, NoReturn, TypeVar

from tetrapy.errors import NativeCodeError

_MARK = "\ufffd"
_REAL_MARK = _MARK.encode()
_ESCAPE = "\x1a"  # rare, so that escaping it copies little

# What a byte can be: ASCII as it is, the first of several (fe), and what is no beginning (ff).
_LEAD, _STRAY = b"\xfe", b"\xff"
_ROLES = bytes(range(128)) + _STRAY * 66 + _LEAD * 51 + _STRAY * 11

_SECOND = 1_000_000_000  # ns

_LONG = 4096  # bytes of a text that is worth a call of C


def _without_c(_: bytes) -> NoReturn:
    raise NativeCodeError("nobody said what makes long texts")


_repair: Callable[[bytes], str] = _without_c
_join: Callable[[bytes], bytes] = _without_c


def make_with(repair: Callable[[bytes], str], join: Callable[[bytes], bytes]) -> None:
    """Have long texts made by `repair`, of UTF-8 with one U+FFFD for each run of wrong bytes, and
    many arguments be joined by `join`, as `join_arguments` does.
    """
    global _repair, _join
    _repair, _join = repair, join


# A process chooses these bytes, 256 KiB of them. So every step here is one pass in C over all of
# them; a call for each run, which a regular expression would make, costs thirty times as much.
_Runs = TypeVar("_Runs", bytes, str)


def to_text(data: bytes) -> str:
    """UTF-8, each run of invalid bytes replaced by one U+FFFD (as Go's strings.ToValidUTF8)."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
    if len(data) >= _LONG:
        try:
            return _repair(data)
        except NativeCodeError:
            pass  # it could not be loaded on this host: what follows takes longer
    roles = data.translate(_ROLES)
    if _LEAD not in roles:
        # Nothing but ASCII is valid in it.
        return _one_each(roles, _STRAY).decode("latin-1").replace("\xff", _MARK)
    # Python makes one U+FFFD of each part of a run, so those that are in the text stand aside.
    has_mark = _REAL_MARK in data
    if has_mark:
        escape = _ESCAPE.encode()
        data = data.replace(escape, escape + b"0").replace(_REAL_MARK, escape + b"1")
    text = _one_each(data.decode("utf-8", "replace"), _MARK)
    if has_mark:
        text = text.replace(_ESCAPE + "1", _MARK).replace(_ESCAPE + "0", _ESCAPE)
    return text


def _one_each(text: _Runs, mark: _Runs) -> _Runs:
    """`text` with one mark for each run of them; a few passes, whatever the lengths."""
    double = mark * 2
    while double in text:
        text = text.replace(double, mark)
        if double in text:
            text = text.replace(mark * 64, mark).replace(mark * 8, mark).replace(double, mark)
    return text


def base64_text(data: bytes) -> str:
    """Standard base64, padded: how JSON has bytes."""
    return b2a_base64(data, newline=False).decode()


def join_arguments(arguments: List[str]) -> str:
    """Arguments as one string; one that has a space, or is empty, is quoted and follows a space."""
    # Of many arguments most are short and equal.
    quoted = {one: f'"{one}"' for one in set(arguments) if not one or " " in one}
    joined = " ".join(map(quoted.get, arguments, arguments))
    return f" {joined}" if arguments and arguments[0] in quoted else joined


def arguments_text(data: bytes) -> str:
    """The kernel's argument area (each argument ended by a zero byte) without argv[0]."""
    _, _, rest = data.partition(b"\0")
    if not rest:
        return ""
    if rest.endswith(b"\0"):
        rest = rest[:-1]
    if len(rest) >= _LONG:
        try:
            return to_text(_join(rest))
        except NativeCodeError:
            pass
    text = to_text(rest)
    if " " in text or not text:
        return join_arguments(text.split("\0"))
    # Only empty arguments are quoted. Two passes, since each takes every other one of a row.
    if "\0\0" in text:
        text = text.replace("\0\0", '\0""\0').replace("\0\0", '\0""\0')
    if text[0] == "\0":
        text = f' ""{text}'
    if text[-1] == "\0":
        text += '""'
    return text.replace("\0", " ")


def command_line_text(data: bytes) -> str:
    """The arguments of `/proc/PID/cmdline` without argv[0], which a process may have overwritten
    with a title.

    Zero bytes are then all that follows the title: no arguments.
    """
    _, _, rest = data.partition(b"\0")
    return arguments_text(data) if rest.strip(b"\0") else ""


def absolute_path(path: str, cwd: str) -> str:
    """`path` seen from `cwd`, joined as text: symbolic links are not followed."""
    if path.startswith("/"):
        return path
    if not path and not cwd:
        return ""
    joined = normpath(f"{cwd}/{path}" if cwd else path)
    return joined[1:] if joined.startswith("//") else joined


def _time_formatter() -> Callable[[int], str]:
    last, text = -1, ""  # an event tells a time twice
    last_second, prefix = -1, ""

    def rfc3339(at: int) -> str:
        nonlocal last, text, last_second, prefix
        if at == last:
            return text
        second, fraction = divmod(at, _SECOND)
        if second != last_second:
            prefix = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
            last_second = second
        if not fraction:
            text = prefix + "Z"
        else:
            digits = str(_SECOND + fraction)  # faster than a width for the number
            if fraction % 1000:
                text = f"{prefix}.{digits[1:]}Z"
            else:
                text = f"{prefix}.{digits[1:7] if digits[4:7] != '000' else digits[1:4]}Z"
        last = at
        return text

    return rfc3339


rfc3339 = _time_formatter()
"""Ns since 1970 -> `2026-01-01T00:00:00.123456789Z`, with 0, 3, 6 or 9 digits, as protojson."""
