# SPDX-License-Identifier: Apache-2.0
"""The JSON of processes, which is made once and kept for later lines."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tetrapy.events.process import Process

_KEPT = 8192  # bytes of a process that are kept for the next line; longer ones are encoded anew


def keep(process: Process) -> bytes:
    """The JSON of a process that has none yet; the process keeps it unless it is long."""
    body = process.encoded()
    if len(body) <= _KEPT:
        process.json = body
    return body


def caller_json(process: Process, tid: int) -> bytes:
    """The JSON of a process as events of calls show it: with the thread that called.

    Tetragon shows a copy of the process, and copies carry a reference.
    """
    body = process.caller_json
    if body is None:
        copy = process.copy()
        copy.refcnt = copy.refcnt or 1
        body = copy.encoded()
        if len(body) <= _KEPT:
            process.caller_json = body
    if tid == process.pid:
        return body
    # A text cannot have this: JSON escapes its quotes.
    return body.replace(b'"tid":%d' % process.pid, b'"tid":%d' % tid, 1)
