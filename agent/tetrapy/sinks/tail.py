# SPDX-License-Identifier: Apache-2.0
"""The end of a file that an agent left behind: a line that was cut short is taken away.

A kill or a power loss may end a file within a line. The rest of that line is gone, so no reader
could ever parse it, and many stop at it (jq does). It is cut off, although a program that follows
the file may have read it already: such programs wait for the line feed before they use a line.
"""

from __future__ import annotations

import os

from tetrapy.json_codec import loads

_BLOCK = 1 << 16
_FARTHEST = 64 << 20  # no line of ours is longer


def mend(fd: int, size: int) -> int:
    """Have the file end with a line feed; returns its size then. Raises OSError.

    What looks like the beginning of an event is cut off, a block of zeros too (which file systems
    leave after a power loss); behind a complete or a foreign line the line feed is added.
    """
    start = _last_line(fd, size)
    if size - start <= _FARTHEST:
        last = os.pread(fd, size - start, start)
        if _is_torn(last):
            try:
                os.ftruncate(fd, start)
                return start
            except PermissionError:
                pass  # an append-only file
    os.write(fd, b"\n")
    return size + 1


def _last_line(fd: int, size: int) -> int:
    """Where the line at the end begins."""
    end = size
    while end > 0 and size - end <= _FARTHEST:
        begin = max(0, end - _BLOCK)
        feed = os.pread(fd, end - begin, begin).rfind(b"\n")
        if feed >= 0:
            return begin + feed + 1
        end = begin
    return end


def _is_torn(last: bytes) -> bool:
    text = last.strip(b"\0")
    if not text.startswith(b'{"'):
        return b'{"'.startswith(text)
    try:
        loads(text)
    except ValueError:
        return True
    return text != last
