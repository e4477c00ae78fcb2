# SPDX-License-Identifier: Apache-2.0
"""The export file (or stream) as a target: what its users may fill of it, and its refusals."""

from __future__ import annotations

from typing import Callable, List, Optional

from tetrapy.errors import ExportError
from tetrapy.events.event import Event
from tetrapy.export.shares import Shares
from tetrapy.sinks.sink import Sink


class SinkTarget:
    """Hands lines to a sink, those of users that have filled their share to the files beside it.

    A sink that refuses is logged once, and when it is over.
    """

    def __init__(self, sink: Sink, log: Callable[..., None], share: int = 0) -> None:
        """`share`: percent of a rotating sink that one user's lines may fill, 0 for no limit."""
        self.sink = sink
        self.overflowed = 0  # lines of users that had filled their share
        self._log = log
        self._failing = False
        self._share = share
        self._shares: Optional[Shares] = None
        self._measure_shares()

    def write(self, lines: List[bytes], events: List[Event]) -> None:
        """Write all lines at once; of which events they are tells whose they are."""
        sink = self.sink
        aside: List[bytes] = []
        if self._shares is not None:
            lines, aside = self._shares.divide(lines, events)
        if lines:
            self._guarded(lambda: sink.write(b"".join(lines), len(lines)))
        if aside:
            self.overflowed += len(aside)
            self._guarded(lambda: sink.write_aside(b"".join(aside), len(aside)))

    def tick(self, now: float) -> None:
        """Rotation, and what time gives back of the shares; `now` in monotonic seconds."""
        self._measure_shares()
        if self._shares is not None:
            self._shares.settle(now)
        self._guarded(lambda: self.sink.tick(now))

    @property
    def wants_push(self) -> bool:
        """Whether lines wait for a slow reader."""
        return self.sink.wants_push

    def push(self) -> None:
        """Hand over what waits for a slow reader, as far as it is taken at once."""
        self._guarded(self.sink.push)

    @property
    def reader_is_gone(self) -> bool:
        """Whether the sink is a pipe whose reader closed it."""
        return self.sink.closed_by_reader

    def close(self) -> None:
        """Write what waits and close the sink."""
        self.sink.close(self._log)

    def _measure_shares(self) -> None:
        """The sink's rules may have changed."""
        most = self.sink.volume * self._share // 100
        if not most:
            self._shares = None
        elif self._shares is None:
            self._shares = Shares(most, self._report_overflow)
        else:
            self._shares.most = most

    def _report_overflow(self, user: str) -> None:
        self._log(
            "warn",
            "A user has filled its share of the export files, its lines go into files beside them",
            user=user,
            files=f"{self.sink.name} -> {self.sink.aside}",
            hint="raise --export-file-max-size-mb or --export-file-user-share if they matter",
        )

    def _guarded(self, act: Callable[[], None]) -> None:
        """Have the sink do something; its refusal is logged once, and when it is over."""
        try:
            act()
        except ExportError as err:
            if not self._failing:
                self._log("error", "Writing events", error=str(err))
            self._failing = True
        else:
            if self._failing:
                self._log(
                    "info",
                    "Writing events works again",
                    file=self.sink.name,
                    lostLines=self.sink.lost,
                )
            self._failing = False
