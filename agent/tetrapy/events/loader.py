# SPDX-License-Identifier: Apache-2.0
"""process_loader: a program or library was mapped (Tetragon's message `ProcessLoader`)."""

from __future__ import annotations

from typing import Optional, Tuple

from tetrapy.events import encoders
from tetrapy.events.event import Event
from tetrapy.events.process import Process


class ProcessLoader(Event):
    """`path` was mapped by the thread `tid` of `process`; its `buildid` is in bytes."""

    __slots__ = ("ancestors", "buildid", "parent", "path", "process", "tid", "time")
    name = "process_loader"
    type = "PROCESS_LOADER"
    encoded = encoders.process_loader
    process: Process

    def __init__(
        self,
        process: Process,
        tid: int,
        parent: Optional[Process],
        time: int,
        path: str,
        buildid: bytes,
        ancestors: Tuple[Process, ...] = (),
    ) -> None:
        self.process = process
        self.tid = tid
        self.parent = parent
        self.time = time
        self.path = path
        self.buildid = buildid
        self.ancestors = ancestors

    def of(self, process: Process, most: Optional[int] = None) -> ProcessLoader:
        """The same event, of `process`; its path is never long."""
        return ProcessLoader(
            process, self.tid, self.parent, self.time, self.path, self.buildid, self.ancestors
        )
