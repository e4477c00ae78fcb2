# SPDX-License-Identifier: Apache-2.0
"""Events as protobuf say what their JSON says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support import proto
from tests.support.every_event import every_event
from tests.support.shown_process import process
from tetrapy.api.codec import decode
from tetrapy.api.event_encoder import EventEncoder, process_bytes
from tetrapy.api.messages import RESPONSE
from tetrapy.events.event import Event
from tetrapy.events.exec import ProcessExec
from tetrapy.events.json import JsonEncoder

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


def test_a_message_that_is_too_long_is_cut() -> None:
    """And says so; the process that others show stays whole."""
    one = process(arguments="x" * 300_000)
    data = EventEncoder(NODE, max_bytes=100_000).encode(ProcessExec(one, None))
    assert len(data) <= 100_000
    shown = decode(RESPONSE, data)["process_exec"]["process"]
    assert "truncArgs" in shown["flags"]
    assert len(one.arguments) == 300_000
