# SPDX-License-Identifier: Apache-2.0
"""A handler for each kind of records: whoever brings a new kind adds one.

The kind is a byte at a fixed place of each record (`struct event_header` of bpf/events.h).
"""

from __future__ import annotations

import struct
from time import perf_counter_ns
from typing import Callable, Dict, List, Optional

from tetrapy.errors import FormatError
from tetrapy.events.decoder import EventAbi
from tetrapy.events.event import Event

OnRecord = Callable[[bytes], Optional[Event]]


class Dispatcher:
    """Gives each record to the handler of its kind; kinds without one make no sense."""

    def __init__(self, abi: EventAbi) -> None:
        self.kind_names = abi.kind_names
        self.failures: Dict[str, int] = {}  # by kind, "" for unknown: records that made no sense
        self.messages: Optional[List[int]] = None  # by enum event_kind; counted if somebody asks
        self._kind_offset = abi.kind_offset
        self._kinds = {name: decoder.kind for name, decoder in abi.decoders.items()}
        self._handlers: List[OnRecord] = [self._on_unknown] * 256

    def add(self, kind: str, handler: OnRecord) -> None:
        """Have `handler` called with each record of a kind, named as in `EventAbi.decoders`."""
        self._handlers[self._kinds[kind]] = handler

    def events(self, records: List[bytes]) -> List[Event]:
        """The events that a batch of records makes; records without sense are counted."""
        events: List[Event] = []
        handlers, kind_offset = self._handlers, self._kind_offset
        if self.messages is not None:
            self._count(records, self.messages)
        for data in records:
            try:
                event = handlers[data[kind_offset]](data)
            except (IndexError, ValueError, ArithmeticError, FormatError, struct.error):
                self._fail(data)
                continue
            if event is not None:
                events.append(event)
        return events

    @property
    def errors(self) -> int:
        """Records that made no sense."""
        return sum(self.failures.values())

    def time_records(self, observe: Callable[[str, int], None]) -> None:
        """Have `observe` called with the kind of each record and how long it took, in ns."""

        def timed(name: str, handler: OnRecord) -> OnRecord:
            def handle(data: bytes) -> Optional[Event]:
                before = perf_counter_ns()
                event = handler(data)
                observe(name, perf_counter_ns() - before)
                return event

            return handle

        for name, kind in self._kinds.items():
            self._handlers[kind] = timed(name, self._handlers[kind])

    def _on_unknown(self, data: bytes) -> Optional[Event]:
        raise FormatError(f"record of kind {data[self._kind_offset]}")

    def _fail(self, data: bytes) -> None:
        names, at = self.kind_names, self._kind_offset
        kind = data[at] if at < len(data) else 0
        name = names[kind] if kind < len(names) else ""
        self.failures[name] = self.failures.get(name, 0) + 1

    def _count(self, records: List[bytes], messages: List[int]) -> None:
        offset = self._kind_offset
        for data in records:
            try:
                messages[data[offset]] += 1
            except IndexError:  # a record without sense, which is counted as such
                continue
