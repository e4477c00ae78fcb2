"""process_exit: the last thread of a process is gone (Tetragon's message `ProcessExit`)."""

from __future__ import annotations

import signal
from typing import Optional

from tetrapy.events.process import Process

_CORE_DUMPED = 0x80
_NAMES = {number.value: number.name for number in signal.Signals}
_NAMES.setdefault(16, "SIGSTKFLT")  # unknown to Python before 3.11


class ProcessExit:
    """`code` is what wait(2) reports; `time` is formatted."""

    __slots__ = ("code", "parent", "process", "time")
    name = "process_exit"

    def __init__(self, process: Process, parent: Optional[Process], code: int, time: str) -> None:
        self.process = process
        self.parent = parent
        self.code = code
        self.time = time

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
