# SPDX-License-Identifier: Apache-2.0
"""Format files of tracepoints, which name the fields of a record.

That of a tracepoint is events/SUBSYSTEM/EVENT/format in tracefs.
"""

from __future__ import annotations

import re
from typing import Tuple

from tetrapy.errors import FormatError
from tetrapy.named import NamedTuple

MAX_FORMAT = 1 << 18
"""Bytes of a format file; the largest of a kernel has some thousands."""
_MAX_FIELDS = 1024
_MAX_OFFSET = 1 << 16  # bytes; a record is at most a page

_ID = r"ID:\s*(\d{1,9})\Z"
# What stands behind the type may be an array: `char comm[16]`, `__data_loc char[] name`.
_FIELD = (
    r"\s*field:(?P<declaration>[^;]+);\s*offset:(?P<offset>\d{1,9});\s*size:(?P<size>\d{1,9});"
    r"(?:\s*signed:(?P<signed>[01]);)?\s*\Z"
)
_DECLARATION = r"(?P<type>.*?)\s*(?P<name>\w+)\s*(?P<array>(?:\[[^\]]*\]\s*)*)\Z"


class Field(NamedTuple):
    """A field of a tracepoint's record."""

    name: str
    type: str  # in C
    offset: int
    size: int
    is_signed: bool


class TracepointFormat(NamedTuple):
    """A tracepoint's number for perf_event_open(2), and its fields, the common ones first."""

    id: int
    fields: Tuple[Field, ...]


def parse_format(text: str) -> TracepointFormat:
    """The contents of a format file. Raises FormatError for what is none."""
    number = None
    fields = []
    for line in text.splitlines():
        if line.startswith("print fmt:"):
            break  # what follows may go over several lines
        found = re.match(_ID, line, re.ASCII)
        if found:
            number = int(found.group(1))
        elif line.lstrip().startswith("field:"):
            fields.append(_field(line))
            if len(fields) > _MAX_FIELDS:
                raise FormatError(f"a tracepoint has more than {_MAX_FIELDS} fields")
    if number is None:
        raise FormatError("no format of a tracepoint: no ID in it")
    return TracepointFormat(number, tuple(fields))


def _field(line: str) -> Field:
    found = re.match(_FIELD, line, re.ASCII)
    declared = found and re.match(_DECLARATION, found["declaration"].strip(), re.ASCII)
    if found is None or declared is None:
        raise FormatError(f"no field of a tracepoint: {line.strip()[:100]!r}")
    offset, size = int(found.group("offset")), int(found.group("size"))
    if offset + size > _MAX_OFFSET:
        raise FormatError(f"field {declared.group('name')} ends at byte {offset + size}")
    kind = declared.group("type") + declared.group("array").replace(" ", "")
    # Kernels before 3.0 have no sign; those types that have none say so.
    return Field(declared.group("name"), kind, offset, size, found.group("signed") == "1")
