# SPDX-License-Identifier: Apache-2.0
"""The namespaces of a process."""

from __future__ import annotations

import os
from typing import Any

import pytest

from tests.kernel.conftest import Stage, hosts_namespace

NAMES = "uts ipc mnt pid pid_for_children net time time_for_children cgroup user".split()


def there(name: str) -> bool:
    return os.path.exists(f"/proc/self/ns/{name}")


KNOWN = [name for name in NAMES if there(name)]


def own() -> dict[str, int]:
    """Those of the tests."""
    return {name: os.stat(f"/proc/self/ns/{name}").st_ino for name in KNOWN}


def last(stage: Stage) -> dict[str, Any]:
    reported: dict[str, Any] = stage.execs()[-1].process["ns"]
    return reported


def test_the_hosts(telling: Stage) -> None:
    """Each with its inode number, in the order of the message, and whether it is the host's."""
    telling.run("exit", 0)
    reported = last(telling)
    assert list(reported) == KNOWN
    assert {name: entry["inum"] for name, entry in reported.items()} == own()
    for name, entry in reported.items():
        host = hosts_namespace(telling.agent, name)
        assert entry.get("is_host", False) == (entry["inum"] == host)


@pytest.mark.parametrize(
    ("flag", "changed"),
    [
        ("--uts", {"uts"}),
        ("--ipc", {"ipc"}),
        ("--mount", {"mnt"}),
        ("--net", {"net"}),
        ("--cgroup", {"cgroup"}),
        ("--pid", {"pid_for_children"}),
    ],
)
def test_one_that_is_unshared(telling: Stage, flag: str, changed: set[str]) -> None:
    """It has another number and is not the host's; the others are what they were."""
    if not there(*changed):
        pytest.skip(f"needs {', '.join(changed)} namespaces in this kernel")
    done = telling.command("unshare", flag, telling.actor, telling.tag, "exit", 0)
    assert done.returncode == 0, done.stderr
    reported, before = last(telling), own()
    assert {name for name in KNOWN if reported[name]["inum"] != before[name]} == changed
    assert all("is_host" not in reported[name] for name in changed)


@pytest.mark.parametrize(
    ("flag", "changed"),
    [("--pid", {"pid", "pid_for_children"}), ("--time", {"time", "time_for_children"})],
)
def test_a_child_in_a_new_one(telling: Stage, flag: str, changed: set[str]) -> None:
    """Namespaces for children are those of the child."""
    if not there(flag[2:]):
        pytest.skip(f"needs {flag[2:]} namespaces in this kernel")
    done = telling.command("unshare", "--fork", flag, telling.actor, telling.tag, "exit", 0)
    assert done.returncode == 0, done.stderr
    reported, before = last(telling), own()
    assert {name for name in KNOWN if reported[name]["inum"] != before[name]} == changed
    first, second = (reported[name]["inum"] for name in sorted(changed))
    assert first == second


def test_a_time_namespace_that_is_unshared(telling: Stage) -> None:
    """It is that of children; since Linux 6.1 an execve enters it."""
    if not there("time"):
        pytest.skip("needs time namespaces in this kernel")
    done = telling.command("unshare", "--time", telling.actor, telling.tag, "exit", 0)
    assert done.returncode == 0, done.stderr
    reported, before = last(telling), own()
    changed = {name for name in KNOWN if reported[name]["inum"] != before[name]}
    assert changed in ({"time_for_children"}, {"time", "time_for_children"})


def test_a_user_namespace(telling: Stage) -> None:
    """Ids are those that the host sees, whoever the process is in its own namespace."""
    command = ["unshare", "--user", "--map-root-user", telling.actor, telling.tag, "exit", "0"]
    user = ["setpriv", "--reuid=1234", "--regid=1234", "--clear-groups"]
    done = telling.command(*user, *command)
    if done.returncode:
        pytest.skip(f"needs user namespaces for everyone: {done.stderr.decode()}")
    process = telling.execs()[-1].process
    assert process["ns"]["user"]["inum"] != own()["user"]
    assert "is_host" not in process["ns"]["user"]
    assert process["process_credentials"]["uid"] == 1234
    assert "CAP_SYS_ADMIN" in process["cap"]["effective"]
    assert "user" not in process


def test_nested_pid_namespaces(telling: Stage) -> None:
    """The innermost one is reported."""
    deep = ["unshare", "--fork", "--pid"] * 3
    telling.command(*deep, telling.actor, telling.tag, "exit", 0)
    execs = telling.execs()
    numbers = [event.process["ns"]["pid"]["inum"] for event in execs]
    assert len(set(numbers)) == len(numbers) == 4
