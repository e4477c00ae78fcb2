# SPDX-License-Identifier: Apache-2.0
"""Decoders built from the object's types: what does not fit is refused at the start."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import abi, btf, exec_context, pack
from tetrapy.abi import layout
from tetrapy.errors import LayoutError
from tetrapy.events import decoder as module
from tetrapy.events.decoder import EventAbi
from tetrapy.events.records import (
    ArgsRecord,
    ContextRecord,
    ExecRecord,
    ExitRecord,
    ForkRecord,
    ThrottleRecord,
)

RECORDS = {
    "exec": ExecRecord,
    "args": ArgsRecord,
    "fork": ForkRecord,
    "exit": ExitRecord,
    "throttle": ThrottleRecord,
}


@pytest.mark.slow
@pytest.mark.parametrize("kind", sorted(RECORDS))
@given(data=st.data())
def test_each_field_comes_from_its_place(kind: str, data: st.DataObject) -> None:
    """Whatever numbers a record holds, the typed record has them under their names."""
    struct = layout.struct_layout(btf(), f"{kind}_event")
    values = {}
    for name in RECORDS[kind]._fields:
        member = struct.members.get(name) or struct.members[f"header.{name}"]
        values[name] = data.draw(st.integers(0, 256**member.size - 1))
    record = pack(kind, **values)
    decoder = abi().decoders[kind]
    assert decoder.make(decoder.unpack(record))._asdict() == values
    assert abi().ktime_of(record) == values["ktime"]
    assert record[abi().kind_offset] == decoder.kind


@pytest.mark.slow
@given(data=st.data())
def test_each_field_of_a_context_comes_from_its_place(data: st.DataObject) -> None:
    """The same of the part that tells of credentials and namespaces."""
    struct = layout.struct_layout(btf(), "exec_context")
    values = {
        name: data.draw(st.integers(0, 256 ** struct.members[name].size - 1))
        for name in ContextRecord._fields
    }
    record = exec_context(**values)
    assert len(record) == abi().context_size
    assert ContextRecord._make(abi().unpack_context(record))._asdict() == values


def test_a_context_lacks_no_member() -> None:
    """What the kernel side fills in is read, all of it."""
    assert set(ContextRecord._fields) == set(layout.struct_layout(btf(), "exec_context").members)


def test_a_kind_that_the_agent_does_not_know(monkeypatch: pytest.MonkeyPatch) -> None:
    """An object with one more kind is not for this agent; both sides are listed."""
    members = {**layout.union_members(btf(), "event"), "connect": "connect_event"}
    monkeypatch.setattr(module, "union_members", lambda *_: members)
    with pytest.raises(LayoutError, match=r"connect.*union event has args, call, connect, .*agent"):
        EventAbi(btf())


def test_a_kind_that_the_object_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is one with a kind less."""
    members = layout.union_members(btf(), "event")
    monkeypatch.setattr(
        module, "union_members", lambda *_: {k: v for k, v in members.items() if k != "fork"}
    )
    with pytest.raises(LayoutError, match=r"kinds fork are known on one side only"):
        EventAbi(btf())


def test_a_kind_without_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each member of union event has its enumerator, named alike."""
    values = layout.enum_values(btf(), "event_kind")
    monkeypatch.setattr(
        module, "enum_values", lambda *_: {k: v for k, v in values.items() if k != "EVENT_EXIT"}
    )
    with pytest.raises(LayoutError, match="EVENT_EXIT"):
        EventAbi(btf())


def test_a_field_that_the_object_does_not_have(monkeypatch: pytest.MonkeyPatch) -> None:
    """The structure, the missing field and the fields that are there are named."""

    class Wishful(NamedTuple):
        ktime: int
        start: int
        pid: int
        euid: int

    monkeypatch.setitem(module._RECORDS, "exit", Wishful)
    with pytest.raises(LayoutError, match=r"exit_event.*euid.*code"):
        EventAbi(btf())
