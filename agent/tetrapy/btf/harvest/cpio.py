# SPDX-License-Identifier: Apache-2.0
"""A reader of cpio streams in the "new ASCII" format, the payload of .rpm packages.

Format: Documentation/driver-api/early-userspace/buffer-format.rst of the kernel.
"""

from __future__ import annotations

from typing import Iterator

from tetrapy.btf.harvest import limits
from tetrapy.btf.harvest.options import Readable
from tetrapy.btf.harvest.stream import Entry, LimitedStream, clean_path
from tetrapy.errors import FormatError

_MAGICS = (b"070701", b"070702")
_STRIPPED = b"07070X"
_HEADER = 110
_MODE, _SIZE, _NAME_SIZE = 1, 6, 11
_REGULAR, _KIND = 0o100000, 0o170000
_MAX_NAME = 4096
_END = "TRAILER!!!"


def entries(file: Readable, limit: int = limits.PACKAGE) -> Iterator[Entry]:
    """The regular files in the archive's order; content that is not read is skipped.

    FormatError: no cpio, cut short, more than `limit` bytes.
    """
    stream = LimitedStream(file, limit)
    while True:
        header = stream.take(_HEADER, "a cpio header")
        if header[:6] == _STRIPPED:
            raise FormatError("the payload has files of 4 GiB and more, which are not read here")
        if header[:6] not in _MAGICS:
            raise FormatError(f"no cpio header at byte {stream.position - _HEADER} of the payload")
        fields = [_hexadecimal(header[at : at + 8]) for at in range(6, _HEADER, 8)]
        mode, size, name_size = fields[_MODE], fields[_SIZE], fields[_NAME_SIZE]
        if not 0 < name_size <= _MAX_NAME:
            raise FormatError(f"a cpio header with a name of {name_size} bytes")
        name = stream.take(name_size, "a name").rstrip(b"\0").decode("utf-8", "surrogateescape")
        stream.align(4)
        if name == _END:
            return
        start = stream.position
        # Of several names of one file (hard links) the last one carries the content.
        if mode & _KIND == _REGULAR and size:
            yield Entry(clean_path(name), size, stream)
        stream.skip(start + size - stream.position, name)
        stream.align(4)


def _hexadecimal(field: bytes) -> int:
    if field.strip(b"0123456789abcdefABCDEF"):
        raise FormatError(f"a cpio header has {field!r} for a number")
    return int(field, 16)
