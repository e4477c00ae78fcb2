# SPDX-License-Identifier: Apache-2.0
"""Records of calls -> the events of tracing policies."""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import Dict, FrozenSet, List, Optional, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import enum_values
from tetrapy.errors import FormatError
from tetrapy.events.account import Account
from tetrapy.events.calls import CallEvent
from tetrapy.events.event import Event
from tetrapy.events.process import Process
from tetrapy.named import NamedTuple
from tetrapy.process.callers import Callers
from tetrapy.sensors.base_handler import BaseHandler
from tetrapy.sensors.policy.chunks import Chunks
from tetrapy.sensors.policy.hook import Hooks
from tetrapy.sensors.policy.reading import Reading, Values, reading_of
from tetrapy.sensors.policy.value_abi import Decode, ValueAbi
from tetrapy.sensors.policy.workloads import Undecided

MAX_BEGUN = 4096  # calls that may wait for their return
MAX_BEGUN_BYTES = 4 << 20  # of their records

# Of a record that is undecided: CALL_SELECTORS_SHIFT of bpf/events.h, and what is below it.
_SELECTORS_SHIFT, _SELECTOR = 8, 255

_Key = Tuple[int, int]  # hook, tid


class _Begun(NamedTuple):
    """A call that has not returned yet."""

    ktime: int
    process: Process
    parent: Optional[Process]
    action: str
    values: Values
    size: int  # bytes of its record
    undecided: int  # bits of selectors that match if they are for the process
    account: Account


class CallHandler:
    """Makes events of the calls among the records of a base handler."""

    def __init__(
        self,
        btf: Btf,
        base: BaseHandler,
        hooks: Hooks,
        ancestors: FrozenSet[str] = frozenset(),
    ) -> None:
        """`btf` is that of the object whose programs make the records; `ancestors` are types of
        events that show them. From now on the handler of `base` gives calls here.

        Raises LayoutError when the object has other structures.
        """
        self._base = base
        self._callers = Callers(base.tracker)
        self.hooks = hooks
        self._ancestors = ancestors
        self._values = ValueAbi(btf)
        flags = enum_values(btf, "call_flag")
        self._is_part = flags["CALL_RETURNED"] | flags["CALL_CHUNK"]
        self._is_unreported = flags["CALL_PROCESS_UNREPORTED"]
        self._is_unwanted = flags["CALL_UNWANTED"]
        self._is_chunk = flags["CALL_CHUNK"]
        self._is_return_lost = flags["CALL_RETURN_LOST"]
        self._is_undecided = flags["CALL_UNKNOWN_WORKLOAD"]
        self._is_hashed = flags["CALL_HASH_FOLLOWS"]
        self._chunks = Chunks()
        places = enum_values(btf, "stack_index")
        self._kernel_stack, self._user_stack = places["STACK_OF_KERNEL"], places["STACK_OF_USER"]
        self._hash = places["HASH_OF_FILE"]
        record = base.abi.decoders["call"]
        self._unpack, self._size = record.unpack, record.size
        self._readings: Dict[int, Reading] = {}
        self._begun: OrderedDict[_Key, _Begun] = OrderedDict()
        self._begun_bytes = 0
        self._begun_of: Dict[Account, int] = {}  # bytes by account
        self._late: List[Event] = []
        self.pushed = 0  # calls that waited for their return
        base.dispatcher.add("call", self.on_call)
        base.calls = self
        hooks.removed = self._forget

    @property
    def waiting(self) -> int:
        """Calls that have not returned yet."""
        return len(self._begun)

    def merges(self) -> Dict[Tuple[str, str], int]:
        """By function and `ok` or `error`: what became of calls reported when they return."""
        found: Dict[Tuple[str, str], int] = {}
        for reading in [one for one in self._readings.values() if one.hook.returns]:
            for status, count in zip(("ok", "error"), reading.merges):
                name = reading.hook.target[-1], status
                found[name] = found.get(name, 0) + count
        return found

    def records(self) -> Dict[int, int]:
        """How many there were, by the number of the hook."""
        return {number: reading.merges[2] for number, reading in self._readings.items()}

    def _forget(self, number: int) -> None:
        """No record of a hook comes any more: calls without a return are reported now."""
        for key in [key for key in self._begun if key[0] == number]:
            self._late += self._unreturned(key, self._begun[key])
            self._take(key)
        self._readings.pop(number, None)

    def on_call(self, data: bytes) -> Optional[Event]:
        """The event of a record; None where another record completes it, or nobody wants it.

        Raises FormatError for a record that makes no sense.
        """
        try:
            ktime, start, pid, tid, number, selector, flags, size = self._unpack(data)
            reading = self._readings.get(number) or self._prepare(number)
            if reading is None:
                return None  # of a hook that is not there any more
            reading.merges[2] += 1
            at = self._size
            end = at + size
            if end > len(data):
                raise FormatError(f"record of a call, of {len(data)} bytes, {end} by its own sizes")
            if flags & self._is_part:
                return self._on_part(reading, (number, tid), ktime, data, at, end, flags, selector)
            values: Values = [None] * len(reading.decoders)
            self._decode(reading.decoders, data, at, end, values)
            undecided = 0
            if flags & self._is_undecided:
                undecided, selector = selector >> _SELECTORS_SHIFT, selector & _SELECTOR
            action = reading.actions[selector]
        except (struct.error, IndexError) as err:
            raise FormatError(f"record of a call, of {len(data)} bytes: {err}") from None
        if self._chunks.waiting:
            self._chunks.complete((number, tid, ktime), values)
        if reading.with_stacks:
            self._name_stacks(tid, values)
        if reading.requests and not undecided:
            self.hooks.requests.ask(reading.requests[selector])
        process, parent = self._callers.find(pid, start, bool(flags & self._is_unreported))
        if reading.returns or flags & self._is_hashed:
            whole = len(data)  # also where a call has no values, each takes room
            begun = _Begun(
                ktime, process, parent, action, values, whole, undecided, process.account
            )
            if flags & self._is_return_lost:
                return self._lost((number, tid), begun)
            return self._wait((number, tid), begun)
        event = self._event(reading, tid, ktime, process, parent, action, values)
        return self._decided(event, reading, undecided) if undecided else event

    def _name_stacks(self, tid: int, values: Values) -> None:
        """At once: a process that is gone has no names."""
        stacks = self.hooks.stacks
        kernel, user = values[self._kernel_stack], values[self._user_stack]
        values[self._kernel_stack] = stacks.of_kernel(kernel) if kernel else ()
        values[self._user_stack] = stacks.of_process(tid, user) if user else ()

    def _on_part(
        self,
        reading: Reading,
        key: _Key,
        ktime: int,
        data: bytes,
        at: int,
        end: int,
        flags: int,
        selector: int,
    ) -> Optional[Event]:
        """A part of a large value, what a function returns, or the hash of a file."""
        if flags & self._is_chunk:
            index = self._values.unpack(data, at)[0]
            self._chunks.add((*key, ktime), index, data[at + self._values.size : end])
            return None
        begun = self._take(key)
        if begun is None:
            reading.merges[1] += 1
            return None
        self._decode(reading.decoders, data, at, end, begun.values)
        reading.merges[0] += 1
        if flags & self._is_unwanted:
            return None
        undecided = begun.undecided
        if flags & self._is_undecided:
            undecided, selector = selector >> _SELECTORS_SHIFT, selector & _SELECTOR
        # What is returned may have ruled out the selectors that were first when it was called.
        event = self._event(reading, key[1], *begun[:5], selector)
        if reading.hook.hashes and isinstance(event, CallEvent):
            event.ima_hash = begun.values[self._hash] or ""
        return self._decided(event, reading, undecided) if undecided else event

    def _decode(
        self,
        decoders: Tuple[Optional[Decode], ...],
        data: bytes,
        at: int,
        end: int,
        values: Values,
    ) -> None:
        """Put the values between two places of a record where they belong."""
        unpack, size = self._values.unpack, self._values.size
        while at < end:
            index, flags, length, detail = unpack(data, at)
            at += size
            stop = at + length
            if stop > end:
                raise FormatError(f"value {index} of a call ends beyond all values")
            decode = decoders[index]
            if decode is not None:
                values[index] = decode(data[at:stop], flags, detail)
            at = stop

    def _event(
        self,
        reading: Reading,
        tid: int,
        ktime: int,
        process: Process,
        parent: Optional[Process],
        action: str,
        values: Values,
        selector: int = -1,
    ) -> Optional[Event]:
        """The event; None where another one is the same. `selector` matched what it returned."""
        base = self._base
        stacks = (
            values[self._kernel_stack : self._user_stack + 1] if reading.with_stacks else ((), ())
        )
        event: Optional[Event] = reading.event(
            reading.probe,
            process,
            tid,
            parent,
            base.clock.at(ktime + base.clock_gap),
            action if selector < 0 else reading.actions[selector],
            reading.arguments(values),
            reading.data(values) if reading.data is not None else (),
            values[reading.returned] if reading.returned >= 0 else None,
            reading.return_actions[selector],
            self._callers.ancestors(parent) if reading.with_ancestors else (),
            stacks[0],
            stacks[1],
        )
        return event

    def _decided(self, event: Optional[Event], reading: Reading, selectors: int) -> Optional[Event]:
        """The event, whose container tells whether one of the selectors is for it; else None."""
        if event is None or event.process is None:
            return event
        undecided = Undecided(event, reading.hook, selectors, self.hooks)
        if event.process.container.waits and isinstance(event, CallEvent):
            event.undecided = undecided
        elif not undecided.is_wanted():
            return None
        return event

    # --- calls that are reported when they return -----------------------------------------------

    def _wait(self, key: _Key, begun: _Begun) -> Optional[Event]:
        """Keep a call until it returns; the event of one for which there is no room any more."""
        events: List[Event] = []
        earlier = self._take(key)
        if earlier is not None:  # it called itself, or never returned
            events += self._unreturned(key, earlier)
        self._begun[key] = begun
        self._begun_bytes += begun.size
        account = begun.account
        self._begun_of[account] = self._begun_of.get(account, 0) + begun.size
        self.pushed += 1
        while len(self._begun) > MAX_BEGUN or self._begun_bytes > MAX_BEGUN_BYTES:
            oldest = self._oldest_of_most()
            events += self._unreturned(oldest, self._begun[oldest])
            self._take(oldest)
        self._late += events[1:]
        return events[0] if events else None

    def _lost(self, key: _Key, begun: _Begun) -> Optional[Event]:
        """The event of a call whose return no record will tell: its owner has too many waiting."""
        earlier = self._take(key)
        if earlier is not None:
            self._late += self._unreturned(key, earlier)
        self._late += self._unreturned(key, begun)
        return self._late.pop() if self._late else None

    def _unreturned(self, key: _Key, begun: _Begun) -> List[Event]:
        """The event of a call without what it returns: that it was made is reported all the same.

        None of one that turns out not to be wanted.
        """
        reading = self._readings[key[0]]
        reading.merges[1] += 1
        event = self._event(reading, key[1], *begun[:5])
        if begun.undecided:
            event = self._decided(event, reading, begun.undecided)
        return [] if event is None else [event]

    def late(self) -> List[Event]:
        """Events that found no place among those of the records; asked for now and then."""
        self.hooks.look()
        events, self._late = self._late, []
        return events

    def ended(self) -> List[Event]:
        """No record comes any more: the calls that have not returned."""
        events = [
            event for key, begun in self._begun.items() for event in self._unreturned(key, begun)
        ]
        self._begun.clear()
        self._begun_of.clear()
        self._begun_bytes = 0
        return self.late() + events

    def _oldest_of_most(self) -> _Key:
        """The oldest call of the account whose calls take most of the room."""
        most = max(self._begun_of, key=self._begun_of.__getitem__)
        return next(key for key, one in self._begun.items() if one.account == most)

    def _take(self, key: _Key) -> Optional[_Begun]:
        begun = self._begun.pop(key, None)
        if begun is not None:
            account = begun.account
            self._begun_bytes -= begun.size
            self._begun_of[account] -= begun.size
            if not self._begun_of[account]:
                del self._begun_of[account]
        return begun

    def _prepare(self, number: int) -> Optional[Reading]:
        hook = self.hooks.get(number)
        if hook is None:
            return None
        reading = self._readings[number] = reading_of(
            hook, self._values, self._kernel_stack, self._ancestors
        )
        return reading
