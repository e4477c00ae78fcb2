# SPDX-License-Identifier: Apache-2.0
"""What is added to a process for those who ask."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.procfs import FakeProcfs
from tests.support.records import (
    SECOND,
    Task,
    World,
    abi,
    environment_exec,
    exec_context,
    execute,
    exit_of,
    fork,
)
from tests.support.shown_process import fields
from tetrapy.events.credentials import BinaryProperties, Capabilities, Credentials
from tetrapy.events.executed import ExecutedFile
from tetrapy.events.namespaces import Namespaces
from tetrapy.events.process import Process
from tetrapy.process import details as module
from tetrapy.process.details import Details, Wanted

HOST = Namespaces(*range(101, 111))
INIT = Task(1, SECOND)
TASK = Task(50, 2 * SECOND)
CHILD = Task(51, 3 * SECOND)
ALL = Wanted(credentials=True, namespaces=True, users=True, environment=True)
PLACES = {f"{name}_ns": number for name, number in HOST._asdict().items()}


class FakeUsers:
    """Names of two users."""

    def __init__(self, root: str) -> None:
        """Whoever's."""

    def name(self, uid: int) -> str:
        return {0: "root", 1000: "ann"}.get(uid, "")


@pytest.fixture(autouse=True)
def users(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "Users", FakeUsers)


def world_of(wanted: Wanted, host: Namespaces | None = HOST, procfs: str = "/none") -> World:
    world = World(procfs, details=Details(wanted, abi(), host))
    world.feed(execute(INIT, Task(0), fork_parent=Task(0)))
    return world


def run(world: World, wanted: Wanted = ALL, **members: int) -> Process:
    """A process that was executed with these members of struct exec_context."""
    uid = members.get("euid", 0)
    record = execute(
        TASK, INIT, fork_parent=INIT, context=exec_context(**{**PLACES, **members}), uid=uid
    )
    process = world.one(record).process
    assert isinstance(process, Process)
    return process


def privileges(*names: str) -> int:
    return sum(abi().privileges[name] for name in names)


def test_nothing_is_reported_without_being_asked_for() -> None:
    """Not even if the kernel tells it."""
    world = world_of(Wanted(environment=True))
    message = fields(run(world, euid=1000, cap_permitted=1, inode=5))
    assert set(message) == {
        "exec_id", "pid", "uid", "cwd", "binary", "flags", "start_time", "auid",
        "parent_exec_id", "tid", "in_init_tree",
    }  # fmt: skip


def test_credentials() -> None:
    """Capabilities and ids of the record, each under its name."""
    process = run(
        world_of(Wanted(credentials=True)),
        cap_permitted=1,
        cap_effective=2,
        cap_inheritable=4,
        **{name: 1000 + at for at, name in enumerate(Credentials._fields[:8])},
        securebits=16,
    )
    assert process.capabilities == Capabilities(1, 2, 4)
    message = fields(process)
    assert message["cap"]["effective"] == ["DAC_OVERRIDE"]
    assert message["process_credentials"] == {
        "uid": 1000, "gid": 1001, "euid": 1002, "egid": 1003,
        "suid": 1004, "sgid": 1005, "fsuid": 1006, "fsgid": 1007,
        "securebits": ["SecBitKeepCaps"],
    }  # fmt: skip
    assert "ns" not in message
    assert "user" not in message


@pytest.mark.parametrize(
    ("found", "properties"),
    [
        ((), None),
        (("EXEC_SETUID",), BinaryProperties(setuid=500)),
        (
            ("EXEC_SETUID", "EXEC_SETUID_ROOT"),
            BinaryProperties(500, None, ("PRIVILEGES_RAISED_EXEC_FILE_SETUID",)),
        ),
        (("EXEC_SETGID",), BinaryProperties(setgid=600)),
        (
            ("EXEC_SETGID", "EXEC_SETGID_ROOT"),
            BinaryProperties(None, 600, ("PRIVILEGES_RAISED_EXEC_FILE_SETGID",)),
        ),
        (
            ("EXEC_FILE_CAPS",),
            BinaryProperties(privileges_changed=("PRIVILEGES_RAISED_EXEC_FILE_CAP",)),
        ),
        (
            ("EXEC_SETUID", "EXEC_SETUID_ROOT", "EXEC_SETGID", "EXEC_SETGID_ROOT"),
            BinaryProperties(
                500,
                600,
                ("PRIVILEGES_RAISED_EXEC_FILE_SETUID", "PRIVILEGES_RAISED_EXEC_FILE_SETGID"),
            ),
        ),
    ],
)
def test_what_made_an_execution_privileged(
    found: tuple[str, ...], properties: BinaryProperties | None
) -> None:
    """setuid and setgid tell the new ids; reasons are reported in the order of their numbers."""
    process = run(
        world_of(Wanted(credentials=True)), euid=500, egid=600, privileges=privileges(*found)
    )
    assert process.binary_properties == properties


def test_every_privilege_of_the_kernel_side_is_known() -> None:
    """No enumerator is without a test above."""
    assert set(abi().privileges) == {
        "EXEC_SETUID",
        "EXEC_SETUID_ROOT",
        "EXEC_SETGID",
        "EXEC_SETGID_ROOT",
        "EXEC_FILE_CAPS",
    }


def test_a_binary_without_a_name() -> None:
    """Its inode is reported, and that it has no links."""
    process = run(world_of(Wanted(credentials=True)), inode=2**33)
    assert process.binary_properties == BinaryProperties(file=ExecutedFile("", 2**33, 0, 0))


def test_binary_properties_are_shown_by_the_exec_alone() -> None:
    """Neither the exit nor a child's events show them; the exec shows its refcnt then."""
    world = world_of(Wanted(credentials=True))
    record = execute(TASK, INIT, fork_parent=INIT, context=exec_context(inode=5, **PLACES))
    began = world.one(record)
    child = world.one(execute(CHILD, TASK, fork_parent=TASK))
    ended = world.one(exit_of(TASK))
    message = json.loads(world.line(began))["process_exec"]["process"]
    names = list(message)
    assert message["binary_properties"] == {"file": {"inode": {"number": "5", "links": 0}}}
    assert names.index("binary_properties") == names.index("process_credentials") + 1
    assert message["refcnt"] == 1
    assert names.index("refcnt") == names.index("parent_exec_id") + 1
    for event in (child, ended):
        assert b"binary_properties" not in world.line(event)
        assert b"refcnt" not in world.line(event)


def test_namespaces() -> None:
    """The record's, compared with the host's; processes alike share the message."""
    world = world_of(Wanted(namespaces=True))
    process = run(world, net_ns=999)
    assert process.namespaces is not None
    assert fields(process)["ns"]["net"] == {"inum": 999}
    assert fields(process)["ns"]["uts"] == {"inum": HOST.uts, "is_host": True}
    assert list(fields(process)["ns"]) == list(Namespaces._fields)
    assert run(world, net_ns=999).namespaces is process.namespaces
    assert "process_credentials" not in fields(process)


@pytest.mark.slow
def test_many_namespaces_are_forgotten() -> None:
    """What is remembered of messages does not grow with the number of containers."""
    world = world_of(Wanted(namespaces=True))
    details = world.tracker._details
    assert details is not None
    for number in range(1500):
        run(world, net_ns=5000 + number)
    assert len(details._shown) <= 1025


@pytest.mark.parametrize(
    ("members", "name"),
    [
        ({"euid": 0}, "root"),
        ({"euid": 1000}, "ann"),
        ({"euid": 1001}, ""),
        ({"euid": 1000, "mnt_ns": 7}, ""),
        ({"euid": 1000, "user_ns": 7}, ""),
        ({"euid": 1000, "net_ns": 7, "pid_ns": 7}, "ann"),
    ],
)
def test_names_of_users(members: dict[str, int], name: str) -> None:
    """Where the passwd file and the ids are the host's; a uid without a name is counted."""
    world = world_of(Wanted(users=True))
    process = run(world, **members)
    assert process.user == name
    assert fields(process).get("user") == ({"name": name} if name else None)
    details = world.tracker._details
    assert details is not None
    assert details.unnamed_users == (members["euid"] == 1001)


def test_no_names_where_the_host_is_not_known() -> None:
    """Nothing is taken for the host's then."""
    assert run(world_of(Wanted(users=True), host=None), euid=1000).user == ""


def test_a_fork_inherits_all_but_the_binarys_oddities() -> None:
    """A process that only forked has its creator's credentials, namespaces, user, environment."""
    world = world_of(ALL)
    context = exec_context(**PLACES, cap_effective=2, inode=5)
    (began,) = world.feed(*environment_exec(TASK, INIT, b"A=1\0", at=5 * SECOND, context=context))
    world.feed(fork(CHILD, TASK, at=6 * SECOND))
    ended = world.one(exit_of(CHILD))
    for name in ("capabilities", "credentials", "namespaces", "user", "environment"):
        value = getattr(ended.process, name)
        assert value
        assert value == getattr(began.process, name)
    assert ended.process.binary_properties is None


@given(st.integers(1, 1000))
def test_a_context_that_is_cut_short(size: int) -> None:
    """Such a record makes no sense; it is counted, and no event has holes."""
    whole = exec_context(**PLACES)
    world = World(details=Details(ALL, abi(), HOST))
    context = whole[: size % len(whole)] or whole[:-1]
    assert world.feed(execute(TASK, INIT, context=context)) == []
    assert world.dispatcher.errors == 1


@pytest.mark.slow
@given(st.binary(max_size=300), st.binary(min_size=abi().context_size, max_size=400))
def test_any_environment_and_context(environment: bytes, context: bytes) -> None:
    """Whatever bytes come, the event is one line of JSON."""
    world = World(details=Details(ALL, abi(), HOST))
    records = environment_exec(TASK, INIT, environment, at=5 * SECOND, context=context)
    (event,) = world.feed(*records)
    line = world.line(event)
    assert json.loads(line)["process_exec"]["process"]["pid"] == 50
    assert line.count(b"\n") == 1


def test_a_process_of_procfs(tmp_path: Path) -> None:
    """Credentials, namespaces and the user's name are told of those that were there before."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(50, ticks=200, uid=(1, 1000, 3, 4))
    base = procfs.root / "50"
    with (base / "status").open("a") as file:
        file.write("CapInh:\t0\nCapPrm:\t00000000000000ff\nCapEff:\t0000000000000001\n")
    (base / "ns").mkdir()
    for name, number in HOST._asdict().items():
        (base / "ns" / name).symlink_to(f"{name.partition('_')[0]}:[{number}]")
    world = world_of(ALL, procfs=str(procfs.root))
    event = world.one(execute(CHILD, TASK, fork_parent=TASK))
    parent = event.parent
    assert parent.capabilities == Capabilities(0xFF, 1, 0)
    assert parent.credentials[:4] == (1, 0, 1000, 0)
    assert parent.credentials[4:] == (3, 0, 4, 0, 0)
    assert fields(parent)["ns"]["net"] == {"inum": HOST.net, "is_host": True}
    assert parent.user == "ann"
    assert parent.binary_properties is None


def test_a_process_of_procfs_that_may_not_be_looked_at(tmp_path: Path) -> None:
    """What is missing is left out, and the process is reported."""
    procfs = FakeProcfs(tmp_path / "proc")
    procfs.add(50, ticks=200)
    world = world_of(ALL, procfs=str(procfs.root))
    parent = world.one(execute(CHILD, TASK, fork_parent=TASK)).parent
    assert parent.binary == "/bin/sh"
    assert parent.credentials is None
