# SPDX-License-Identifier: Apache-2.0
"""Records of calls -> the events of tracing policies."""

from __future__ import annotations

import struct
from collections import OrderedDict
from typing import Dict, FrozenSet, List, Mapping, Optional, Tuple, Type

from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import enum_values
from tetrapy.errors import FormatError
from tetrapy.events.arguments import Argument
from tetrapy.events.calls import (
    CallEvent,
    Probe,
    ProcessKprobe,
    ProcessLsm,
    ProcessTracepoint,
    ProcessUprobe,
)
from tetrapy.events.event import Event
from tetrapy.events.process import Process
from tetrapy.named import NamedTuple
from tetrapy.process.callers import Callers
from tetrapy.sensors.base_handler import BaseHandler
from tetrapy.sensors.policy.hook import (
    KPROBE,
    LSM,
    RAW_TRACEPOINT,
    TRACEPOINT,
    UPROBE,
    Hook,
    Hooks,
)
from tetrapy.sensors.policy.value_decoders import Decode, ValueAbi, decoder

MAX_BEGUN = 4096  # calls that may wait for their return
MAX_BEGUN_BYTES = 4 << 20  # of their records

_Key = Tuple[int, int]  # hook, tid
_Values = List[Optional[Argument]]

_EVENTS: Mapping[str, Type[CallEvent]] = {
    KPROBE: ProcessKprobe,
    UPROBE: ProcessUprobe,
    TRACEPOINT: ProcessTracepoint,
    RAW_TRACEPOINT: ProcessTracepoint,
    LSM: ProcessLsm,
}


class _Reading(NamedTuple):
    """How the records of a hook are read: all that does not differ from call to call."""

    hook: Hook
    probe: Probe
    event: Type[CallEvent]
    decoders: Tuple[Optional[Decode], ...]  # by the index of values
    arguments: Tuple[int, ...]  # indices of values, by role
    data: Tuple[int, ...]
    returned: int  # -1: none, or it is among the arguments
    return_action: str
    with_ancestors: bool


class _Begun(NamedTuple):
    """A call that has not returned yet."""

    ktime: int
    process: Process
    parent: Optional[Process]
    action: str
    values: _Values
    size: int


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
        self._hooks = hooks
        self._ancestors = ancestors
        self._values = ValueAbi(btf)
        flags = enum_values(btf, "call_flag")
        self._is_return = flags["CALL_RETURNED"]
        self._is_unreported = flags["CALL_PROCESS_UNREPORTED"]
        self._is_unwanted = flags["CALL_UNWANTED"]
        self._record = base.abi.decoders["call"]
        self._readings: Dict[int, _Reading] = {}
        self._begun: OrderedDict[_Key, _Begun] = OrderedDict()
        self._begun_bytes = 0
        self._late: List[Event] = []
        self.orphans = 0  # records of hooks that are not there any more
        self.pushed = 0  # calls that waited for their return
        self.merged = 0  # ... and were told when they returned
        self.unmerged = 0  # returns whose call is not known, and calls told without their return
        base.dispatcher.add("call", self.on_call)
        base.calls = self
        hooks.removed = self._forget

    @property
    def waiting(self) -> int:
        """Calls that have not returned yet."""
        return len(self._begun)

    def _forget(self, number: int) -> None:
        """A hook was taken out of the kernel: forget what is prepared for it."""
        self._readings.pop(number, None)
        for key in [key for key in self._begun if key[0] == number]:
            self._take(key)

    def on_call(self, data: bytes) -> Optional[Event]:
        """The event of a record; None where another record completes it, or nobody wants it.

        Raises FormatError for a record that makes no sense.
        """
        try:
            return self._on_call(data)
        except (struct.error, IndexError) as err:
            raise FormatError(f"record of a call, of {len(data)} bytes: {err}") from None

    def _on_call(self, data: bytes) -> Optional[Event]:
        record = self._record
        ktime, start, pid, tid, number, selector, flags, size = record.unpack(data)
        reading = self._readings.get(number) or self._prepare(number)
        if reading is None:
            self.orphans += 1
            return None
        at = record.size
        end = at + size
        if end > len(data):
            raise FormatError(f"record of a call, of {len(data)} bytes, {end} by its own sizes")
        if flags & self._is_return:
            return self._on_return(reading, (number, tid), data, at, end, flags, selector)
        values: _Values = [None] * len(reading.decoders)
        self._decode(reading.decoders, data, at, end, values)
        action = reading.hook.actions[selector]
        process, parent = self._callers.find(pid, start, bool(flags & self._is_unreported))
        begun = _Begun(ktime, process, parent, action, values, size)
        if not reading.hook.returns:
            return self._event(reading, begun, tid)
        return self._wait((number, tid), begun)

    def _on_return(
        self,
        reading: _Reading,
        key: _Key,
        data: bytes,
        at: int,
        end: int,
        flags: int,
        selector: int,
    ) -> Optional[Event]:
        begun = self._take(key)
        if begun is None:
            self.unmerged += 1
            return None
        self._decode(reading.decoders, data, at, end, begun.values)
        self.merged += 1
        if flags & self._is_unwanted:
            return None
        # What is returned may have ruled out the selectors that were first when it was called.
        return self._event(reading, begun._replace(action=reading.hook.actions[selector]), key[1])

    def _decode(
        self,
        decoders: Tuple[Optional[Decode], ...],
        data: bytes,
        at: int,
        end: int,
        values: _Values,
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

    def _event(self, reading: _Reading, begun: _Begun, tid: int) -> Event:
        values, parent = begun.values, begun.parent
        args = [values[index] for index in reading.arguments]
        data = [values[index] for index in reading.data]
        return reading.event(
            reading.probe,
            begun.process,
            tid,
            parent,
            self._base.format_time(begun.ktime + self._base.clock_gap),
            begun.action,
            tuple([one for one in args if one is not None]),
            tuple([one for one in data if one is not None]),
            values[reading.returned] if reading.returned >= 0 else None,
            reading.return_action,
            self._callers.ancestors(parent) if reading.with_ancestors else (),
        )

    # --- calls that are told when they return -----------------------------------------------

    def _wait(self, key: _Key, begun: _Begun) -> Optional[Event]:
        """Keep a call until it returns; the event of one for which there is no room any more."""
        events = []
        earlier = self._take(key)
        if earlier is not None:  # it called itself, or never returned
            events.append(self._unreturned(key, earlier))
        self._begun[key] = begun
        self._begun_bytes += begun.size
        self.pushed += 1
        while len(self._begun) > MAX_BEGUN or self._begun_bytes > MAX_BEGUN_BYTES:
            oldest = next(iter(self._begun))
            events.append(self._unreturned(oldest, self._begun[oldest]))
            self._take(oldest)
        self._late += events[1:]
        return events[0] if events else None

    def _unreturned(self, key: _Key, begun: _Begun) -> Event:
        """The event of a call without what it returns: that it was made is told all the same."""
        self.unmerged += 1
        return self._event(self._readings[key[0]], begun, key[1])

    def late(self) -> List[Event]:
        """Events that found no place among those of the records."""
        events, self._late = self._late, []
        return events

    def ended(self) -> List[Event]:
        """No record comes any more: the calls that have not returned."""
        events = [self._unreturned(key, begun) for key, begun in self._begun.items()]
        self._begun.clear()
        self._begun_bytes = 0
        return self.late() + events

    def _take(self, key: _Key) -> Optional[_Begun]:
        begun = self._begun.pop(key, None)
        if begun is not None:
            self._begun_bytes -= begun.size
        return begun

    # --- what is prepared once for each hook ------------------------------------------------

    def _prepare(self, number: int) -> Optional[_Reading]:
        hook = self._hooks.get(number)
        if hook is None:
            return None
        roles: Dict[str, List[int]] = {"argument": [], "data": [], "return": [], "hidden": []}
        decoders = []
        for index, value in enumerate(hook.values):
            roles[value.role].append(index)
            decoders.append(decoder(self._values, value, hook.kind))
        event = _EVENTS[hook.kind]
        if event is ProcessKprobe:
            returned = roles["return"][0] if roles["return"] else -1
            return_action = hook.return_action
        else:
            # Other messages have no place for it: Tetragon puts it behind the arguments.
            roles["argument"] += roles["return"]
            returned, return_action = -1, ""
        reading = self._readings[number] = _Reading(
            hook,
            probe_of(hook),
            event,
            tuple(decoders),
            tuple(roles["argument"]),
            tuple(roles["data"]),
            returned,
            return_action,
            event.type in self._ancestors,
        )
        return reading


def probe_of(hook: Hook) -> Probe:
    """What all events of a hook say alike."""
    kind, target = hook.kind, hook.target
    fields = {}
    if kind in {KPROBE, LSM}:
        fields["function_name"] = target[0]
    elif kind in {TRACEPOINT, RAW_TRACEPOINT}:
        kind = TRACEPOINT
        fields["subsys"], fields["event"] = target
    else:
        fields["path"], fields["symbol"] = target[0], "".join(target[1:])
    return Probe(
        label=f"{kind}:{'/'.join(target)}",
        policy_name=hook.policy,
        message=hook.message,
        tags=hook.tags,
        offset=hook.offset or 0,
        ref_ctr_offset=hook.reference_counter,
        **fields,
    )
