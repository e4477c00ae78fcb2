"""Raw records -> events, in the order in which the kernel wrote them."""

from __future__ import annotations

import struct
from typing import Callable, Dict, List, Optional, Set, Tuple

from tetrapy.errors import FormatError
from tetrapy.events.decoder import EventAbi
from tetrapy.events.json import Event
from tetrapy.events.text import arguments_text, to_text
from tetrapy.process.procfs import TICK_NS
from tetrapy.process.seed import Executed, Touched
from tetrapy.process.tracker import ProcessTracker

_UNCLAIMED = 64  # long arguments that are kept for their exec; more means that execs were lost

Handler = Callable[[bytes], Optional[Event]]


class Dispatcher:
    """Decodes each record and gives it to the tracker."""

    def __init__(self, abi: EventAbi, tracker: ProcessTracker, clock_gap: int) -> None:
        self._abi = abi
        self._tracker = tracker
        self._kind_offset = abi.kind_offset
        self._kinds = {name: decoder.kind for name, decoder in abi.decoders.items()}
        self._exec = abi.decoders["exec"]
        self._apart = abi.exec_flags["EXEC_ARGS_APART"]
        self._cwd_root = abi.exec_flags["EXEC_CWD_ROOT"]
        self._args_error = abi.exec_flags["EXEC_ARGS_ERROR"]
        self._pieces: Dict[Tuple[int, int], bytes] = {}  # (pid, ktime) -> long arguments
        self.clock_gap = clock_gap  # ns that record times lack: time spent suspended
        self.errors = 0  # records that made no sense
        handlers: List[Handler] = [self._on_unknown] * 256
        handlers[self._kinds["exec"]] = self._on_exec
        handlers[self._kinds["args"]] = self._on_args
        handlers[self._kinds["fork"]] = self._on_fork
        handlers[self._kinds["exit"]] = self._on_exit
        self._handlers = handlers

    def events(self, records: List[bytes]) -> List[Event]:
        """The events that a batch of records makes; records without sense are counted."""
        events: List[Event] = []
        handlers, kind_offset = self._handlers, self._kind_offset
        for data in records:
            try:
                event = handlers[data[kind_offset]](data)
            except (IndexError, ValueError, ArithmeticError, FormatError, struct.error):
                self.errors += 1
                continue
            if event is not None:
                events.append(event)
        return events

    def touched(self, records: List[bytes]) -> Touched:
        """Which processes forked or executed, according to `records`."""
        forked: Set[Tuple[int, int]] = set()
        executed: Dict[int, Executed] = {}
        fork, execute = self._abi.decoders["fork"], self._exec
        for data in records:
            kind = data[self._kind_offset : self._kind_offset + 1]
            if kind == b"%c" % fork.kind and len(data) >= fork.size:
                record = fork.make(fork.unpack(data))
                forked.add((record.pid, record.start // TICK_NS))
            elif kind == b"%c" % execute.kind and len(data) >= execute.size:
                record = execute.make(execute.unpack(data))
                at = execute.size + record.path_size
                arguments = data[at : at + (0 if record.flags & self._apart else record.args_size)]
                text = arguments_text(arguments, cwd_follows=not record.flags & self._cwd_root)
                path = to_text(data[execute.size : at])
                executed.setdefault(record.pid, Executed(record.ktime + self.clock_gap, path, text))
        return Touched(forked, executed)

    def _on_unknown(self, data: bytes) -> Optional[Event]:
        raise FormatError(f"record of kind {data[self._kind_offset]}")

    def _on_exec(self, data: bytes) -> Optional[Event]:
        record = self._exec.make(self._exec.unpack(data))
        arguments = b""
        if record.flags & self._apart:
            arguments = self._pieces.pop((record.pid, record.ktime), b"")
            if len(arguments) != record.args_size:  # a piece was lost, and counted as lost
                record = record._replace(flags=record.flags | self._args_error)
            if not arguments:
                record = record._replace(args_size=0)
        if self.clock_gap:
            record = record._replace(ktime=record.ktime + self.clock_gap)
        return self._tracker.on_exec(record, data, self._exec.size, arguments)

    def _on_args(self, data: bytes) -> Optional[Event]:
        decoder = self._abi.decoders["args"]
        record = decoder.make(decoder.unpack(data))
        piece = data[decoder.size : decoder.size + record.args_size]
        pieces = self._pieces
        key = (record.pid, record.ktime)
        if not record.offset:
            pieces[key] = piece
            if len(pieces) > _UNCLAIMED:
                del pieces[next(iter(pieces))]
        elif len(pieces.get(key, b"")) == record.offset:
            pieces[key] += piece  # behind a lost piece nothing is taken: what is shown is a start
        return None

    def _on_fork(self, data: bytes) -> Optional[Event]:
        decoder = self._abi.decoders["fork"]
        record = decoder.make(decoder.unpack(data))
        if self.clock_gap:
            record = record._replace(ktime=record.ktime + self.clock_gap)
        self._tracker.on_fork(record)
        return None

    def _on_exit(self, data: bytes) -> Optional[Event]:
        decoder = self._abi.decoders["exit"]
        record = decoder.make(decoder.unpack(data))
        if self.clock_gap:
            record = record._replace(ktime=record.ktime + self.clock_gap)
        return self._tracker.on_exit(record)
