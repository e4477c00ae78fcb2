# SPDX-License-Identifier: Apache-2.0
"""Names of users from a passwd file that changes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.process import users as module
from tetrapy.process.users import Users


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "etc/passwd"
    path.parent.mkdir()
    path.write_text("root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n")
    return path


def root_of(path: Path) -> str:
    """The root in which it is /etc/passwd."""
    return str(path.parents[1])


def look_often(users: Users, uid: int) -> str:
    """The name after as many look-ups as pass between two looks at the file."""
    for _ in range(module._CHECKS):
        users.name(0)
    return users.name(uid)


def test_names(path: Path) -> None:
    """Of those that the file has; others have none."""
    users = Users(root_of(path))
    assert [users.name(uid) for uid in (0, 1000, 1001)] == ["root", "ann", ""]


def test_the_first_line_with_a_uid_counts(path: Path) -> None:
    """As getpwuid(3) answers."""
    path.write_text("root:x:0:0::/:\ntoor:x:0:0::/:\n")
    assert Users(root_of(path)).name(0) == "root"


def test_a_user_that_is_added(path: Path) -> None:
    """It is seen at one of the next looks; the file need not be read again for the others."""
    users = Users(root_of(path))
    assert users.name(1001) == ""
    with path.open("a") as file:
        file.write("bob:x:1001:1001::/home/bob:/bin/sh\n")
    assert look_often(users, 1001) == "bob"


def test_a_file_that_is_replaced(path: Path, tmp_path: Path) -> None:
    """usermod(8) renames another file to its place; that the sizes are equal does not matter."""
    users = Users(root_of(path))
    assert users.name(1000) == "ann"
    other = tmp_path / "passwd-"
    other.write_text(path.read_text().replace("ann:", "bob:"))
    before = path.stat()
    os.utime(other, ns=(before.st_atime_ns, before.st_mtime_ns))
    other.rename(path)
    assert look_often(users, 1000) == "bob"


def test_a_file_that_goes_and_comes_back(path: Path) -> None:
    """Without a file nobody has a name, and that is no error."""
    users = Users(root_of(path))
    text = path.read_text()
    assert users.name(0) == "root"
    path.unlink()
    assert look_often(users, 0) == ""
    path.write_text(text)
    assert look_often(users, 0) == "root"


def test_a_file_behind_a_link(path: Path) -> None:
    """It leads to a file of the machine, also for an agent in a container."""
    path.rename(path.parents[1] / "users")
    path.symlink_to("/users")
    assert Users(root_of(path)).name(1000) == "ann"


def test_no_file(tmp_path: Path) -> None:
    """A host without /etc/passwd has no names."""
    assert Users(str(tmp_path)).name(0) == ""


def test_the_file_is_read_when_it_changes_only(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Thousands of names cost one reading."""
    opened: list[object] = []
    real = open
    monkeypatch.setattr(
        module, "open", lambda *given, **how: opened.append(given) or real(*given, **how), False
    )
    users = Users(root_of(path))
    for _ in range(5 * module._CHECKS):
        users.name(1000)
    assert len(opened) == 1


@given(st.binary(max_size=200))
def test_any_bytes(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Lines without sense are passed over; a name that is no text is made one."""
    path = tmp_path_factory.mktemp("users") / "etc/passwd"
    path.parent.mkdir()
    path.write_bytes(data + b"\nz\xff:x:77:\nx:y:\xb2:\n:::\n")
    name = Users(root_of(path)).name(77)
    assert name == "z\ufffd" or b":77" in data
    name.encode()
