# SPDX-License-Identifier: Apache-2.0
"""Reading a file from its beginning to its end, a piece at a time, with a limit."""

from __future__ import annotations

from typing import BinaryIO

from tetrapy.btf.harvest.options import Readable
from tetrapy.errors import FormatError
from tetrapy.named import NamedTuple

_CHUNK = 1 << 20


class Part:
    """The next `size` bytes of an open file, as a file of its own."""

    def __init__(self, file: Readable, size: int) -> None:
        self._file = file
        self.left = size

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end of the part or of the file."""
        data = self._file.read(min(size, self.left))
        self.left -= len(data)
        return data


class LimitedStream:
    """A reader of exact sizes that gives up after `limit` bytes.

    FormatError: the file ends inside what is asked for (`what` names it), or goes on too long.
    """

    def __init__(self, file: Readable, limit: int) -> None:
        self._file = file
        self._limit = limit
        self.position = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes, none at the end."""
        data = self._file.read(size)
        self.position += len(data)
        if self.position > self._limit:
            raise FormatError(f"unpacks to more than {self._limit >> 20} MiB")
        return data

    def up_to(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end."""
        data = self.read(size)
        if len(data) == size or not data:
            return data
        parts = [data]
        left = size - len(data)
        while left:
            data = self.read(min(left, _CHUNK))
            if not data:
                break
            parts.append(data)
            left -= len(data)
        return b"".join(parts)

    def take(self, size: int, what: str) -> bytes:
        """Exactly `size` bytes, which the caller has compared with a limit."""
        data = self.up_to(size)
        if len(data) != size:
            raise FormatError(f"ends inside {what}: {len(data)} of {size} bytes are there")
        return data

    def skip(self, size: int, what: str) -> None:
        """Go on by `size` bytes."""
        while size:
            data = self.read(min(size, _CHUNK))
            if not data:
                raise FormatError(f"ends inside {what}: {size} bytes are missing")
            size -= len(data)

    def align(self, boundary: int) -> None:
        """Go on to the next multiple of `boundary`; the file may end there."""
        self.up_to(-self.position % boundary)


class Entry(NamedTuple):
    """A regular file of an archive: its path without leading "/" or "./", `size` bytes on `stream`.

    The path is what the archive says, and may hold anything.
    """

    path: str
    size: int
    stream: LimitedStream

    def content(self, limit: int) -> bytes:
        """The file's bytes; FormatError for more than `limit`."""
        self._check(limit)
        return self.stream.take(self.size, self.path)

    def copy_to(self, file: BinaryIO, limit: int) -> None:
        """Write the file's bytes to an open one; errors as `content`."""
        self._check(limit)
        left = self.size
        while left:
            data = self.stream.take(min(left, _CHUNK), self.path)
            file.write(data)
            left -= len(data)

    def _check(self, limit: int) -> None:
        if self.size > limit:
            raise FormatError(f"{self.path} has {self.size >> 20} MiB, the limit is {limit >> 20}")


def clean_path(path: str) -> str:
    """A path of an archive without what its maker put in front: "./", "/"."""
    while path.startswith(("/", "./")):
        path = path[path.index("/") + 1 :]
    return path
