# SPDX-License-Identifier: Apache-2.0
"""Where events come from: the records of the base sensor on eBPF, or of the process connector.

What is loaded into the kernel is another matter (`sensors.sensor`): many sensors may write into the
buffer of one source.
"""

from __future__ import annotations

import select
from typing import (
    Any,
    Callable,
    Iterable,
    List,
    Mapping,
    Optional,
    Protocol,
    Sequence,
    Tuple,
)

from tetrapy.containers.cgroup import ContainerRef
from tetrapy.events.container import Membership
from tetrapy.events.decoder import EventAbi
from tetrapy.events.event import Event
from tetrapy.events.process import Process
from tetrapy.kernel.clock import WallClock
from tetrapy.kernel.programs import ProgramInfo
from tetrapy.process.details import Details
from tetrapy.process.seed import Touched
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.dispatch import Dispatcher
from tetrapy.sensors.executables import Executables
from tetrapy.sensors.owners import Owner
from tetrapy.sensors.reassembly import Reassembly
from tetrapy.sensors.throttle import CgroupRates


class Handler(Protocol):
    """Makes events of a source's records, in their order, and keeps the process table."""

    starting: bool  # while records are handled that came before procfs was read

    @property
    def dispatcher(self) -> Optional[Dispatcher]:
        """The handlers by kind of record; None where records are not distinguished by kinds."""

    @property
    def reassembly(self) -> Optional[Reassembly]:
        """Long arguments that came ahead of their exec; None where none do."""

    @property
    def errors(self) -> int:
        """Records that made no sense."""

    def events(self, records: List[Any]) -> List[Event]:
        """The events that a batch of records makes."""

    def touched(self, records: List[Any]) -> Touched:
        """Which processes forked or executed, according to `records`."""

    def seed_event(self, process: Process) -> Event:
        """What is reported of a process that was there before."""

    def seeded(self, processes: Iterable[Process]) -> None:
        """The table is filled; what records tell from now on is new."""

    def forget_filters(self) -> None:
        """The export filters are others now: the kernel must not decide for the former ones."""

    def refresh_clock(self) -> None:
        """Measure the distance between the clocks again."""

    def tick(self, now: int) -> List[Event]:
        """What is to be reported because time has passed; `now` in ns since boot."""

    def ended(self) -> List[Event]:
        """No record comes any more: what is to be reported that waited for one."""


class EventSource:
    """Records in batches. What a record is, only the source and its handler know.

    What only some sources have is empty here.
    """

    name = ""  # ebpf or connector
    blind: Sequence[str] = ()  # what it cannot see, a few words each
    abi: Optional[EventAbi] = None  # of its records, where they come from a BPF object
    rates: Optional[CgroupRates] = None  # when rates of cgroups are limited
    executables: Optional[Executables] = None  # where the kernel can be asked about them

    @property
    def lost_in_socket(self) -> int:
        """Messages that a socket dropped."""
        return 0

    @property
    def owner_totals(self) -> Mapping[Owner, int]:
        """What `losses_by_owner` gave so far, of those that lost most."""
        return {}

    @property
    def settle_seconds(self) -> float:
        """How long after an event its record is certain to be drained in order."""
        return 0.0

    def attach(self) -> None:
        """Start the flow of records."""
        raise NotImplementedError

    def detach(self) -> None:
        """Stop it; records on their way can still be drained."""
        raise NotImplementedError

    def register(self, epoll: select.epoll) -> None:
        """Have `epoll` woken when records wait."""
        raise NotImplementedError

    def drain(self, limit: int, everything: bool = False) -> List[Any]:
        """At most `limit` records in order; `everything` includes those still settling."""
        raise NotImplementedError

    @property
    def more(self) -> bool:
        """Whether the last batch was as large as it may be, so that more may wait."""
        raise NotImplementedError

    def ask_for_wakeup(self) -> bool:
        """Have the next record wake the reader; False when it is not woken by records that wait."""
        raise NotImplementedError

    def handler(
        self,
        table: ProcessTable,
        clock: WallClock,
        details: Optional[Details],
    ) -> Handler:
        """Who understands its records; called once."""
        raise NotImplementedError

    def losses(self) -> Mapping[str, int]:
        """Records lost so far, by kind."""
        raise NotImplementedError

    def buffer_losses(self) -> Mapping[str, int]:
        """Those of them that found no room in a BPF buffer."""
        return {}

    def losses_by_owner(self) -> Mapping[Owner, int]:
        """Records that found no room since the last call, by uid and cgroup, as far as known."""
        return {}

    def suppressed(self) -> Mapping[str, int]:
        """Events that the kernel did not send because nobody wants them, by type."""
        return {}

    def programs(self) -> Mapping[str, ProgramInfo]:
        """What the kernel tells of the BPF program for each kind of records."""
        return {}

    def process_map(self) -> Optional[Tuple[int, int, int]]:
        """Processes that the kernel side remembers, that it can, and for which it had no room.

        None when it remembers none.
        """
        return None

    def forget_gone(self, is_there: Callable[[int], bool]) -> None:
        """Forget, on the kernel's side too, processes that are gone: their exit was missed."""

    def forget_threads(self, is_there: Callable[[int], bool]) -> None:
        """Forget, on the kernel's side, what policies keep of threads that are gone."""

    def containers_changed(self, changed: Sequence[Tuple[ContainerRef, Membership]]) -> None:
        """Something else is known of containers now."""

    def close(self) -> None:
        """Give everything back."""
        raise NotImplementedError
