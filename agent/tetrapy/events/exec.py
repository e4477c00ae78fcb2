"""process_exec: a process began to run an image (Tetragon's message `ProcessExec`)."""

from __future__ import annotations

from typing import Optional

from tetrapy.events.process import Process


class ProcessExec:
    """`process` runs since `process.ktime`; `parent` is unset when it is not known."""

    __slots__ = ("parent", "process")
    name = "process_exec"

    def __init__(self, process: Process, parent: Optional[Process]) -> None:
        self.process = process
        self.parent = parent
