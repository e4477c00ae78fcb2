# SPDX-License-Identifier: Apache-2.0
"""Who runs it: effective user, login user."""

from __future__ import annotations

import os

import pytest

from tests.kernel.conftest import Stage

UNSET = 4294967295


def test_uid(stage: Stage) -> None:
    """The user of a process that gave up root."""
    stage.run("setuid", 1234, "exec", stage.actor, stage.tag, "exit", 0)
    first, second, ended = stage.events()
    assert first.process["uid"] == 0
    assert second.process["uid"] == 1234
    assert ended.process["uid"] == 1234


def test_effective_uid(stage: Stage) -> None:
    """The effective user counts, not the real one."""
    stage.run("seteuid", 4321, "exec", stage.actor, stage.tag, "exit", 0)
    assert stage.execs()[1].process["uid"] == 4321


def test_setuid_program(stage: Stage) -> None:
    """The user that a setuid program gets is shown: credentials are those of the new image."""
    path = stage.copy()
    os.chown(path, 4242, -1)
    os.chmod(path, 0o4755)
    stage.run("exec", path, stage.tag, "exit", 0)
    assert stage.execs()[1].process["uid"] == 4242


def test_largest_uid(stage: Stage) -> None:
    """Users are unsigned."""
    stage.run("setuid", 4294967294, "exec", stage.actor, stage.tag, "exit", 0)
    assert stage.execs()[1].process["uid"] == 4294967294


def test_login_uid_unset(stage: Stage) -> None:
    """Without a login there is no login user."""
    with open("/proc/self/loginuid", encoding="ascii") as file:
        own = int(file.read())
    stage.run("exit", 0)
    started, _ = stage.one()
    assert started.process["auid"] == own


@pytest.mark.parametrize("auid", [0, 1001])
def test_login_uid(stage: Stage, auid: int) -> None:
    """The login user stays through exec and changes of the user."""
    again = (stage.actor, stage.tag)
    stage.run("loginuid", auid, "setuid", 77, "exec", *again, "fork", "exec", *again, "exit", 0)
    for image in stage.execs()[1:]:
        assert image.process["auid"] == auid
        assert image.process["uid"] == 77


def test_user_namespace(stage: Stage) -> None:
    """A user who is root in a user namespace of its own is shown as the host sees it."""
    user = ["setpriv", "--reuid=1234", "--clear-groups", "unshare", "--user", "--map-root-user"]
    done = stage.command(*user, stage.actor, stage.tag, "exit", 3)
    if done.returncode != 3:
        pytest.skip(f"needs user namespaces for everyone: {done.stderr.decode()}")
    for event in stage.events()[-2:]:
        assert event.process["uid"] == 1234
