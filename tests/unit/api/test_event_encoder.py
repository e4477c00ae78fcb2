# SPDX-License-Identifier: Apache-2.0
"""Events as protobuf say what their JSON says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import proto
from tests.support.every_event import every_event
from tests.support.records import SECOND
from tests.support.shown_process import process
from tetrapy.api.codec import decode
from tetrapy.api.event_encoder import EventEncoder, _Kept, _of_class, process_bytes
from tetrapy.api.messages import RESPONSE
from tetrapy.api.scalars import small_numbers, time_encoder, timestamp
from tetrapy.events.event import Event
from tetrapy.events.exec import ProcessExec
from tetrapy.events.json import JsonEncoder
from tetrapy.events.text import rfc3339

NODE = "host1"
EVENTS = every_event()


def as_json(event: Event, **more: Any) -> Any:
    return json.loads(JsonEncoder(NODE, "a cluster").encode(event, **more))


@pytest.mark.parametrize("number", range(len(EVENTS)))
@pytest.mark.parametrize("count", [1, 3])
def test_the_message_is_the_line(number: int, count: int) -> None:
    """Field for field, and protobuf's library reads it so too."""
    event = EVENTS[number]
    data = EventEncoder(NODE, "a cluster").encode(event, count=count)
    assert decode(RESPONSE, data) == as_json(event, count=count)
    theirs = proto.message_class(RESPONSE).FromString(data)
    assert proto.to_json(theirs) == as_json(event, count=count)


@pytest.mark.parametrize("number", range(len(EVENTS)))
def test_a_changed_message_is_the_changed_line(number: int) -> None:
    """What a field filter leaves of it."""

    def change(body: dict[str, Any]) -> dict[str, Any]:
        return {name: body[name] for name in list(body)[:1]}

    data = EventEncoder(NODE, "a cluster").encode(EVENTS[number], change)
    assert decode(RESPONSE, data) == as_json(EVENTS[number], change=change)


def test_a_process_is_encoded_once() -> None:
    """Its bytes are kept, and forgotten with its JSON."""
    one = process()
    encoder = EventEncoder(NODE)
    first = encoder.encode(ProcessExec(one, one))
    kept = one.wire
    assert kept is process_bytes(one)
    assert encoder.encode(ProcessExec(one, one)) == first
    one.forget_json()
    assert one.wire is None


@pytest.mark.parametrize("nanos", [0, 1, 127, 128, 1 << 21, (1 << 21) - 1, (1 << 28) - 1, 1 << 28])
@pytest.mark.parametrize("second", [0, 1, 1_767_323_045, 1 << 35])
def test_a_time_of_an_event_is_the_time(nanos: int, second: int) -> None:
    """Nanoseconds of every length of a varint, before and after others of the second."""
    encode = time_encoder()
    for at in (second * SECOND + nanos, second * SECOND, 0, second * SECOND + nanos):
        for _ in range(2):
            assert encode(at) == timestamp(rfc3339(at))


@pytest.mark.slow
def test_what_processes_share_is_kept_within_bounds() -> None:
    """Thousands of different working directories and pids, long ones among them, are all right."""
    for number in [*range(3000), 127, 128, 16383, 16384, (1 << 21) - 1, 1 << 21, (1 << 22) - 1]:
        one = process(pid=number, cwd="/" + "x" * (number % 700) + str(number))
        shown = decode(RESPONSE, EventEncoder(NODE).encode(ProcessExec(one, None)))
        assert shown["process_exec"]["process"]["cwd"] == one.cwd
        assert shown["process_exec"]["process"]["pid"] == number
    fields = [found for found in _encoder_spaces() if isinstance(found, _Kept)]
    assert fields
    assert all(len(one) <= _Kept._MOST for one in fields)
    assert all(len(data) <= _Kept._LONGEST for one in fields for data in one.values())
    assert len(small_numbers) <= 8192


def _encoder_spaces() -> list[object]:
    """What the compiled encoder of processes refers to."""
    kind: Any = process().__class__
    encode: Any = _of_class(kind)
    return list(encode.__globals__.values())


def test_a_message_that_is_too_long_is_cut() -> None:
    """And says so; the process that others show stays whole."""
    one = process(arguments="x" * 300_000)
    data = EventEncoder(NODE, max_bytes=100_000).encode(ProcessExec(one, None))
    assert len(data) <= 100_000
    shown = decode(RESPONSE, data)["process_exec"]["process"]
    assert "truncArgs" in shown["flags"]
    assert len(one.arguments) == 300_000
