# SPDX-License-Identifier: Apache-2.0
"""What is reported only to those who ask, on every supported kernel."""

from __future__ import annotations

from typing import Any

import pytest

from tests.vm.details import NAMESPACES, USER
from tests.vm.guests import Session

SETUID = "PRIVILEGES_RAISED_EXEC_FILE_SETUID"
FILE_CAP = "PRIVILEGES_RAISED_EXEC_FILE_CAP"


def image(session: Session, victim: str) -> dict[str, Any]:
    """The process of the last exec of a victim."""
    fate = session.record["details"][victim]
    assert fate["code"] == 0, f"{victim}: {fate}"
    found: dict[str, Any] = session.of("process_exec", fate["pid"])[-1]["process"]
    return found


def ids(process: dict[str, Any]) -> list[int]:
    reported = process["process_credentials"]
    return [reported[name] for name in "uid gid euid egid suid sgid fsuid fsgid".split()]


def test_a_user_without_rights(telling: Session) -> None:
    """Ids of the user, empty sets of capabilities, nothing special about the binary."""
    process = image(telling, "plain")
    assert ids(process) == [USER] * 8
    assert process["cap"] == {}
    assert "binary_properties" not in process
    assert "user" not in process


def test_root(telling: Session) -> None:
    """Every id 0, the name, and all capabilities of the kernel."""
    process = image(telling, "root")
    assert ids(process) == [0] * 8
    assert process["user"] == {"name": "root"}
    assert process["cap"]["permitted"] == process["cap"]["effective"]
    assert process["cap"]["permitted"][:2] == ["CAP_CHOWN", "DAC_OVERRIDE"]
    assert len(process["cap"]["permitted"]) >= 40


def test_a_set_user_id_binary(telling: Session) -> None:
    """The new user, the reason, and the real ids that stay."""
    process = image(telling, "setuid")
    assert process["binary_properties"] == {"setuid": 0, "privileges_changed": [SETUID]}
    assert ids(process) == [USER, USER, 0, USER, 0, USER, 0, USER]


def test_a_set_group_id_binary(telling: Session) -> None:
    """A group that is not root's is reported, and is no reason."""
    process = image(telling, "setgid")
    assert process["binary_properties"] == {"setgid": 4343}
    assert ids(process) == [USER, USER, USER, 4343, USER, 4343, USER, 4343]


def test_file_capabilities(telling: Session) -> None:
    """The reason, and what was got."""
    process = image(telling, "capable")
    assert process["binary_properties"] == {"privileges_changed": [FILE_CAP]}
    assert process["cap"] == {"permitted": ["CAP_NET_RAW"], "effective": ["CAP_NET_RAW"]}


@pytest.mark.parametrize("victim", ["memfd", "deleted"])
def test_a_binary_without_a_name(telling: Session, victim: str) -> None:
    """Its inode and its links."""
    process = image(telling, victim)
    inode = process["arguments"].split()[-1]
    assert process["binary_properties"]["file"]["inode"] == {"number": inode, "links": 0}
    assert process["refcnt"] == 1


def test_the_environment(telling: Session) -> None:
    """Each variable in its order."""
    process = image(telling, "environment")
    assert process["environment_variables"] == [
        {"Key": "A", "Value": "1"},
        {"Key": "B", "Value": "x=y"},
        {"Key": "C"},
    ]


@pytest.mark.parametrize("name", ["uts", "ipc", "mnt", "net", "cgroup", "user"])
def test_namespaces(telling: Session, name: str) -> None:
    """The numbers are those that the process saw itself; the one that is its own is not the host's.

    Kernels before Linux 5.6 have no time namespaces.
    """
    process = image(telling, f"ns_{name}")
    seen = dict(word.split("=") for word in process["arguments"].split()[2:])
    reported = process["ns"]
    assert {key: entry["inum"] for key, entry in reported.items()} == {
        key: int(number) for key, number in seen.items()
    }
    assert list(reported) == [key for key in NAMESPACES if key in seen]
    assert [key for key, entry in reported.items() if not entry.get("is_host")] == [name]


def test_ancestors(telling: Session) -> None:
    """From beyond the driver, which is the parent, to init."""
    pid = telling.record["details"]["root"]["pid"]
    (event,) = telling.of("process_exec", pid)
    pids = [one["pid"] for one in event["ancestors"]]
    assert event["parent"]["pid"] == telling.record["driver"]
    assert event["ancestors"][0]["exec_id"] == event["parent"]["parent_exec_id"]
    assert pids[-1] == 1
