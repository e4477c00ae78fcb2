# SPDX-License-Identifier: Apache-2.0
"""The file that was executed, where it is not what the path says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.records import Task, World, abi, exec_file, execute, fork
from tetrapy.events.executed import UNREPORTED, ExecutedFile

PARENT, TASK = Task(10), Task(11)
SDA1 = 8 << 20 | 1


@pytest.fixture
def world() -> World:
    return World()


def run(world: World, file: bytes, **fields: Any) -> dict[str, Any]:
    """The process of the exec's event, as JSON."""
    event = world.one(execute(TASK, PARENT, file=file, **fields))
    shown = json.loads(world.line(event))["process_exec"]["process"]
    assert isinstance(shown, dict)
    return shown


def test_a_file_that_agrees_is_not_reported(world: World) -> None:
    """Neither without the part, nor where the text of a relative path leads to the file."""
    for path, file in ((b"/bin/ls", b""), (b"../bin/ls", exec_file(b"/bin/ls"))):
        shown = run(world, file, path=path, cwd=b"/usr")
        assert shown["binary"] == "/bin/ls"
        assert not {"binary_properties", "executed_file", "refcnt"} & set(shown)


def test_another_file_is_reported(world: World) -> None:
    """At Tetragon's place, and beside it what has no place there."""
    shown = run(world, exec_file(b"/tmp/apt", device=SDA1), path=b"/usr/bin/apt")
    assert shown["binary"] == "/usr/bin/apt"
    file = {"inode": {"number": "77", "links": 1}, "path": "/tmp/apt"}
    assert shown["binary_properties"] == {"file": file}
    assert shown["executed_file"] == {"device": "8:1"}
    assert "refcnt" not in shown


@pytest.mark.parametrize(
    ("flag", "name"),
    [
        ("FILE_DELETED", "deleted"),
        ("FILE_FOREIGN", "foreign"),
        ("FILE_INTERPRETER", "interpreter"),
        ("FILE_PARTIAL", "partial"),
    ],
)
def test_each_finding_is_reported(world: World, flag: str, name: str) -> None:
    """Even where the paths agree."""
    assert len(abi().file_flags) == 4
    shown = run(world, exec_file(b"/bin/ls", flag), path=b"/bin/ls")
    assert shown["executed_file"] == {name: True}


def test_a_container_has_files_of_its_own(world: World) -> None:
    """That they are not the host's is reported only of a process outside."""
    cgroup = b"docker-" + b"ab" * 32 + b".scope"
    file = exec_file(b"/bin/ls", "FILE_FOREIGN")
    assert "executed_file" not in run(world, file, path=b"/bin/ls", cgroup=cgroup)
    assert "executed_file" in run(world, file, path=b"/bin/../bin/ls", cgroup=cgroup)


def test_a_setting_switches_it_off() -> None:
    """Filters go by it all the same."""
    world = World()
    world.table.with_files = False
    event = world.one(
        execute(TASK, PARENT, path=b"/bin/ls", file=exec_file(b"/tmp/ls", device=SDA1))
    )
    assert b"executed_file" not in world.line(event)
    assert event.process is not None
    assert event.process.executed == ExecutedFile("/tmp/ls", 77, 1, SDA1, reported=False)


def test_an_image_that_was_suppressed_is_not_believed(world: World) -> None:
    """What its file was has been forgotten; that it was another has not."""
    event = world.one(execute(TASK, PARENT, path=b"/bin/ls", flags=["EXEC_FILE_UNREPORTED"]))
    assert event.process is not None
    assert event.process.executed is UNREPORTED
    assert b"executed_file" not in world.line(event)


def test_a_child_runs_its_creators_file(world: World) -> None:
    """It is that of the image, but no exec that would tell of it."""
    world.feed(execute(TASK, PARENT, path=b"/bin/ls", file=exec_file(b"/tmp/ls")))
    world.feed(fork(Task(12, 30), TASK))
    child = world.table.at(12)
    assert child is not None
    assert child.executed is not None
    assert child.executed.path == "/tmp/ls"


def test_a_part_cut_short_makes_no_sense(world: World) -> None:
    """It is counted, and nothing is raised."""
    assert not world.feed(execute(TASK, PARENT, path=b"/bin/ls", file=b"\0" * 8))
    assert world.dispatcher.errors == 1


def test_a_removed_directory_is_reported(world: World) -> None:
    """As procfs and Tetragon do."""
    event = world.one(execute(TASK, PARENT, cwd=b"/tmp/x", flags=["EXEC_CWD_DELETED"]))
    assert event.process is not None
    assert event.process.cwd == "/tmp/x (deleted)"
