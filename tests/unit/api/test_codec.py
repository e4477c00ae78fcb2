# SPDX-License-Identifier: Apache-2.0
"""Every message against protobuf's own library: bytes and JSON, both ways."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support import proto
from tetrapy.api import codec
from tetrapy.api.messages import ALL, ALL_ENUMS, GOOGLE, MESSAGES
from tetrapy.api.proto_files import FILES, ONEOFS
from tetrapy.api.rows import OPTIONAL
from tetrapy.api.wire import WireError, sized
from tetrapy.events.schema.field import ONE, Field

TETRAGON = sorted(name for one in FILES if one.package == "tetragon" for name in one.messages)
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
SCALARS: dict[str, Any] = {
    "string": TEXT,
    "bytes": st.sampled_from(["", "AA==", "/+8="]),
    "int32": st.integers(-(2**31), 2**31 - 1),
    "uint32": st.integers(0, 2**32 - 1),
    "int64": st.integers(-(2**63), 2**63 - 1).map(str),
    "uint64": st.integers(0, 2**64 - 1).map(str),
    "bool": st.booleans(),
    "Timestamp": st.datetimes().map(lambda one: f"{one.replace(microsecond=0).isoformat()}Z"),
    "Duration": st.sampled_from(["0s", "15s", "-1.500s", "0.000000001s", "-0.250s"]),
    "FieldMask": st.sampled_from(["", "process", "process.binary,parent.execId"]),
}
SCALARS |= {
    "UInt32Value": SCALARS["uint32"], "Int32Value": SCALARS["int32"], "BoolValue": st.booleans(),
}  # fmt: skip
ANY = st.sampled_from(
    [
        {"@type": "type.googleapis.com/google.protobuf.StringValue", "value": "x"},
        {"@type": "type.googleapis.com/google.protobuf.Int64Value", "value": "-5"},
        {"@type": "type.googleapis.com/google.protobuf.BoolValue", "value": True},
        {"@type": "type.googleapis.com/google.protobuf.ListValue", "value": ["a", ""]},
    ]
)


def value_of(kind: str, depth: int) -> Any:
    if kind in SCALARS:
        return SCALARS[kind]
    if kind in ALL_ENUMS:
        return st.sampled_from(sorted(ALL_ENUMS[kind]))
    return ANY if kind == "Any" else message_of(kind, depth - 1)


def field_of(row: Field, depth: int) -> Any:
    if row.type.startswith("map"):
        key, value = codec.map_types(row)
        return st.dictionaries(value_of(key, depth), value_of(value, depth), max_size=3)
    one = value_of(row.element, depth)
    return st.lists(one, max_size=3) if row.is_repeated else one


@st.composite
def message_of(draw: Any, name: str, depth: int) -> dict[str, Any]:
    found: dict[str, Any] = {}
    rows = [row for row in ALL[name] if depth > 0 or row.element in SCALARS]
    group = [row for row in rows if row.presence == ONE]
    chosen = draw(st.sampled_from(group)) if group and draw(st.booleans()) else None
    for row in rows:
        if row is chosen or (row not in group and draw(st.booleans())):
            found[row.name] = draw(field_of(row, depth))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("name", TETRAGON)
@settings(max_examples=12, deadline=None)
@given(data=st.data())
def test_bytes_and_json_are_protobufs(name: str, data: Any) -> None:
    """Ours are read by protobuf as what they were made of, and protobuf's by us."""
    value = data.draw(message_of(name, 2))
    theirs = proto.from_json(name, value)
    ours = codec.encode(name, value)
    assert proto.message_class(name).FromString(ours) == theirs
    shown = codec.decode(name, theirs.SerializeToString())
    if name != "ExecutedFile":
        assert shown == proto.to_json(theirs)
    assert codec.decode(name, ours) == shown
    order = [row.name for row in ALL[name]]
    assert list(shown) == sorted(shown, key=order.index)


@settings(max_examples=300, deadline=None)
@given(data=st.binary(max_size=60), name=st.sampled_from(TETRAGON))
def test_any_bytes_are_read_or_refused(data: bytes, name: str) -> None:
    """And what protobuf reads, we do not refuse without a reason."""
    try:
        codec.decode(name, data)
    except WireError:
        pass


def test_a_message_in_two_parts_is_one() -> None:
    """As protobuf merges them; of a group of fields the last one counts."""
    first = codec.encode("GetEventsResponse", {"process_exec": {"process": {"binary": "/a"}}})
    more = codec.encode("GetEventsResponse", {"process_exec": {"process": {"cwd": "/"}}})
    both = codec.decode("GetEventsResponse", first + more)
    assert both == {"process_exec": {"process": {"cwd": "/", "binary": "/a"}}}
    assert both == proto.to_json(proto.message_class("GetEventsResponse").FromString(first + more))
    other = codec.encode("GetEventsResponse", {"process_exit": {}})
    assert codec.decode("GetEventsResponse", first + other) == {"process_exit": {}}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("GetEventsRequest", {"nothing": 1}),
        ("GetEventsRequest", {"allow_list": [{"event_set": ["PROCESS_NONE"]}]}),
        ("GetEventsRequest", {"aggregation_options": {"window_size": "soon"}}),
        ("Process", {"pid": "x"}),
        ("Process", {"start_time": "yesterday"}),
    ],
)
def test_what_does_not_fit_is_refused(name: str, value: dict[str, Any]) -> None:
    """By name."""
    with pytest.raises(WireError):
        codec.encode(name, value)


def test_nesting_has_an_end() -> None:
    """A hundred messages in each other, as protobuf has it."""
    with pytest.raises(WireError, match="too deep"):
        codec.decode("DescriptorProto", nested(150))
    assert codec.decode("DescriptorProto", nested(2)) == {"nested_type": [{"nested_type": [{}]}]}


def nested(levels: int) -> bytes:
    data = b""
    for _ in range(levels):
        data = b"\x1a" + sized(data)
    return data


def test_every_message_has_a_file() -> None:
    """And every group of fields a name; protobuf's own are in google/protobuf."""
    files = [name for one in FILES for name in one.messages]
    assert set(MESSAGES) <= set(files)
    for name, rows in ALL.items():
        if any(row.presence == ONE for row in rows):
            assert name in ONEOFS, name
        assert all(row.presence != OPTIONAL or name not in GOOGLE for row in rows)
