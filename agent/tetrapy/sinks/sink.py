# SPDX-License-Identifier: Apache-2.0
"""What every sink is asked and reports."""

from __future__ import annotations

from typing import Callable

from tetrapy.sinks.backlog import Backlog

Log = Callable[..., None]


class Sink:
    """Takes whole lines; its figures are plain attributes, for metrics to read."""

    closed_by_reader = False  # a pipe that nobody reads any more

    def __init__(self, name: str, backlog: Backlog) -> None:
        self.name = name
        self.lines = 0  # that the target has
        self.bytes = 0
        self.last_write = 0.0  # seconds since the epoch
        self.rotations = 0
        self.failures = 0  # times that the target or its rotation refused
        self._backlog = backlog

    @property
    def lost(self) -> int:
        """Lines that were given up."""
        return self._backlog.lost

    @property
    def waiting(self) -> int:
        """Bytes of lines that wait for the target."""
        return self._backlog.size

    @property
    def compressions(self) -> int:
        """Backups that were compressed."""
        return 0

    def write(self, lines: bytes, count: int = 0) -> None:
        """Write `lines`, each ended by a line feed; `count` is their number, 0 has them counted.

        Raises ExportError for a target that refuses them; they wait for the next call or tick.
        """
        raise NotImplementedError

    @property
    def wants_push(self) -> bool:
        """Whether `push` is to be called soon, and again until it is not."""
        return False

    def push(self) -> None:
        """Hand over what waits for a slow reader; raises ExportError as `write` does."""

    @property
    def volume(self) -> int:
        """Bytes that the target and its backups keep, of which the oldest go; 0: it keeps all."""
        return 0

    @property
    def aside(self) -> str:
        """The name of the place of `write_aside`."""
        return ""

    def write_aside(self, lines: bytes, count: int) -> None:
        """As `write`, to a place of its own, from where nothing else is pushed out.

        Only for a target that has a `volume`.
        """
        raise NotImplementedError

    def tick(self, now: float) -> None:
        """What is to be done about once a second; `now` is of the monotonic clock.

        Raises ExportError as `write` does.
        """
        raise NotImplementedError

    def rotate(self) -> bool:
        """Begin a new file; False where there is none to begin."""
        return False

    def close(self, log: Log) -> None:
        """Write what waits and close the target; says in `log` what is lost."""
        raise NotImplementedError
