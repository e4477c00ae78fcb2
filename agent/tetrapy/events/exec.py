# SPDX-License-Identifier: Apache-2.0
"""process_exec: a process began to run an image (Tetragon's message `ProcessExec`)."""

from __future__ import annotations

from typing import Optional, Tuple

from tetrapy.events import encoders
from tetrapy.events.event import Event
from tetrapy.events.process import ExecutedProcess, Process


class ProcessExec(Event):
    """`process` runs since `process.ktime`; `parent` is unset when it is not known.

    `ancestors`, from the grandparent outwards, are empty unless the settings ask for them.
    """

    __slots__ = ("ancestors", "parent", "process", "shown", "time")
    name = "process_exec"
    type = "PROCESS_EXEC"
    encoded = encoders.process_exec
    process: Process

    def __init__(
        self, process: Process, parent: Optional[Process], ancestors: Tuple[Process, ...] = ()
    ) -> None:
        self.process = self.shown = process
        if process.executed is not None or process.binary_properties is not None:
            self.shown = _with_binary(process)
        self.parent = parent
        self.ancestors = ancestors
        self.time = process.start_time

    def of(self, process: Process, most: Optional[int] = None) -> ProcessExec:
        """The same event, of `process`."""
        return ProcessExec(process, self.parent, self.ancestors)


def _with_binary(process: Process) -> Process:
    """The process as its own exec shows it, which tells of its binary too.

    Tetragon shows a copy of a process with binary properties, and copies carry a reference.
    """
    if process.binary_properties is None and process.reported_file is None:
        return process
    copy = process.copy(ExecutedProcess)
    if process.binary_properties is not None:
        copy.refcnt = copy.refcnt or 1
    return copy
