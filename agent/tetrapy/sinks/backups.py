# SPDX-License-Identifier: Apache-2.0
"""Names of rotated files: `tetrapy.log` becomes `tetrapy-2006-01-02T15-04-05.000.log`, in UTC."""

from __future__ import annotations

import os
import time

COMPRESSED = ".gz"
UNFINISHED = ".gz.tmp"
# The stamp as a regular expression.
STAMP = (
    "[0-9]{4}-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])"
    r"T(?:[01][0-9]|2[0-3])-[0-5][0-9]-[0-5][0-9]\.[0-9]{3}"
)
STAMP_LENGTH = len("2006-01-02T15-04-05.000")
_LAST = 253402300799_999  # milliseconds since the epoch; the end of the year 9999


def stamp_of(milliseconds: int) -> str:
    """The stamp of a time since the epoch; later ones sort behind earlier ones."""
    # File systems may say anything.
    seconds, rest = divmod(min(max(milliseconds, 0), _LAST), 1000)
    return f"{time.strftime('%Y-%m-%dT%H-%M-%S', time.gmtime(seconds))}.{rest:03}"


class BackupNames:
    """Makes a name for each rotation; a later one sorts behind an earlier one."""

    def __init__(self) -> None:
        self._last = 0  # milliseconds since the epoch

    def make(self, path: str) -> str:
        """A path that no file has, nor its compressed form."""
        stem, extension = os.path.splitext(path)
        # The clock may have been set back, and two rotations may fall into one millisecond.
        stamp = max(time.time_ns() // 1_000_000, self._last + 1)
        while True:
            name = f"{stem}-{stamp_of(stamp)}{extension}"
            if not os.path.lexists(name) and not os.path.lexists(name + COMPRESSED):
                self._last = stamp
                return name
            stamp += 1
