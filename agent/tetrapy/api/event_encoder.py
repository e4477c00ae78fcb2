# SPDX-License-Identifier: Apache-2.0
"""Events as protobuf messages, out of the objects that events are.

The encoders are put together from the schema when the first client subscribes. As with JSON, a
process is encoded once and its bytes are spliced into all later events.
"""

from __future__ import annotations

import importlib
from functools import lru_cache
from typing import Any, Callable, Dict, List, Optional

from tetrapy.api.codec import encode as encode_message
from tetrapy.api.codec import field_encoder
from tetrapy.api.messages import RESPONSE
from tetrapy.api.scalars import Encode, small_numbers, time_encoder, wrapped_number
from tetrapy.api.wire import BYTES, Heads, read_varint, sized, tag
from tetrapy.events.cut import shorten
from tetrapy.events.event import Event
from tetrapy.events.json import Change, body_of
from tetrapy.events.process import DetailedProcess, ExecutedProcess, Process, UnknownProcess
from tetrapy.events.schema import (
    CONVERSIONS,
    ENVELOPE,
    EVENT_ROWS,
    EVENTS,
    FIELDS,
    MESSAGES,
    SHARED,
)
from tetrapy.events.schema.field import ALWAYS, BEGUN, EXEC, ONE, SELF, Field

MAX_BYTES = 2 << 20  # of a message; gRPC's clients take 4 MiB unless they are told otherwise
_KEPT = 8192  # bytes of a process that are kept for the next event
_SHARED = 256  # different ones of a message that many processes share

_ENVELOPE = {row.name: row for row in ENVELOPE}

_CALLER, _BASE64, _TIME = "caller_json", "base64_text", "rfc3339"  # conversions for JSON
_WRAPPERS = frozenset({"UInt32Value", "Int32Value", "BoolValue"})
_OFTEN = (
    frozenset({"uid", "cwd", "binary", "flags", "auid", "docker", "in_init_tree"}),
    frozenset({"parent_exec_id"}),
)
"""Fields of a process that few different values occur of together: their bytes are kept."""

timestamp = time_encoder()


class _Kept(Dict[Any, bytes]):
    """What some fields are for the values that occurred together."""

    _MOST = 512
    _LONGEST = 512  # bytes of those that are kept

    def __init__(self, rows: List[Field]) -> None:
        super().__init__()
        self._encode = [_field(row) for row in rows]

    def __missing__(self, values: Any) -> bytes:
        data = b"".join([encode(value) for encode, value in zip(self._encode, values)])
        if len(data) <= self._LONGEST:
            if len(self) >= self._MOST:
                self.clear()
            self[values] = data
        return data


def _encoder(
    rows: List[Field],
    ends: str = "return body",
    more: str = "",
    names: Optional[Dict[str, Any]] = None,
    last: str = "",
) -> Callable[..., bytes]:
    """What makes bytes of an object, its attributes written out: this is done for every event.

    It is compiled out of text, as collections.namedtuple does it; a call for each field would cost
    twice as much. `more` are parameters beside the object, `last` are expressions of bytes that
    follow the fields, `ends` is what is done with the body, `names` what they need.
    """
    space: Dict[str, Any] = {
        "timestamp": timestamp,
        "process_bytes": process_bytes,
        **(names or {}),
    }
    values, parts = [], []
    for number, often in enumerate(_OFTEN):
        kept = [row for row in rows if row.name in often]
        if kept:
            space[f"kept{number}"] = _Kept(kept)
            parts.append(f"kept{number}[{', '.join(f'it.{row.source}' for row in kept)},]")
    for number, row in enumerate(row for row in rows if not any(row.name in one for one in _OFTEN)):
        if row.through == _CALLER:
            space[f"h{number}"], space["caller"] = tag(row.number, BYTES), _caller
            parts.insert(0, f"h{number} + caller(it.process, it.tid)")
        else:
            name = f"v{number}"
            values.append(f"    {name} = {_value(row, number, space)}\n")
            present = f"{name} is not None" if _shown_empty(row) else name
            parts.append(f"{_bytes(row, number, space)} if {present} else b''")
    body = f"    body = b''.join([{', '.join(parts)}{last}])\n"
    text = f"def encode(it{more}):\n{''.join(values)}{body}    {ends}"
    exec(text, space)  # noqa: S102 - names of the schema, and nothing from outside
    encode: Callable[..., bytes] = space["encode"]
    return encode


def _field(row: Field) -> Encode:
    """What makes bytes of a field's value where it is there, and none where it is not."""
    encode = field_encoder(row, _of_objects)
    convert = _converter(row)
    even_empty = _shown_empty(row)

    def of_value(value: Any) -> bytes:
        shown = value if convert is None else convert(value)
        there = shown is not None if even_empty else shown
        return encode(shown) if there else b""

    return of_value


def _converter(row: Field) -> Optional[Callable[[Any], Any]]:
    """What makes the field's value of the attribute; None for nothing."""
    if row.through in {"", _CALLER, _BASE64, _TIME}:
        return None
    convert: Callable[[Any], Any] = getattr(
        importlib.import_module(CONVERSIONS[row.through]), row.through
    )
    return convert


def _value(row: Field, number: int, space: Dict[str, Any]) -> str:
    """The expression for a field's value."""
    value = "it"
    if row.source != SELF:
        value += row.source if row.source.startswith("[") else f".{row.source}"
    convert = _converter(row)
    if convert is None:
        return value
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
    if row.through == _TIME:
        space[head] = tag(row.number, BYTES)
        return f"{head} + timestamp({name})"
    if row.type == "Process":
        space[head] = tag(row.number, BYTES)
        return f"{head} + ({name}.wire or process_bytes({name}))"
    if row.type == "[Process]":
        space[head] = tag(row.number, BYTES)
        return f"b''.join([{head} + (one.wire or process_bytes(one)) for one in {name}])"
    if row.type != "string":
        space[f"e{number}"] = field_encoder(row, _of_objects)
        return f"e{number}({name})"
    space[head] = Heads(tag(row.number, BYTES))
    value = f"{name}.encode()" if row.plain else f'{name}.encode("utf-8", "replace")'
    return f"{head}[len({data} := {value})] + {data}"


@lru_cache(maxsize=None)
def _of_objects(message: str) -> Encode:
    """What makes bytes of an object, without their length."""
    rows = [row for row in MESSAGES[message] if row.is_filled]
    encode = _encoder([row for row in rows if row.presence != ONE])
    members = {row.name: field_encoder(row, _of_objects) for row in rows if row.presence == ONE}
    if members:
        return lambda it: members[it.member](it.value) + encode(it)
    return lru_cache(maxsize=_SHARED)(encode) if message in SHARED else encode


# --- processes ------------------------------------------------------------------------------

_ROWS = FIELDS["Process"]
_PID, _TID = tag(_ROWS["pid"].number, BYTES), tag(_ROWS["tid"].number, BYTES)
_refcnt = field_encoder(_ROWS["refcnt"], _of_objects)


@lru_cache(maxsize=None)
def _of_class(kind: Any) -> Callable[..., bytes]:
    """What makes bytes of processes of a class, with their length. The thread stands last."""
    rows = [row for row in MESSAGES["Process"] if row.is_filled and row.name not in {"pid", "tid"}]
    is_known = not issubclass(kind, UnknownProcess)
    if not is_known:
        rows = [row for row in rows if row.presence in {ALWAYS, BEGUN}]
    elif not issubclass(kind, ExecutedProcess):
        rows = [row for row in rows if row.presence != EXEC]
    if not issubclass(kind, DetailedProcess):
        rows = [row for row in rows if row.source not in DetailedProcess.__slots__]
    return _encoder(
        rows,
        "return heads[len(body)] + body",
        names={"heads": Heads(), "number": wrapped_number, "pid": _PID, "tid": _TID},
        last=", pid, n := number(it.pid)" + (", tid, n" if is_known else ""),
    )


def process_bytes(process: Process) -> bytes:
    """The process as an event of its own, or as the parent of another, shows it, with its length;
    kept unless it is long.
    """
    data = process.wire
    if data is None:
        kind: Any = process.__class__
        data = _of_class(kind)(process)
        if len(data) <= _KEPT:
            process.wire = data
    return data


def _caller(process: Process, tid: int) -> bytes:
    """As `process_bytes`, as events of calls show it: with the thread that called, and a
    reference.
    """
    data = process_bytes(process)
    if process.__class__ is UnknownProcess or (process.refcnt and tid == process.pid):
        return data
    _, begin = read_varint(data, 0)
    thread = _TID + small_numbers[tid]
    if not process.refcnt:
        thread = _refcnt(1) + thread
    return sized(data[begin : -len(_TID + small_numbers[process.pid])] + thread)


# --- events ---------------------------------------------------------------------------------


@lru_cache(maxsize=None)
def _event(name: str) -> Callable[[Event, bytes], bytes]:
    """What makes the whole message of an event, given what all events have up to the time."""
    rows = [row for row in MESSAGES[EVENTS[name]] if row.is_filled]
    rows.sort(key=lambda row: row.through != _CALLER)
    heads = Heads(tag(_ENVELOPE[name].number, BYTES))
    ends = "return b''.join([heads[len(body)], body, common, timestamp(it.time)])"
    return _encoder(rows, ends, ", common", {"heads": heads})


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
        self._common += tag(_ENVELOPE["time"].number, BYTES)  # the time follows
        self._count = field_encoder(_ENVELOPE["aggregation_info"], _of_objects)
        self._events = {row.name: _event(row.name) for row in EVENT_ROWS}

    def encode(self, event: Event, change: Optional[Change] = None, count: int = 1) -> bytes:
        """The event's message as `change` leaves it, for so many events."""
        if change is None:
            data = self._events[event.name](event, self._common)
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
