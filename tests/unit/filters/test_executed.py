# SPDX-License-Identifier: Apache-2.0
"""Filters by binary, where the caller wrote one path and executed another file."""

from __future__ import annotations

import json

import pytest

from tests.support.records import Task, World, exec_file, execute
from tetrapy.events.event import Event
from tetrapy.filters.lists import Abilities, parse_list
from tetrapy.filters.redaction import parse_redaction

PARENT, TASK, CHILD = Task(10), Task(11), Task(12)
ABILITIES = Abilities(ancestors=frozenset({"PROCESS_EXEC"}))
APT = "^/usr/bin/apt$"
CEL = "process_exec.process.binary == '/usr/bin/apt'"


def events(path: bytes, file: bytes, cgroup: bytes = b"x") -> tuple[Event, Event]:
    """An exec, and that of its child."""
    world = World(ancestors=True)
    first = world.one(execute(TASK, PARENT, path=path, file=file, cgroup=cgroup + b"\0"))
    return first, world.one(execute(CHILD, TASK, path=b"/bin/true", at=99))


def holds(event: Event, list_name: str, **fields: object) -> bool:
    made = parse_list(json.dumps(fields), "a-list", ABILITIES, list_name == "allow")
    assert made is not None
    return made.matches(event)


FORGED = exec_file(b"/tmp/evil")
LINKED = exec_file(b"/usr/bin/apt")
FOREIGN = exec_file(b"/usr/bin/apt", "FILE_FOREIGN")
PARTIAL = exec_file(b"/usr/bin/apt", "FILE_PARTIAL")


@pytest.mark.slow
@pytest.mark.parametrize(
    ("path", "file", "denied", "allowed"),
    [
        (b"/usr/bin/apt", b"", True, True),
        (b"/usr/bin/apt", FORGED, False, True),
        (b"/tmp/link", LINKED, False, True),
        (b"/usr/bin/apt", FOREIGN, False, True),
        (b"/usr/bin/apt", PARTIAL, False, True),
        (b"/tmp/evil", PARTIAL, False, True),
        (b"/tmp/evil", FORGED, False, False),
    ],
)
def test_a_deny_asks_for_both_and_an_allow_for_either(
    path: bytes, file: bytes, denied: bool, allowed: bool
) -> None:
    """Of the process, its parent and ancestors; in patterns and in expressions."""
    own, child = events(path, file)
    for name, expected in (("deny", denied), ("allow", allowed)):
        assert holds(own, name, binary_regex=[APT]) == expected
        assert holds(own, name, cel_expression=[CEL]) == expected
        assert holds(child, name, parent_binary_regex=[APT]) == expected
        parent = CEL.replace("process.binary", "parent.binary")
        assert holds(child, name, cel_expression=[parent]) == expected


def test_a_filter_may_mean_what_was_written() -> None:
    """As Tetragon does."""
    own, _ = events(b"/usr/bin/apt", FORGED)
    other, _ = events(b"/tmp/link", LINKED)
    for name in ("deny", "allow"):
        for fields in ({"binary_regex": [APT]}, {"cel_expression": [CEL]}):
            assert holds(own, name, **fields, written_path=True)
            assert not holds(other, name, **fields, written_path=True)


def test_a_filter_of_containers_asks_for_no_file_of_the_host() -> None:
    """But for one whose path agrees."""
    fields = {"binary_regex": [APT], "container_id": ["."]}
    for file, expected in ((FOREIGN, True), (exec_file(b"/tmp/evil", "FILE_FOREIGN"), False)):
        own, _ = events(b"/usr/bin/apt", file, b"docker-" + b"ab" * 32 + b".scope")
        assert own.process is not None
        assert own.process.docker
        assert holds(own, "deny", **fields) == expected


@pytest.mark.parametrize(("path", "file"), [(b"/usr/bin/apt", FORGED), (b"/tmp/link", LINKED)])
def test_redaction_goes_by_either(path: bytes, file: bytes) -> None:
    """No secret stays because its program has another name."""
    redactor = parse_redaction(json.dumps({"binary_regex": [APT], "redact": ["(secret)"]}), "x")
    assert redactor is not None
    own, _ = events(path, file)
    process = own.process
    assert process is not None
    shown, _ = redactor.redact(process.binary, "secret", (), process.executed)
    assert shown == "*****"
    shown, _ = redactor.redact("/bin/true", "secret", ())
    assert shown == "secret"
