# SPDX-License-Identifier: Apache-2.0
"""What all events have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Callable, Optional, Protocol, Tuple

from tetrapy.events.process import Process

if TYPE_CHECKING:
    from tetrapy.events.calls import Probe


class Undecided(Protocol):
    """Whether anybody wants an event, which its container decides."""

    def is_wanted(self) -> bool:
        """Whether the event is wanted, by what is known of its container now."""


class Event:
    """Something that happened. A class of events is called as its message in the schema."""

    __slots__: Tuple[str, ...] = ()

    name: str  # of its field in a line: process_exec
    type: str  # the same in capitals, as filters name it
    time: int  # when it happened, in ns since 1970
    encoded: Callable[..., bytes]
    """The line as JSON: see events/encoders.py."""

    # Of events that are about a process; the ancestors are those beyond the parent.
    process: Optional[Process] = None
    parent: Optional[Process] = None
    ancestors: Tuple[Process, ...] = ()

    probe: Optional[Probe] = None  # of events of policies

    undecided: Optional[Undecided] = None  # who is asked when its process's container is known

    def own_sizes(self) -> Tuple[int, ...]:
        """The bytes of JSON of each text that the process chose and that is not in `process`."""
        return ()

    def of(self, process: Process, most: Optional[int] = None) -> Event:
        """The same event, of `process`; of events that are about one.

        Each of the texts that `own_sizes` counts is cut to `most` bytes.
        """
        raise NotImplementedError
