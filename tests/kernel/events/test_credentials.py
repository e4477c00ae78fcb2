# SPDX-License-Identifier: Apache-2.0
"""Capabilities, credentials and what is special about a binary, by programs made for each case."""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from typing import Any

import pytest

from tests.kernel.conftest import Stage, hosts_namespace
from tests.support.events import Event, check_event

SETUID = "PRIVILEGES_RAISED_EXEC_FILE_SETUID"
SETGID = "PRIVILEGES_RAISED_EXEC_FILE_SETGID"
FILE_CAP = "PRIVILEGES_RAISED_EXEC_FILE_CAP"
USER = 1234  # nobody in particular


def as_user(*words: object) -> list[object]:
    """The words that run an actor as a user without rights."""
    return ["setresgid", USER, USER, USER, "setresuid", USER, USER, USER, *words]


def image(stage: Stage, *words: object) -> Event:
    """The exec event of the last image that the words execute."""
    done = stage.run(*words)
    assert done.returncode == 0, done.stderr
    events = stage.events()
    for event in events:
        check_event(event)
    return [event for event in events if event.kind == "exec"][-1]


def properties(event: Event) -> dict[str, Any]:
    found: dict[str, Any] = event.process.get("binary_properties", {})
    return found


def ids(event: Event) -> list[int]:
    reported = event.process["process_credentials"]
    return [reported[name] for name in "uid gid euid egid suid sgid fsuid fsgid".split()]


def test_root(telling: Stage) -> None:
    """Root has all ids 0 and every permitted capability effective; nothing is special."""
    event = image(telling, "exit", 0)
    assert ids(event) == [0] * 8
    assert event.process["cap"]["permitted"] == event.process["cap"]["effective"]
    assert "CAP_SYS_ADMIN" in event.process["cap"]["effective"]
    assert properties(event) == {}
    assert "refcnt" not in event.process


def test_every_id_by_itself(telling: Stage) -> None:
    """Real, effective, saved and file system ids are distinguished; execve makes saved
    effective.
    """
    words = ("setresgid", 11, 12, 13, "setresuid", 21, 22, 23)
    event = image(telling, *words, "exec", telling.actor, telling.tag, "exit", 0)
    assert ids(event) == [21, 11, 22, 12, 22, 12, 22, 12]
    assert event.process["uid"] == 22
    assert properties(event) == {}


def test_no_capabilities(telling: Stage) -> None:
    """A user without rights has empty sets, which are left out."""
    event = image(telling, *as_user("exec", telling.actor, telling.tag, "exit", 0))
    assert event.process["cap"].get("effective") is None
    assert event.process["cap"].get("permitted") is None
    assert event.process["uid"] == USER


def test_secure_bits(telling: Stage) -> None:
    """They are told by name; keep-caps does not survive an execve."""
    event = image(telling, "securebits", 0b0101, "exec", telling.actor, telling.tag, "exit", 0)
    reported = event.process["process_credentials"]["securebits"]
    assert reported == ["SecBitNoRoot", "SecBitNoSetUidFixup"]


@pytest.mark.parametrize(
    ("mode", "owner", "group", "expected"),
    [
        (0o4755, 0, -1, {"setuid": 0, "privileges_changed": [SETUID]}),
        (0o4755, 4242, -1, {"setuid": 4242}),
        (0o2755, -1, 0, {"setgid": 0, "privileges_changed": [SETGID]}),
        (0o2755, -1, 4343, {"setgid": 4343}),
        (0o6755, 0, 0, {"setuid": 0, "setgid": 0, "privileges_changed": [SETUID, SETGID]}),
        (0o6755, 4242, 4343, {"setuid": 4242, "setgid": 4343}),
        (0o2745, -1, 0, {}),  # without group execute it is the mark of mandatory locking
    ],
)
def test_bits_of_the_mode(
    telling: Stage, mode: int, owner: int, group: int, expected: dict[str, Any]
) -> None:
    """A set-user-ID or set-group-ID execution tells the new ids; root's are a reason."""
    path = telling.copy()
    os.chown(path, owner, group)
    os.chmod(path, mode)
    event = image(telling, *as_user("exec", path, telling.tag, "exit", 0))
    assert properties(event) == expected
    assert event.process["uid"] == expected.get("setuid", USER)
    assert event.process["process_credentials"]["uid"] == USER
    assert event.process["process_credentials"]["egid"] == expected.get("setgid", USER)


def test_the_owner_executes_a_set_user_id_program(telling: Stage) -> None:
    """Who gains nothing is told nothing."""
    path = telling.copy()
    os.chown(path, USER, USER)
    os.chmod(path, 0o6755)
    event = image(telling, *as_user("exec", path, telling.tag, "exit", 0))
    assert properties(event) == {}


def test_root_executes_a_set_user_id_program_of_a_user(telling: Stage) -> None:
    """Root becomes the user: that is reported, and no reason of a gain."""
    path = telling.copy()
    os.chown(path, 4242, -1)
    os.chmod(path, 0o4755)
    event = image(telling, "exec", path, telling.tag, "exit", 0)
    assert properties(event).get("privileges_changed") is None
    assert properties(event)["setuid"] == 4242


def test_a_set_user_id_bit_that_does_not_count(telling: Stage) -> None:
    """With no_new_privs nothing is gained and nothing told."""
    setpriv = shutil.which("setpriv")
    path = telling.copy()
    os.chown(path, 0, 0)
    os.chmod(path, 0o4755)
    words = ("exec", setpriv, "--no-new-privs", path, telling.tag, "exit", 0)
    event = image(telling, *as_user(*words))
    assert event.process["uid"] == USER
    assert properties(event) == {}


def give(path: bytes, text: str) -> None:
    """File capabilities."""
    setcap = shutil.which("setcap", path="/usr/sbin:/sbin:/usr/bin")
    if setcap is None:
        pytest.skip("needs setcap: libcap2-bin")
    done = subprocess.run([setcap, text, path], capture_output=True, check=False)
    if done.returncode:
        pytest.skip(f"needs file capabilities on this file system: {done.stderr.decode()}")


def test_file_capabilities(telling: Stage) -> None:
    """A user who gets capabilities from the file: the reason is reported, and the sets are the
    new.
    """
    path = telling.copy()
    give(path, "cap_net_raw,cap_kill+ep")
    event = image(telling, *as_user("exec", path, telling.tag, "exit", 0))
    assert properties(event) == {"privileges_changed": [FILE_CAP]}
    assert event.process["cap"] == {
        "permitted": ["CAP_KILL", "CAP_NET_RAW"],
        "effective": ["CAP_KILL", "CAP_NET_RAW"],
    }
    assert event.process["uid"] == USER


def test_file_capabilities_that_are_only_permitted(telling: Stage) -> None:
    """They are a gain as well."""
    path = telling.copy()
    give(path, "cap_net_raw+p")
    event = image(telling, *as_user("exec", path, telling.tag, "exit", 0))
    assert properties(event) == {"privileges_changed": [FILE_CAP]}
    assert event.process["cap"] == {"permitted": ["CAP_NET_RAW"]}


def test_ambient_capabilities(telling: Stage) -> None:
    """They stay through an execve and are no gain."""
    command = ["setpriv", "--inh-caps=+net_raw", "--ambient-caps=+net_raw"]
    command += [f"--reuid={USER}", f"--regid={USER}", "--clear-groups"]
    done = telling.command(*command, telling.actor, telling.tag, "exit", 0)
    assert done.returncode == 0, done.stderr
    event = telling.execs()[-1]
    assert event.process["cap"] == {
        "permitted": ["CAP_NET_RAW"],
        "effective": ["CAP_NET_RAW"],
        "inheritable": ["CAP_NET_RAW"],
    }
    assert properties(event) == {}


def test_a_deleted_binary(telling: Stage) -> None:
    """Its inode and that it has no links are reported."""
    path = telling.copy()
    inode = os.stat(path).st_ino
    event = image(telling, "gone", path, telling.tag, "exit", 0)
    file = {"inode": {"number": str(inode), "links": 0}, "path": os.fsdecode(path)}
    assert properties(event) == {"file": file}
    assert event.process["refcnt"] == 1


def test_a_memfd(telling: Stage) -> None:
    """A binary that never had a name."""
    event = image(telling, "memfd", telling.actor, telling.tag, "exit", 0)
    reported = properties(event)["file"]["inode"]
    assert reported["links"] == 0
    assert int(reported["number"]) > 0


def test_only_the_exec_tells_of_its_binary(telling: Stage) -> None:
    """Neither its exit nor what a child shows of its parent."""
    again = (telling.actor, telling.tag)
    telling.run("memfd", *again, "fork", "exec", *again, "exit", 0)
    events = telling.events()
    assert [bool(properties(event)) for event in events] == [False, True, False, False, False]
    assert all("binary_properties" not in (event.parent or {}) for event in events)


def test_a_fork_has_its_creators_credentials(telling: Stage) -> None:
    """A process that executed nothing shows those of the image that it runs."""
    telling.run("exec", telling.actor, telling.tag, "fork", "exit", 7)
    child = next(event for event in telling.events() if event.status == 7)
    assert ids(child) == [0] * 8
    assert "CAP_SYS_ADMIN" in child.process["cap"]["effective"]


def test_names_of_users(telling: Stage) -> None:
    """Processes of the host's namespaces have their user's name, if the host knows one."""
    enter = []
    if hosts_namespace(telling.agent, "mnt") != os.stat("/proc/self/ns/mnt").st_ino:
        enter = ["nsenter", f"--mount=/proc/{telling.agent.pid}/ns/mnt"]
    named = next(entry for entry in pwd.getpwall() if entry.pw_uid not in {0, USER})
    again = ("exec", telling.actor, telling.tag)
    actor = (telling.actor, telling.tag)
    done = telling.command(*enter, *actor, *again, "setuid", named.pw_uid, *again, "exit", 0)
    assert done.returncode == 0, done.stderr
    first, last = telling.execs()[-2:]
    assert first.process["user"] == {"name": "root"}
    assert last.process["user"] == {"name": named.pw_name}


def test_no_name_in_another_mount_namespace(telling: Stage) -> None:
    """There /etc/passwd may be another."""
    done = telling.command("unshare", "--mount", telling.actor, telling.tag, "exit", 0)
    assert done.returncode == 0, done.stderr
    event = telling.execs()[-1]
    assert event.binary == telling.actor
    assert "user" not in event.process


def test_nothing_of_it_by_default(stage: Stage) -> None:
    """An agent that is not asked tells none of it."""
    stage.run("exec", stage.actor, stage.tag, "exit", 0)
    for event in stage.events():
        reported = {"cap", "ns", "process_credentials", "binary_properties", "user"} & {
            *event.process
        }
        assert reported == set()
        assert "ancestors" not in event.body
