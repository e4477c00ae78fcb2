# SPDX-License-Identifier: Apache-2.0
"""What a line of the export file says, and what every line has to keep to."""

from __future__ import annotations

import base64
import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

# The fields of Tetragon's messages in the order of their numbers.
PROCESS_FIELDS = (
    "exec_id pid uid cwd binary arguments flags start_time auid pod docker parent_exec_id refcnt "
    "cap ns tid process_credentials binary_properties user in_init_tree "
    "environment_variables executed_file"
).split()
EXEC_FIELDS = ["process", "parent", "ancestors"]
EXIT_FIELDS = ["process", "parent", "signal", "status", "time", "ancestors"]
EVENT_FIELDS = ["process_exec", "process_exit", "node_name", "time"]

# What a Process has whatever happened.
ALWAYS = {"exec_id", "pid", "uid", "flags", "start_time", "auid", "parent_exec_id", "tid"}
ALWAYS.add("in_init_tree")

# protojson: 0, 3, 6 or 9 digits.
_TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(?:\.(\d{3}|\d{6}|\d{9}))?Z")


def nanoseconds(text: str) -> int:
    """A time stamp in ns since 1970. Raises AssertionError when it is not of protojson's form."""
    match = _TIME.fullmatch(text)
    assert match, f"{text!r} is no time stamp of protojson"
    second = datetime.fromisoformat(match[1]).replace(tzinfo=UTC)
    return int(second.timestamp()) * 1_000_000_000 + int((match[2] or "0").ljust(9, "0"))


class ExecId(NamedTuple):
    """What is in an exec_id."""

    node: str
    ktime: int
    pid: int


def exec_id(text: str) -> ExecId:
    """The parts of an exec_id."""
    node, ktime, pid = base64.b64decode(text, validate=True).decode().rsplit(":", 2)
    return ExecId(node, int(ktime), int(pid))


class Event:
    """One event; `process` and `parent` are the JSON objects of those names."""

    def __init__(self, line: bytes) -> None:
        self.line = line
        self.json: dict[str, Any] = json.loads(line)
        (kind,) = [name for name in self.json if name.startswith("process_")]
        self.kind = kind.removeprefix("process_")
        self.body: dict[str, Any] = self.json[kind]
        self.process: dict[str, Any] = self.body["process"]
        self.parent: dict[str, Any] | None = self.body.get("parent")

    def __repr__(self) -> str:
        return self.line.decode(errors="replace")

    @property
    def pid(self) -> int:
        return self.process["pid"]

    @property
    def id(self) -> str:
        return self.process.get("exec_id", "")

    @property
    def arguments(self) -> str:
        return self.process.get("arguments", "")

    @property
    def binary(self) -> str:
        return self.process.get("binary", "")

    @property
    def flags(self) -> list[str]:
        return self.process.get("flags", "").split()

    @property
    def status(self) -> int:
        return self.body.get("status", 0)

    @property
    def signal(self) -> str:
        return self.body.get("signal", "")

    def is_of(self, tag: str) -> bool:
        return tag in self.binary or tag in self.arguments


def _in_order(names: list[str], order: list[str], where: str, line: str) -> None:
    known = [order.index(name) for name in names if name in order]
    assert len(known) == len(names), f"{where}: unknown among {names}: {line}"
    assert known == sorted(known), f"{where}: {names} not in the order of numbers: {line}"


def check_process(process: dict[str, Any], line: str) -> None:
    """What holds for every Process that is known."""
    _in_order(list(process), PROCESS_FIELDS, "process", line)
    missing = ALWAYS - set(process)
    assert not missing, f"without {missing}: {line}"
    parts = exec_id(process["exec_id"])
    assert parts.pid == process["pid"] == process["tid"], line
    exec_id(process["parent_exec_id"])
    nanoseconds(process["start_time"])
    empty = [name for name, value in process.items() if value == ""]
    assert not empty, f"empty, so to be left out: {empty}: {line}"
    assert isinstance(process["in_init_tree"], bool)
    assert process["in_init_tree"] == ("inInitTree" in process["flags"].split()), line


def check_event(event: Event) -> None:
    """What holds for every event, whatever it tells."""
    line = repr(event)
    assert "\ufffd\ufffd" not in line, f"a run of invalid bytes is one replacement: {line}"
    assert ", " not in event.line.decode().split('"arguments"', maxsplit=1)[0], line
    _in_order(list(event.json), EVENT_FIELDS, "event", line)
    assert list(event.json)[1:] == ["node_name", "time"], line
    fields = EXEC_FIELDS if event.kind == "exec" else EXIT_FIELDS
    _in_order(list(event.body), fields, "body", line)
    if "exec_id" in event.process:
        check_process(event.process, line)
    if event.parent is not None:
        check_process(event.parent, line)
        assert event.parent["exec_id"] == event.process["parent_exec_id"], line
    assert event.process.get("start_time"), line
    time = nanoseconds(event.json["time"])
    if event.kind == "exec":
        assert event.json["time"] == event.process["start_time"], line
    else:
        assert event.body["time"] == event.json["time"], line
        assert time >= nanoseconds(event.process["start_time"]), line
        assert event.body.get("status") != 0, f"a status of 0 is left out: {line}"
        assert event.body.get("signal") != "", line


def check_stream(events: list[Event], lost: Callable[[], int] = lambda: 0) -> None:
    """What holds for all events of a machine, from the first line on.

    One exec event and at most one exit event an image, the exit behind the exec, parents before
    their children. As many exec events may be missing as records were `lost`, which is asked last.
    """
    executed: set[str] = set()
    exited: set[str] = set()
    without_exec = []
    for event in events:
        check_event(event)
        if not event.id:
            continue
        if event.kind == "exec":
            assert event.id not in executed, f"twice: {event}"
            executed.add(event.id)
            assert event.id not in exited, f"behind its exit: {event}"
        else:
            assert event.id not in exited, f"twice: {event}"
            exited.add(event.id)
            # Processes that never executed have none, nor have the kernel's threads.
            told = event.process.get("refcnt") or event.binary.startswith("[")
            if not told and event.id not in executed:
                without_exec.append(event)
    if without_exec:
        assert len(without_exec) <= lost(), f"exits without an exec event: {without_exec}"
