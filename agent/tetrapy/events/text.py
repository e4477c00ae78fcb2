"""Bytes of the kernel -> text of an event (rules: Tetragon's events, `Process`)."""

from __future__ import annotations

import re
from posixpath import normpath
from typing import List

_INVALID_RUN = re.compile("[\udc80-\udcff]+")


def to_text(data: bytes) -> str:
    """UTF-8, each run of invalid bytes replaced by one U+FFFD (as Go's strings.ToValidUTF8)."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return _INVALID_RUN.sub("\ufffd", data.decode("utf-8", "surrogateescape"))


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
