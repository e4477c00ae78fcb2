"""What the loop asks of a sensor: the base sensor on eBPF, or the process connector instead."""

from __future__ import annotations

import select
from typing import Any, Callable, Iterable, List, Mapping, Optional, Protocol, Sequence

from tetrapy.events.json import Event
from tetrapy.events.process import Process
from tetrapy.process.details import Details
from tetrapy.process.seed import Touched
from tetrapy.process.table import ProcessTable
from tetrapy.sensors.owners import Owner


class Handler(Protocol):
    """Makes events of a sensor's records, in their order, and keeps the process table."""

    starting: bool  # while records are handled that came before procfs was read

    @property
    def errors(self) -> int:
        """Records that made no sense."""

    def events(self, records: List[Any]) -> List[Event]:
        """The events that a batch of records makes."""

    def touched(self, records: List[Any]) -> Touched:
        """Which processes forked or executed, according to `records`."""

    def seed_event(self, process: Process) -> Event:
        """What is told of a process that was there before."""

    def seeded(self, processes: Iterable[Process]) -> None:
        """The table is filled; what records tell from now on is new."""

    def forget_filters(self) -> None:
        """The export filters are others now: the kernel must not decide for the former ones."""

    def refresh_clock(self) -> None:
        """Measure the distance between the clocks again."""

    def tick(self, now: int) -> List[Event]:
        """What is to be told because time has passed; `now` in ns since boot."""


class Sensor(Protocol):
    """What watches the kernel. What a record is, only it and its handler know."""

    @property
    def name(self) -> str:
        """ebpf or connector."""

    @property
    def blind(self) -> Sequence[str]:
        """What it cannot see, a few words each."""

    @property
    def settle_seconds(self) -> float:
        """How long after an event its record is certain to be drained in order."""

    def attach(self) -> None:
        """Start the flow of records."""

    def detach(self) -> None:
        """Stop it; records on their way can still be drained."""

    def register(self, epoll: select.epoll) -> None:
        """Have `epoll` woken when records wait."""

    def drain(self, limit: int, everything: bool = False) -> List[Any]:
        """A batch of at most `limit` records in order, bounded in bytes too.

        `everything` includes those still settling.
        """

    @property
    def more(self) -> bool:
        """Whether the last batch was as large as it may be, so that more may wait."""

    def ask_for_wakeup(self) -> bool:
        """Have the next record wake the reader; False when it is not told of records that wait."""

    def handler(
        self,
        table: ProcessTable,
        format_time: Callable[[int], str],
        details: Optional[Details],
    ) -> Handler:
        """Who understands its records; called once."""

    def losses(self) -> Mapping[str, int]:
        """Records lost so far, by kind."""

    def losses_by_owner(self) -> Mapping[Owner, int]:
        """Records that found no room since the last call, by uid and cgroup, as far as known."""

    def kept_back(self) -> Mapping[str, int]:
        """Events that the kernel did not send because nobody wants them, by type."""

    def forget_gone(self, is_there: Callable[[int], bool]) -> None:
        """Forget, on the kernel's side too, processes that are gone: their exit was missed."""

    def close(self) -> None:
        """Give everything back."""
