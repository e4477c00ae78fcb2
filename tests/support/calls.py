# SPDX-License-Identifier: Apache-2.0
"""Records of calls as the programs of policies write them, and what turns them into events."""

from __future__ import annotations

import json
import struct
from functools import cache
from typing import TYPE_CHECKING, Any

from tests.support.json_schema import mistakes
from tests.support.paths import ROOT
from tests.support.records import NOWHERE, SECOND, Task, World, pack, policy_btf
from tetrapy.abi import layout
from tetrapy.sensors.policy.handler import CallHandler
from tetrapy.sensors.policy.hook import KPROBE, Hook, Hooks, HookValue

if TYPE_CHECKING:
    from collections.abc import Iterable

TASK = Task(50, 2 * SECOND)


@cache
def flags_of(enum: str) -> dict[str, int]:
    return layout.enum_values(policy_btf(), enum)


def bits(enum: str, names: Iterable[str]) -> int:
    return sum(flags_of(enum)[name] for name in names)


def value(index: int, data: bytes, *flags: str, detail: int = 0) -> bytes:
    """A value with its head; `flags` are names of enum call_value_flag."""
    head = layout.struct_layout(policy_btf(), "call_value")
    found = bits("call_value_flag", flags)
    fields = {"index": index, "flags": found, "size": len(data), "detail": detail}
    return layout.unpacker(head, list(fields)).pack(*fields.values()) + data


def number(index: int, content: int, *flags: str) -> bytes:
    """A number, as the kernel side sends all."""
    return value(index, struct.pack("<q" if content < 0 else "<Q", content), *flags)


def socket(**fields: Any) -> bytes:
    """A struct call_socket; members that are not named are zero."""
    found = layout.struct_layout(policy_btf(), "call_socket")
    values = {
        name: b"" if member.format.endswith("s") else 0 for name, member in found.members.items()
    }
    assert not set(fields) - set(values)
    values.update(fields)
    return bytes(layout.unpacker(found, list(values)).pack(*values.values()))


def call(
    hook: int,
    *values: bytes,
    task: Task = TASK,
    tid: int | None = None,
    at: int = 3 * SECOND,
    flags: Iterable[str] = (),
    selector: int = 0,
    **fields: int,
) -> bytes:
    """`flags` are names of enum call_flag."""
    body = b"".join(values)
    members = {
        "ktime": at,
        "start": task.start,
        "pid": task.pid,
        "tid": task.pid if tid is None else tid,
        "hook": hook,
        "selector": selector,
        "flags": bits("call_flag", flags),
        "values_size": len(body),
    }
    return pack("call", body, **{**members, **fields})


def kprobe(*types: str, **fields: Any) -> Hook:
    """A hook on `do_it` that reads arguments of these types."""
    values = tuple(HookValue(one) for one in types)
    return Hook(**{"kind": KPROBE, "policy": "p", "target": ("do_it",), "values": values, **fields})


class CallWorld(World):
    """The path from records to lines, with policies."""

    def __init__(
        self, procfs: str = NOWHERE, with_ancestors: frozenset[str] = frozenset(), **more: Any
    ) -> None:
        super().__init__(procfs, **more)
        self.hooks = Hooks()
        self.calls = CallHandler(policy_btf(), self.dispatcher, self.hooks, with_ancestors)


SCHEMA = json.loads((ROOT / "docs/events.schema.json").read_text())
INIT = Task(1, SECOND)


def body(world: CallWorld, record: bytes) -> dict[str, Any]:
    """The message of the event of a record."""
    line = json.loads(world.line(world.one(record)))
    assert mistakes(line, SCHEMA, strict=True) == []
    (message,) = (line[name] for name in line if name.startswith("process_"))
    assert isinstance(message, dict)
    return message
