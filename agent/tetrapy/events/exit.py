# SPDX-License-Identifier: Apache-2.0
"""process_exit: the last thread of a process is gone (Tetragon's message `ProcessExit`)."""

from __future__ import annotations

import signal
from typing import Optional, Tuple

from tetrapy.events import encoders
from tetrapy.events.event import Event
from tetrapy.events.process import Process

_SIGRTMIN = 34  # what programs call so: libc keeps the kernel's first two for itself
_SIGRTMAX = 64
_NAMES = {number.value: number.name for number in signal.Signals if number < 32}
_NAMES.setdefault(16, "SIGSTKFLT")  # unknown to Python before 3.11
_NAMES[_SIGRTMIN] = "SIGRTMIN"
for _number in range(_SIGRTMIN + 1, _SIGRTMAX + 1):
    _NAMES[_number] = f"SIGRTMIN+{_number - _SIGRTMIN}"


class ProcessExit(Event):
    """`code` is what wait(2) reports; `time` in ns since 1970.

    `ancestors`, from the grandparent outwards, are empty unless the settings ask for them.
    """

    __slots__ = ("ancestors", "code", "parent", "process", "signal", "status", "time")
    name = "process_exit"
    type = "PROCESS_EXIT"
    encoded = encoders.process_exit
    process: Process

    def __init__(
        self,
        process: Process,
        parent: Optional[Process],
        code: int,
        time: int,
        ancestors: Tuple[Process, ...] = (),
    ) -> None:
        self.process = process
        self.parent = parent
        self.code = code
        self.time = time
        self.ancestors = ancestors
        self.signal = ""  # that ended the process; empty for one that ended by itself
        self.status = 0  # of the exit; 0 for a process that was killed
        if code:
            self.signal = _signal(code)
            self.status = (code >> 8) & 0xFF

    def of(self, process: Process, most: Optional[int] = None) -> ProcessExit:
        """The same event, of `process`."""
        return ProcessExit(process, self.parent, self.code, self.time, self.ancestors)


def _signal(code: int) -> str:
    """The signal that ended a process.

    Tetragon leaves out real-time signals. A number without a name is `SIG32`, as debuggers write
    it; what is no end by wait(2)'s rules, as kernel threads may leave, is `code 0x7f`.
    """
    number = code & 0x7F  # the bit above says that a core was dumped
    if code > 0xFFFF or number == 0x7F or code & 0xFF == 0x80:
        return f"code {code:#x}"
    return (_NAMES.get(number) or f"SIG{number}") if number else ""
