# SPDX-License-Identifier: Apache-2.0
"""process_exec: a process began to run an image (Tetragon's message `ProcessExec`)."""

from __future__ import annotations

from typing import Optional, Tuple

from tetrapy.events.kinds import PROCESS_EXEC
from tetrapy.events.process import Process


class ProcessExec:
    """`process` runs since `process.ktime`; `parent` is unset when it is not known.

    `ancestors`, from the grandparent outwards, are empty unless the settings ask for them.
    """

    __slots__ = ("ancestors", "parent", "process")
    name = "process_exec"
    type = PROCESS_EXEC

    def __init__(
        self, process: Process, parent: Optional[Process], ancestors: Tuple[Process, ...] = ()
    ) -> None:
        self.process = process
        self.parent = parent
        self.ancestors = ancestors

    @property
    def time(self) -> str:
        """When it happened, formatted."""
        return self.process.start_time
