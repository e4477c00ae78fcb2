"""Events -> JSON lines -> sink."""

from __future__ import annotations

from typing import Callable, Iterable

from tetrapy.errors import ExportError
from tetrapy.events.json import Event, JsonEncoder
from tetrapy.sinks.stream import LineSink


class Exporter:
    """Encodes batches of events and hands them to the sink, one write a batch."""

    def __init__(self, encoder: JsonEncoder, sink: LineSink, log: Callable[..., None]) -> None:
        self._encode = encoder.encode
        self._sink = sink
        self._log = log
        self._failing = False

    def export(self, events: Iterable[Event]) -> None:
        """Write a line for each event; a sink that refuses them is reported once."""
        encode = self._encode
        lines = b"".join([encode(event) for event in events])
        try:
            self._sink.write(lines)
        except ExportError as err:
            if not self._failing:
                self._log("error", "Writing events", error=str(err))
            self._failing = True
        else:
            if self._failing:
                self._log(
                    "info",
                    "Writing events works again",
                    file=self._sink.name,
                    lostLines=self._sink.lost,
                )
            self._failing = False

    @property
    def reader_is_gone(self) -> bool:
        """Whether the sink is a pipe whose reader closed it."""
        return self._sink.closed_by_reader

    def close(self) -> None:
        """Write what waits and close the sink."""
        self._sink.close(self._log)
