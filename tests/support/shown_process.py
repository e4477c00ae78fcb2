# SPDX-License-Identifier: Apache-2.0
"""Processes with every field set, for tests of how they are shown, and messages by the schema."""

from __future__ import annotations

import importlib
import json
from typing import Any

from hypothesis import strategies as st

from tests.support.records import NODE
from tetrapy.events import flags
from tetrapy.events.credentials import (
    PRIVILEGES_CHANGED,
    BinaryProperties,
    Capabilities,
    Credentials,
)
from tetrapy.events.executed import ExecutedFile
from tetrapy.events.namespaces import Namespaces
from tetrapy.events.process import DetailedProcess, ExecutedProcess, Process, UnknownProcess
from tetrapy.events.schema import CONVERSIONS, FIELDS, PROCESS
from tetrapy.events.schema.field import ALWAYS, BEGUN, EXEC, KNOWN, SELF, Field
from tetrapy.visible import json_bytes

# All of Unicode that is text, with what encoders treat in their own way drawn often.
texts = st.text(
    st.characters(exclude_categories=["Cs"])
    | st.sampled_from(
        '"\\/\0\x01\x08\t\n\x0b\x0c\r\x1f\x7f\x80\x9f\u2028\u2029\ufeff\ufffd\U0001f600'
    ),
    max_size=20,
)
numbers = st.integers(0, 2**64 - 1)
ids = st.integers(0, 2**32 - 1)


def plain(value: Any) -> bytes:
    """The standard library's encoder, writing what protojson does but for what is not seen."""
    return json_bytes(json.dumps(value, ensure_ascii=False, separators=(",", ":")))


def process(kind: type[Process] = Process, /, **fields: Any) -> Process:
    """A process with every field set, but for those given."""
    made = kind(NODE.encode(), 42, 5, 10_000_000_000)
    values = {
        "uid": 0,
        "auid": 1000,
        "cwd": "/root",
        "binary": "/usr/bin/id",
        "arguments": "-u",
        "flags": flags.EXECVE | flags.CLONE,
        "start_time": "2026-01-01T00:00:00.123456789Z",
        "docker": "0123456789abcdef0123456789abcde",
        "parent_exec_id": "cGFyZW50",
        "refcnt": 1,
        "in_init_tree": True,
    }
    for name, value in {**values, **fields}.items():
        setattr(made, name, value)
    return made


def detailed(**fields: Any) -> Process:
    """A process with all that settings can ask for."""
    host = Namespaces(*range(1, 11))
    details = {
        "user": "ann",
        "capabilities": Capabilities(3, 1, 0),
        "credentials": Credentials(1, 2, 3, 4, 5, 6, 7, 8, 0),
        "namespaces": host._replace(net=99).shown(host),
        "environment": (("PATH", "/bin"), ("EMPTY", ""), ("invalid", "x")),
        "binary_properties": BinaryProperties(setuid=0),
    }
    return process(DetailedProcess, **{**details, **fields})


@st.composite
def any_process(draw: st.DrawFn) -> Process:
    """Whatever the kernel and procfs may tell."""
    kind = draw(st.sampled_from([Process, DetailedProcess, ExecutedProcess, UnknownProcess]))
    made = process(
        kind,
        pid=draw(ids),
        uid=draw(ids),
        auid=draw(ids),
        node=draw(st.binary(max_size=9)),
        ktime=draw(numbers),
        flags=draw(st.integers(0, 2**27)),
        refcnt=draw(st.integers(0, 2)),
        in_init_tree=draw(st.booleans()),
        **{name: draw(texts) for name in ("cwd", "binary", "arguments", "docker")},
    )
    if isinstance(made, DetailedProcess):
        made.user = draw(texts)
        made.environment = tuple(draw(st.lists(st.tuples(texts, texts), max_size=3)))
        made.credentials = draw(st.none() | st.builds(Credentials, *[ids] * 9))
        made.capabilities = draw(st.none() | st.builds(Capabilities, *[numbers] * 3))
        places = st.builds(Namespaces, *[st.integers(0, 3)] * 10)
        made.namespaces = draw(st.none() | st.builds(Namespaces.shown, places, places))
        made.binary_properties = draw(st.none() | st.builds(BinaryProperties, *some_properties()))
    made.executed = draw(st.none() | some_file())
    return made


def some_file() -> st.SearchStrategy[ExecutedFile]:
    """A file that was executed, whatever is known of it."""
    return st.builds(ExecutedFile, texts, numbers, ids, ids, *[st.booleans()] * 5)


def some_properties() -> list[st.SearchStrategy[Any]]:
    """What may be odd about a binary."""
    reasons = st.lists(st.sampled_from(PRIVILEGES_CHANGED), unique=True).map(tuple)
    return [st.none() | ids, st.none() | ids, reasons, st.none() | some_file()]


def message(name: str, of: Any) -> dict[str, Any]:
    """The message of an object as a plain value, row by row of the schema."""
    out: dict[str, Any] = {}
    for row in FIELDS[name].values():
        if not row.is_filled or (name == PROCESS and not is_shown(row, of)):
            continue
        value = value_of(row, of)
        is_sure = row.presence in {ALWAYS, BEGUN, KNOWN}
        if is_sure or (value is not None if row.type.endswith("Value") else value):
            out[row.name] = content_of(row, value)
    return out


def is_shown(row: Field, of: Process) -> bool:
    """Whether the kind of process shows the field at all."""
    if isinstance(of, UnknownProcess):
        return row.presence in {ALWAYS, BEGUN}
    if isinstance(of, ExecutedProcess):
        return True
    return row.presence != EXEC and (isinstance(of, DetailedProcess) or not row.setting)


def value_of(row: Field, of: Any) -> Any:
    """The value of a field, by its source."""
    if row.source == SELF:
        value = of
    elif row.source.startswith("["):
        value = of[int(row.source[1:-1])]
    else:
        value = getattr(of, row.source)
    if row.through:
        value = getattr(importlib.import_module(CONVERSIONS[row.through]), row.through)(value)
    return value


def content_of(row: Field, value: Any) -> Any:
    """The same as protojson has it."""
    if row.is_repeated:
        inner = row._replace(type=row.element)
        return [content_of(inner, one) for one in value]
    if row.type in FIELDS:
        return message(row.type, value)
    return str(value) if row.type == "uint64" else value


def fields(of: Process) -> dict[str, Any]:
    """The message of a process, out of its JSON."""
    read: dict[str, Any] = json.loads(of.encoded())
    return read
