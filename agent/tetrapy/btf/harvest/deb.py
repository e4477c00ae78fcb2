# SPDX-License-Identifier: Apache-2.0
"""A reader of .deb packages: an `ar` archive of control.tar.* and data.tar.* (deb(5), ar(5))."""

from __future__ import annotations

from typing import Dict, Iterator, Optional, Tuple

from tetrapy.btf.harvest import limits, tar
from tetrapy.btf.harvest.compression import unpacked_reader
from tetrapy.btf.harvest.options import Readable, Unpackers
from tetrapy.btf.harvest.package import Package
from tetrapy.btf.harvest.stream import LimitedStream, Part
from tetrapy.errors import FormatError

MAGIC = b"!<arch>\ndebian-binary"
_AR_MAGIC = b"!<arch>\n"
_AR_HEADER = 60


def open_deb(file: Readable, unpackers: Unpackers) -> Package:
    """The package's fields, and its files as they are asked for.

    FormatError: no .deb, cut short, packed in an unknown way.
    """
    fields: Optional[Dict[str, str]] = None
    for name, part in members(file):
        if name.startswith("control.tar"):
            fields = _control(unpacked_reader(part, unpackers))
        elif name.startswith("data.tar") and fields is not None:
            return Package(
                "deb",
                fields.get("Package", ""),
                fields.get("Version", ""),
                fields.get("Architecture", ""),
                fields.get("Maintainer", ""),
                "",
                tar.entries(unpacked_reader(part, unpackers)),
            )
    raise FormatError("the .deb has no data.tar behind a control.tar")


def members(file: Readable) -> Iterator[Tuple[str, Part]]:
    """Names and contents of what is in the ar archive.

    A content must be read, if at all, before the next one is asked for.  FormatError: damaged.
    """
    stream = LimitedStream(file, limits.PACKAGE)
    if stream.up_to(len(_AR_MAGIC)) != _AR_MAGIC:
        raise FormatError("no .deb: it does not begin as an ar archive")
    while True:
        header = stream.up_to(_AR_HEADER)
        if not header:
            return
        if len(header) < _AR_HEADER or header[58:60] != b"`\n":
            raise FormatError(f"no ar header at byte {stream.position - len(header)} of the .deb")
        digits = header[48:58].strip(b" ")
        if not digits.isdigit():
            raise FormatError(f"an ar header of the .deb has {digits!r} for a size")
        size = int(digits)
        part = Part(stream, size)
        yield header[:16].decode("latin-1").rstrip(" /"), part
        stream.skip(part.left + size % 2, "an ar member")


def _control(file: Readable) -> Dict[str, str]:
    """The fields of the control file, without continued lines (deb-control(5))."""
    for entry in tar.entries(file, limits.CONTROL):
        if entry.path == "control":
            text = entry.content(limits.TAR_HEADER).decode("utf-8", "replace")
            lines = (line.partition(":") for line in text.splitlines() if line[:1] not in " \t")
            return {name: value.strip() for name, colon, value in lines if colon}
    raise FormatError("the .deb has no control file")
