"""process_exit: the last thread of a process is gone (Tetragon's message `ProcessExit`)."""

from __future__ import annotations

import signal
from typing import Optional, Tuple

from tetrapy.events.kinds import PROCESS_EXIT
from tetrapy.events.process import Process

_CORE_DUMPED = 0x80
_NAMES = {number.value: number.name for number in signal.Signals}
_NAMES.setdefault(16, "SIGSTKFLT")  # unknown to Python before 3.11


class ProcessExit:
    """`code` is what wait(2) reports; `time` is formatted.

    `ancestors`, from the parent outwards, are empty unless the settings ask for them.
    """

    __slots__ = ("ancestors", "code", "parent", "process", "time")
    name = "process_exit"
    type = PROCESS_EXIT

    def __init__(
        self,
        process: Process,
        parent: Optional[Process],
        code: int,
        time: str,
        ancestors: Tuple[Process, ...] = (),
    ) -> None:
        self.process = process
        self.parent = parent
        self.code = code
        self.time = time
        self.ancestors = ancestors

    @property
    def status(self) -> int:
        """The exit status, 0 for a process that was killed."""
        return (self.code >> 8) & 0xFF

    @property
    def signal(self) -> str:
        """The name of the signal that ended the process; empty for none and for real-time ones."""
        number = self.code & 0xFF
        if number & _CORE_DUMPED:
            number &= 0x7F
        name = _NAMES.get(number, "")
        return "" if name.startswith("SIGRT") else name
