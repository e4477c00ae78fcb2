# SPDX-License-Identifier: Apache-2.0
"""Records as the kernel writes them, and what turns them into events, for the tests.

The layouts come from a copy of the .BTF section of the built object, so that the tests need no
build; tests/unit/events/test_golden.py holds copy and build together.
`PYTHONPATH=agent python -m tests.support.records` brings the copy, and the golden records that are
made by it, up to date.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.support.paths import DATA, ROOT
from tetrapy.abi import layout
from tetrapy.abi.btf import Btf
from tetrapy.abi.elf import section_data
from tetrapy.events.decoder import EventAbi
from tetrapy.events.event import Event
from tetrapy.events.json import JsonEncoder
from tetrapy.events.process import Process
from tetrapy.kernel.clock import WallClock
from tetrapy.process.budget import LIMIT
from tetrapy.process.table import CAPACITY, ProcessTable
from tetrapy.process.tracker import ProcessTracker
from tetrapy.sensors.base_handler import BaseHandler

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from tetrapy.process.details import Details
    from tetrapy.sensors.base_handler import KernelSide

DATA = DATA / "events"
BTF_COPY = DATA / "base.btf"
OBJECT = ROOT / "build/bundle/bpf/base.bpf.o"
POLICY_COPY = DATA / "policy.btf"
POLICY_OBJECT = OBJECT.with_name("policy.bpf.o")

NODE = "host1"
NOWHERE = "/nonexistent/"  # a procfs that shows nothing
EPOCH = 1_767_225_600_000_000_000  # 2026-01-01T00:00:00Z is the boot of the tests' machine
UNSET = 0xFFFFFFFF
SECOND = 1_000_000_000


@lru_cache(maxsize=1)
def btf() -> Btf:
    """The types of the object, from the committed copy."""
    return Btf(BTF_COPY.read_bytes())


@lru_cache(maxsize=1)
def policy_btf() -> Btf:
    """The types of the object of policies, from the committed copy."""
    return Btf(POLICY_COPY.read_bytes())


@lru_cache(maxsize=1)
def abi() -> EventAbi:
    return EventAbi(btf())


def pack(kind: str, tail: bytes = b"", /, **fields: int) -> bytes:
    """A record of this kind; members that are not named are zero, the header fills itself."""
    struct_layout = layout.struct_layout(btf(), f"{kind}_event")
    values = {name.replace("header.", ""): 0 for name in struct_layout.members}
    unknown = set(fields) - set(values)
    assert not unknown, f"{kind} has no {unknown}"
    values.update(kind=abi().decoders[kind].kind, size=struct_layout.size + len(tail))
    values.update(fields)
    names = list(struct_layout.members)
    packed = layout.unpacker(struct_layout, names).pack(*values.values())
    return bytes(packed) + tail


class Task(NamedTuple):
    """A process, whatever image it runs."""

    pid: int
    start: int = 0


def fork(
    child: Task,
    creator: Task,
    parent: Task | None = None,
    at: int | None = None,
    inner_pid: int = 0,
) -> bytes:
    """`parent` differs from `creator` with CLONE_PARENT."""
    parent = creator if parent is None else parent
    return pack(
        "fork",
        ktime=child.start + 10 if at is None else at,
        start=child.start,
        pid=child.pid,
        parent_pid=parent.pid,
        parent_start=parent.start,
        creator_pid=creator.pid,
        creator_start=creator.start,
        inner_pid=inner_pid,
    )


def arguments_area(argv: Sequence[bytes]) -> bytes:
    """Arguments as they lie in memory of the new image."""
    return b"".join(argument + b"\0" for argument in argv)


def execute(
    task: Task,
    parent: Task,
    path: bytes = b"/bin/true",
    argv: Sequence[bytes] = (b"true",),
    cwd: bytes = b"/root",
    cgroup: bytes = b"init.scope",
    at: int | None = None,
    flags: Iterable[str] = (),
    fork_parent: Task | None = None,
    context: bytes = b"",
    file: bytes = b"",
    **fields: int,
) -> bytes:
    """`flags` are names of enum exec_flag; any other member can be given by name.

    With a `fork_parent` the exec tells of its own fork. The real uid is the effective one unless it
    is given.
    """
    area = arguments_area(argv)
    if fork_parent is not None:
        flags = [*flags, "EXEC_CLONED"]
        fields = {
            "fork_parent_pid": fork_parent.pid,
            "fork_parent_start": fork_parent.start,
            **fields,
        }
    values = {
        "ktime": task.start + 20 if at is None else at,
        "start": task.start,
        "parent_start": parent.start,
        "pid": task.pid,
        "parent_pid": parent.pid,
        "auid": UNSET,
        "real_uid": fields.get("uid", 0),
        "flags": sum(abi().exec_flags[name] for name in flags),
        "path_size": len(path),
        "args_size": len(area),
        "cwd_size": len(cwd),
        "cgroup_size": len(cgroup),
        "file_size": len(file),
        "context_size": len(context),
    }
    return pack("exec", path + area + cwd + cgroup + context + file, **{**values, **fields})


def exec_file(path: bytes, *flags: str, inode: int = 77, links: int = 1, device: int = 0) -> bytes:
    """A struct exec_file with the file's path; `flags` are names of enum file_flag."""
    struct_layout = layout.struct_layout(btf(), "exec_file")
    values = dict.fromkeys(struct_layout.members, 0)
    found = sum(abi().file_flags[flag] for flag in flags)
    values.update(inode=inode, links=links, device=device, flags=found)
    return bytes(layout.unpacker(struct_layout, list(values)).pack(*values.values())) + path


def exec_context(**fields: int) -> bytes:
    """A struct exec_context; members that are not named are zero."""
    struct_layout = layout.struct_layout(btf(), "exec_context")
    values = dict.fromkeys(struct_layout.members, 0)
    unknown = set(fields) - set(values)
    assert not unknown, f"exec_context has no {unknown}"
    values.update(fields)
    return bytes(layout.unpacker(struct_layout, list(values)).pack(*values.values()))


def chunks(task: Task, area: bytes, at: int, what: str = "AREA_ARGS") -> list[bytes]:
    """Long arguments, or an environment, as they travel ahead of their exec."""
    step = abi().limits["ARGS_CHUNK"]
    return [
        pack(
            "args",
            area[offset : offset + step],
            ktime=at,
            pid=task.pid,
            offset=offset,
            args_size=len(area[offset : offset + step]),
            area=abi().areas[what],
        )
        for offset in range(0, len(area), step)
    ]


def long_exec(task: Task, parent: Task, argv: Sequence[bytes], at: int) -> list[bytes]:
    """The records of an exec whose arguments travel apart."""
    area = arguments_area(argv)
    last = execute(task, parent, argv=(), at=at, flags=["EXEC_ARGS_APART"], args_size=len(area))
    return [*chunks(task, area, at), last]


def environment_exec(task: Task, parent: Task, area: bytes, at: int, **fields: Any) -> list[bytes]:
    """The records of an exec that has this environment area."""
    last = execute(task, parent, at=at, env_size=len(area), **fields)
    return [*chunks(task, area, at, "AREA_ENV"), last]


def exit_of(task: Task, code: int = 0, at: int | None = None, deferred_children: int = 0) -> bytes:
    when = task.start + 30 if at is None else at
    return pack(
        "exit",
        ktime=when,
        start=task.start,
        pid=task.pid,
        code=code,
        deferred_children=deferred_children,
    )


def throttle(cgroup_id: int, name: bytes, at: int) -> bytes:
    return pack("throttle", name, ktime=at, cgroup_id=cgroup_id, cgroup_size=len(name))


def wall_clock() -> WallClock:
    """A clock that does not depend on the machine's."""
    clock = WallClock()
    clock.offset = EPOCH
    return clock


class World:
    """The path from records to lines, with a clock that stands still."""

    def __init__(
        self,
        procfs: str = NOWHERE,
        *,
        capacity: int = CAPACITY,
        details: Details | None = None,
        ancestors: bool = False,
        max_bytes: int = LIMIT,
        kernel: KernelSide | None = None,
    ) -> None:
        self.table = ProcessTable(NODE, procfs, capacity, details, ancestors, max_bytes)
        clock = wall_clock()
        self.tracker = ProcessTracker(self.table, clock, abi(), details)
        self.dispatcher = BaseHandler(abi(), self.tracker, clock, None, kernel)
        self.encoder = JsonEncoder(NODE)

    def feed(self, *records: bytes) -> list[Event]:
        """The events of the records, encoded once each as the exporter does."""
        events = []
        for record in records:
            for event in self.dispatcher.events([record]):
                self.encoder.encode(event)
                events.append(event)
        return events

    def one(self, record: bytes) -> Any:
        """The only event of the record."""
        (event,) = self.feed(record)
        return event

    def line(self, event: Event) -> bytes:
        return self.encoder.encode(event)

    @property
    def live(self) -> dict[int, Process]:
        """The table by pid, without the kernel's own entry."""
        return {process.pid: process for process in self.table if process.pid}


def refresh() -> None:
    """Take the built object's types over, and write the golden records with them."""
    for copy, object_file in ((BTF_COPY, OBJECT), (POLICY_COPY, POLICY_OBJECT)):
        copy.write_bytes(section_data(object_file.read_bytes(), ".BTF"))
    btf.cache_clear()
    policy_btf.cache_clear()
    abi.cache_clear()
    from tests.support import golden_cases  # makes records at once

    for name, records in golden_cases.cases().items():
        (DATA / f"{name}.bin").write_bytes(b"".join(records))


if __name__ == "__main__":
    from tests.support import records as module  # the one that the cases use

    module.refresh()
