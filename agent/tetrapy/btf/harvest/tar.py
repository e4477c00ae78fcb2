# SPDX-License-Identifier: Apache-2.0
"""A reader of tar streams: regular files only, with bounded memory.

Python's tarfile reads extended headers whole, however large they say that they are. The format is
POSIX.1-2017, pax, "ustar Interchange Format", with GNU's long names and base-256 sizes (tar(5)).
"""

from __future__ import annotations

from typing import Dict, Iterator, Tuple

from tetrapy.btf.harvest import limits
from tetrapy.btf.harvest.options import Readable
from tetrapy.btf.harvest.stream import Entry, LimitedStream, clean_path
from tetrapy.errors import FormatError

_BLOCK = 512
_REGULAR = (b"0", b"\0", b"7")
_LONG_NAME = b"L"
_EXTENDED = b"x"
# Whose data follows the header too: GNU's long link names, and headers for all that follows.
_OTHER_DATA = (b"K", b"g")


def is_tar(head: bytes) -> bool:
    """Whether the first 512 bytes of a file are a tar header."""
    return head[257:262] == b"ustar"


def entries(file: Readable, limit: int = limits.PACKAGE) -> Iterator[Entry]:
    """The regular files in the archive's order; content that is not read is skipped.

    FormatError: no tar, a wrong checksum, cut short, more than `limit` bytes.
    """
    stream = LimitedStream(file, limit)
    extended: Dict[str, str] = {}
    while True:
        block = stream.up_to(_BLOCK)
        if not block.strip(b"\0"):
            return
        if len(block) < _BLOCK:
            raise FormatError(f"the tar ends inside a header, after {stream.position} bytes")
        _check_sum(block, stream.position - _BLOCK)
        kind = block[156:157]
        size = _number(block[124:136])
        if kind in (_LONG_NAME, _EXTENDED):
            data = _metadata(stream, size)
            if kind == _LONG_NAME:
                extended["path"] = _text(data)
            else:
                extended.update(_records(data))
        else:
            if kind in _REGULAR:
                size = int(extended.get("size", size))
                entry = Entry(clean_path(extended.get("path") or _name(block)), size, stream)
                start = stream.position
                yield entry
                stream.skip(start + size - stream.position, entry.path)
            elif kind in _OTHER_DATA:
                stream.skip(size, "a header")
            if kind not in _OTHER_DATA:
                extended = {}
        stream.align(_BLOCK)


def _metadata(stream: LimitedStream, size: int) -> bytes:
    if size > limits.TAR_HEADER:
        raise FormatError(f"a tar header of {size} bytes")
    return stream.take(size, "a tar header")


def _check_sum(block: bytes, position: int) -> None:
    stated = _number(block[148:156])
    if stated != sum(block) - sum(block[148:156]) + 8 * ord(" "):
        raise FormatError(f"no tar header at byte {position}: its checksum is wrong")


def _number(field: bytes) -> int:
    if field[0] & 0x80:
        return int.from_bytes(field, "big") & ~(0x80 << 8 * (len(field) - 1))
    digits = field.strip(b" \0")
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        raise FormatError(f"a tar header has {digits!r} for a number")
    return int(digits, 8)


def _name(block: bytes) -> str:
    name, prefix = _text(block[:100]), _text(block[345:500])
    # GNU's own format (magic "ustar  ") keeps other things where ustar has the prefix.
    return f"{prefix}/{name}" if prefix and block[257:263] == b"ustar\0" else name


def _text(data: bytes) -> str:
    return data.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _records(data: bytes) -> Iterator[Tuple[str, str]]:
    """`path` and `size` of a pax header, whose records are "LENGTH NAME=VALUE" and a newline."""
    while data:
        length, space, _rest = data.partition(b" ")
        size = int(length) if space and length.isdigit() and len(length) < 9 else 0
        if not len(length) + 1 < size <= len(data):
            raise FormatError("a tar header has a damaged record")
        record, data = data[len(length) + 1 : size - 1], data[size:]
        name, _equals, value = record.partition(b"=")
        if name == b"path":
            yield "path", _text(value)
        elif name == b"size" and value.isdigit() and len(value) < 20:
            yield "size", value.decode()
