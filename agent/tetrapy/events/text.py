"""Bytes of the kernel -> text of an event (rules: Tetragon's events, `Process`)."""

from __future__ import annotations

from posixpath import normpath
from typing import List, TypeVar

_MARK = "\ufffd"
_REAL_MARK = _MARK.encode()
_ESCAPE = "\x1a"  # rare, so that escaping it copies little

# What a byte can be: ASCII as it is, the first of several (fe), and what is no beginning (ff).
_LEAD, _STRAY = b"\xfe", b"\xff"
_ROLES = bytes(range(128)) + _STRAY * 66 + _LEAD * 51 + _STRAY * 11

# A process chooses these bytes, 256 KiB of them. So every step here is one pass in C over all of
# them; a call for each run, which a regular expression would make, costs thirty times as much.
_Runs = TypeVar("_Runs", bytes, str)


def to_text(data: bytes) -> str:
    """UTF-8, each run of invalid bytes replaced by one U+FFFD (as Go's strings.ToValidUTF8)."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        pass
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


def join_arguments(arguments: List[str]) -> str:
    """Arguments as one string; one that has a space is quoted and always follows a space."""
    joined = ""
    for argument in arguments:
        if " " in argument:
            joined += ' "' + argument + '"'
        elif joined:
            joined += " " + argument
        else:
            joined = argument
    return joined


def arguments_text(data: bytes, cwd_follows: bool) -> str:
    """The kernel's argument area (each argument ended by a zero byte) without argv[0].

    Tetragon appends the working directory to the arguments before it cuts off zero bytes at the
    end; so empty arguments at the end survive only when a working directory follows.
    """
    _, _, rest = data.partition(b"\0")
    if not rest:
        return ""
    if rest.endswith(b"\0"):
        rest = rest[:-1]
    if not cwd_follows:
        rest = rest.rstrip(b"\0")
    text = to_text(rest)
    if " " in text:
        return join_arguments(text.split("\0"))
    # Without quoting only leading empty arguments are special: they vanish.
    return text.lstrip("\0").replace("\0", " ")


def absolute_path(path: str, cwd: str) -> str:
    """`path` seen from `cwd`, joined as text: symbolic links are not followed."""
    if path.startswith("/"):
        return path
    if not path and not cwd:
        return ""
    joined = normpath(f"{cwd}/{path}" if cwd else path)
    return joined[1:] if joined.startswith("//") else joined
