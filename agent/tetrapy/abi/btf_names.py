# SPDX-License-Identifier: Apache-2.0
"""The string section of BTF: names by offset, and offsets by name.

BTF refers to names by offset.  A writer may let one name end another ("struct" in "mystruct"), so a
name can have several offsets, and not all start behind a zero byte.
"""

from __future__ import annotations

from typing import Dict, Iterator, Optional

from tetrapy.errors import BtfError

# The kernel refuses longer names of types and members (KSYM_NAME_LEN).
_MAX_NAME = 512


class Names:
    """Zero-terminated names; those of split BTF go on where the names of its base end."""

    def __init__(self, data: bytes, base: Optional[Names] = None) -> None:
        self._data = data
        self._base = base
        self._first = base.end if base else 0
        self.end: int = self._first + len(data)
        self._known: Dict[int, str] = {0: ""}

    def at(self, offset: int) -> str:
        """The name at an offset. Raises BtfError when there is none."""
        name = self._known.get(offset)
        if name is None:
            if offset < self._first and self._base:
                return self._base.at(offset)
            start = offset - self._first
            if start >= len(self._data):
                raise BtfError(f"name offset {offset} is past {self.end} bytes of names")
            end = self._data.find(b"\0", start, start + _MAX_NAME)
            if end < 0:
                raise BtfError(f"the name at offset {offset} has {_MAX_NAME} or more bytes")
            name = self._data[start:end].decode("utf-8", "backslashreplace")
            self._known[offset] = name
        return name

    def forget(self) -> None:
        """Give back the names that were asked for."""
        self._known = {0: ""}

    def offsets(self, name: str) -> Iterator[int]:
        """Every offset at which this name stands."""
        if self._base:
            yield from self._base.offsets(name)
        yield from self._occurrences(name.encode("utf-8", "surrogateescape") + b"\0")

    def flavour_offsets(self, name: str) -> Iterator[int]:
        """The offsets of names that are this one, three underscores, and something else."""
        if self._base:
            yield from self._base.flavour_offsets(name)
        start = name.encode("utf-8", "surrogateescape") + b"___"
        for offset in self._occurrences(start):
            end = offset - self._first + len(start)
            if self._data[end : end + 1] not in b"\0_":
                yield offset

    def _occurrences(self, wanted: bytes) -> Iterator[int]:
        at = self._data.find(wanted)
        while at >= 0:
            yield self._first + at
            at = self._data.find(wanted, at + 1)
