# SPDX-License-Identifier: Apache-2.0
"""A reader of .rpm packages: lead, signature header, header, and a payload in cpio.

Format: rpm's docs/manual/format_v4.md and format_header.md; numbers are big-endian.
"""

from __future__ import annotations

from struct import Struct
from typing import Dict, Tuple

from tetrapy.btf.harvest import cpio, limits
from tetrapy.btf.harvest.compression import unpacked_reader
from tetrapy.btf.harvest.options import Readable, Unpackers
from tetrapy.btf.harvest.package import Package
from tetrapy.btf.harvest.stream import LimitedStream
from tetrapy.errors import FormatError

MAGIC = b"\xed\xab\xee\xdb"
_LEAD = 96
_HEADER = Struct(">3sB4xII")
_HEADER_MAGIC = b"\x8e\xad\xe8"
_INDEX = Struct(">IIII")
# STRING, STRING_ARRAY (the first is taken), I18NSTRING.
_STRINGS = (6, 8, 9)
_MAX_TEXT = 4096

_NAME, _VERSION, _RELEASE, _DISTRIBUTION, _VENDOR, _ARCH = 1000, 1001, 1002, 1010, 1011, 1022
_FORMAT = 1124  # PAYLOADFORMAT
_TEXTS = (_NAME, _VERSION, _RELEASE, _DISTRIBUTION, _VENDOR, _ARCH, _FORMAT)


def open_rpm(file: Readable, unpackers: Unpackers) -> Package:
    """The package's fields, and its files as they are asked for.

    FormatError: no .rpm, cut short, packed in an unknown way.
    """
    stream = LimitedStream(file, limits.PACKAGE)
    if stream.take(_LEAD, "the lead")[:4] != MAGIC:
        raise FormatError("no .rpm: it does not begin with an rpm's lead")
    _skip_signature(stream)
    tags = _header(stream)
    if tags.get(_FORMAT, "cpio") != "cpio":
        raise FormatError(f"the .rpm's payload is of the format {tags[_FORMAT]}, not cpio")
    return Package(
        "rpm",
        tags.get(_NAME, ""),
        "-".join(filter(None, (tags.get(_VERSION), tags.get(_RELEASE)))),
        tags.get(_ARCH, ""),
        tags.get(_VENDOR, ""),
        tags.get(_DISTRIBUTION, ""),
        cpio.entries(unpacked_reader(stream, unpackers)),
    )


def _sizes(stream: LimitedStream) -> Tuple[int, int]:
    magic, version, count, size = _HEADER.unpack(stream.take(_HEADER.size, "an rpm header"))
    if magic != _HEADER_MAGIC or version != 1:
        raise FormatError(f"no rpm header at byte {stream.position - _HEADER.size}")
    if count * _INDEX.size + size > limits.METADATA:
        raise FormatError(f"an rpm header of {count} tags and {size} bytes")
    return count * _INDEX.size, size


def _skip_signature(stream: LimitedStream) -> None:
    stream.skip(sum(_sizes(stream)), "the signature header")
    # The header behind it begins at a multiple of 8.
    stream.align(8)


def _header(stream: LimitedStream) -> Dict[int, str]:
    """The texts of the header by tag."""
    index_size, size = _sizes(stream)
    index = stream.take(index_size, "the header's index")
    store = stream.take(size, "the header")
    tags: Dict[int, str] = {}
    for tag, kind, offset, _count in _INDEX.iter_unpack(index):
        if tag in _TEXTS and tag not in tags and kind in _STRINGS:
            end = store.find(b"\0", offset, offset + _MAX_TEXT)
            if end < 0:
                raise FormatError(f"the rpm header's tag {tag} is damaged")
            tags[tag] = store[offset:end].decode("utf-8", "replace")
    return tags
