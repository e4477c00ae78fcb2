# SPDX-License-Identifier: Apache-2.0
"""Events as protobuf messages, out of the objects that events are.

The encoders are put together from the schema when the first client subscribes. As with JSON, a
process is encoded once and its bytes are spliced into all later events.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any, Dict, List, Optional, Tuple

from tetrapy.api.codec import encode as encode_message
from tetrapy.api.codec import field_encoder
from tetrapy.api.messages import RESPONSE
from tetrapy.api.scalars import Encode, small_numbers, timestamp
from tetrapy.api.wire import BYTES, Heads, sized, tag
from tetrapy.events.cut import shorten
from tetrapy.events.event import Event
from tetrapy.events.json import Change, body_of
from tetrapy.events.process import DetailedProcess, ExecutedProcess, Process, UnknownProcess
from tetrapy.events.schema import CONVERSIONS, ENVELOPE, EVENT_ROWS, FIELDS, MESSAGES, SHARED
from tetrapy.events.schema.field import ALWAYS, BEGUN, EXEC, ONE, SELF, Field

MAX_BYTES = 2 << 20  # of a message; gRPC's clients take 4 MiB unless they are told otherwise
_KEPT = 8192  # bytes of a process that are kept for the next event
_SHARED = 256  # different ones of a message that many processes share

_CALLER, _BASE64 = "caller_json", "base64_text"  # conversions for JSON: see below
_WRAPPERS = frozenset({"UInt32Value", "Int32Value", "BoolValue"})


def _encoder(rows: List[Field]) -> Encode:
    """What makes bytes of an object, its attributes written out: this is done for every event.

    It is compiled out of text, as collections.namedtuple does it; a call for each field would cost
    twice as much.
    """
    space: Dict[str, Any] = {}
    values, parts = [], []
    for number, row in enumerate(rows):
        name = f"v{number}"
        values.append(f"    {name} = {_value(row, number, space)}")
        present = f"{name} is not None" if _shown_empty(row) else name
        parts.append(f"{_bytes(row, number, space)} if {present} else b''")
    text = "def encode(it):\n" + "\n".join(values) + f"\n    return b''.join([{', '.join(parts)}])"
    exec(text, space)  # noqa: S102 - names of the schema, and nothing from outside
    encode: Encode = space["encode"]
    return encode


def _value(row: Field, number: int, space: Dict[str, Any]) -> str:
    """The expression for a field's value."""
    value = "it"
    if row.source != SELF:
        value += row.source if row.source.startswith("[") else f".{row.source}"
    if row.through in {"", _CALLER, _BASE64}:
        return value
    convert = getattr(importlib.import_module(CONVERSIONS[row.through]), row.through)
    # Sets of bits, of which few different ones occur.
    space[f"c{number}"] = lru_cache(maxsize=_SHARED)(convert)
    return f"c{number}({value})"


def _shown_empty(row: Field) -> bool:
    """Whether 0, false and messages that count as false are shown."""
    return row.element in _WRAPPERS or (row.presence == ALWAYS and row.element in MESSAGES)


def _bytes(row: Field, number: int, space: Dict[str, Any]) -> str:
    """The expression for its bytes, where it is there."""
    name, head, data = f"v{number}", f"h{number}", f"d{number}"
    if row.type == "UInt32Value":
        space[head], space["small"] = tag(row.number, BYTES), small_numbers
        return f"{head} + small[{name}]"
    if row.type == "Timestamp":
        space[head], space["timestamp"] = tag(row.number, BYTES), timestamp
        return f"{head} + timestamp({name})"
    if row.type == "string":
        value = f'{name}.encode("utf-8", "replace")'
    elif row.type == "Process":
        space["process_bytes"] = process_bytes
        value = f"{name}.wire or process_bytes({name})"
    else:
        space[f"e{number}"] = field_encoder(row, _of_objects)
        return f"e{number}({name})"
    space[head] = Heads(row.number)
    return f"{head}[len({data} := {value})] + {data}"


@lru_cache(maxsize=None)
def _of_objects(message: str) -> Encode:
    """What makes bytes of an object, without their length."""
    if message == "Process":
        return process_bytes
    rows = [row for row in MESSAGES[message] if row.is_filled]
    encode = _encoder([row for row in rows if row.presence != ONE])
    members = {row.name: field_encoder(row, _of_objects) for row in rows if row.presence == ONE}
    if members:
        return lambda it: members[it.member](it.value) + encode(it)
    return lru_cache(maxsize=_SHARED)(encode) if message in SHARED else encode


# --- processes ------------------------------------------------------------------------------

_ROWS = FIELDS["Process"]
_tid = field_encoder(_ROWS["tid"], _of_objects)
_refcnt = field_encoder(_ROWS["refcnt"], _of_objects)


@lru_cache(maxsize=None)
def _of_class(kind: Any) -> Encode:
    """What makes bytes of processes of a class, all but the thread."""
    rows = [row for row in MESSAGES["Process"] if row.is_filled and row.name != "tid"]
    if issubclass(kind, UnknownProcess):
        rows = [row for row in rows if row.presence in {ALWAYS, BEGUN}]
    elif not issubclass(kind, ExecutedProcess):
        rows = [row for row in rows if row.presence != EXEC]
    if not issubclass(kind, DetailedProcess):
        rows = [row for row in rows if row.source not in DetailedProcess.__slots__]
    return _encoder(rows)


def process_bytes(process: Process) -> bytes:
    """The process as an event of its own, or as the parent of another; kept unless it is long."""
    data = process.wire
    if data is None:
        kind: Any = process.__class__
        data = _of_class(kind)(process)
        if kind is not UnknownProcess:
            data += _tid(process.pid)
        if len(data) <= _KEPT:
            process.wire = data
    return data


def _caller(process: Process, tid: int) -> bytes:
    """The process as events of calls show it: with the thread that called, and a reference."""
    data = process_bytes(process)
    if process.__class__ is UnknownProcess:
        return data
    # The thread stands last.
    if not process.refcnt:
        data = data[: -len(_tid(process.pid))] + _refcnt(1) + _tid(tid)
    elif tid != process.pid:
        data = data[: -len(_tid(process.pid))] + _tid(tid)
    return data


# --- events ---------------------------------------------------------------------------------


def _event(message: str) -> Encode:
    rows = [row for row in MESSAGES[message] if row.is_filled]
    callers = [row for row in rows if row.through == _CALLER]
    encode = _encoder([row for row in rows if row.through != _CALLER])
    if not callers:
        return encode
    head = tag(callers[0].number, BYTES)
    return lambda it: head + sized(_caller(it.process, it.tid)) + encode(it)


class EventEncoder:
    """Event -> the message GetEventsResponse (export.subscription.Encoder)."""

    def __init__(self, node_name: str, cluster_name: str = "", max_bytes: int = MAX_BYTES) -> None:
        self._most = max_bytes
        self.cut_lines = 0  # that were too long
        self.cut_ancestors = 0
        common = {"node_name": node_name}
        if cluster_name:
            common["cluster_name"] = cluster_name
        self._common = encode_message(RESPONSE, common)
        by_name = {row.name: row for row in ENVELOPE}
        self._common += tag(by_name["time"].number, BYTES)  # the time follows
        self._count = field_encoder(by_name["aggregation_info"], _of_objects)
        self._events: Dict[str, Tuple[Heads, Encode]] = {
            row.name: (Heads(row.number), _event(row.type)) for row in EVENT_ROWS
        }

    def encode(self, event: Event, change: Optional[Change] = None, count: int = 1) -> bytes:
        """The event's message as `change` leaves it, for so many events."""
        heads, encode = self._events[event.name]
        if change is None:
            body = encode(event)
            data = b"".join([heads[len(body)], body, self._common, timestamp(event.time)])
        else:
            body = encode_message(RESPONSE, {event.name: change(body_of(event))})
            data = body + self._common + timestamp(event.time)
        if count > 1:
            data += self._count(count)
        return data if len(data) <= self._most else self._cut(event, change, count, len(data))

    def _cut(self, event: Event, change: Optional[Change], count: int, size: int) -> bytes:
        """The message of an event that takes `size` bytes whole, with its texts cut."""
        process = event.process
        if process is None:
            return b""
        self.cut_lines += 1
        most, self._most = self._most, size + 1  # no second cut
        try:
            limit = most // 4
            while True:
                short = process.copy()
                shorten(short, limit)
                data = self.encode(event.of(short, limit), change, count)
                if len(data) <= most or not limit:
                    return data
                limit //= 2
        finally:
            self._most = most
