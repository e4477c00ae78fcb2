# SPDX-License-Identifier: Apache-2.0
"""Container ids out of the names of cgroups."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.conftest import Stage
from tests.support.agent import Agent
from tetrapy.kernel.cgroups import host_controller

ID = "0123456789abcdef" * 4
SHOWN = ID[:31]
TOP = Path("/sys/fs/cgroup")


def hierarchy() -> Path:
    """The hierarchy that tells of containers: the unified one, or memory's of version 1."""
    return TOP / (host_controller("/proc") or "")


@contextlib.contextmanager
def cgroup(name: str) -> Iterator[Path]:
    """A new cgroup below one of this test's own."""
    top = hierarchy() / f"tetrapy-test-{os.getpid()}"
    path = top / name
    path.mkdir(parents=True)
    try:
        yield path
    finally:
        while path != top.parent:
            path.rmdir()
            path = path.parent


def enter(group: Path) -> list[str]:
    """A command that runs a command in the cgroup."""
    script = 'echo $$ > "$0"/cgroup.procs; exec "$@"'
    return ["/bin/sh", "-c", script, str(group)]


NAMES = [
    (ID, SHOWN),
    (f"docker-{ID}.scope", SHOWN),
    (f"kubepods.slice/cri-containerd-{ID}.scope", SHOWN),
    (f"kubepods.slice/crio-{ID}.scope", SHOWN),
    (f"kubepods-burstable-pod12:cri-containerd:{ID}", SHOWN),
    (f"libpod-{ID}.scope/container", SHOWN),
    (f"docker-{ID}.scope/init.scope", SHOWN),
    (f"docker/{ID}/system.slice/cron.service", SHOWN),
    (f"docker/{'fe' * 32}/kubepods/{ID}/mine", SHOWN),
    (f"docker-{ID}.scope/" + "/".join(["deep"] * 24), SHOWN),
    (f"docker-{ID}.scope/" + "/".join(["long" * 60] * 10), SHOWN),
    ("x" * 150 + "-" + ID, SHOWN),
    ("some.service", ""),
    (f"{ID}.service", ""),
    ("user.slice", ""),
    (ID[:40], ""),
    (ID[:32], ""),
    (ID.upper(), ""),
    (ID + "0", SHOWN),
    (f"machine.slice/libpod-conmon-{ID}.scope", ""),
    ("backup_of_the_accounting_database_to_the_second_data_centre_every_night.scope", ""),
    (b"\xff\xfe".decode("utf-8", "surrogateescape") * 40, ""),
]


@pytest.mark.parametrize(("name", "shown"), NAMES)
def test_exec(stage: Stage, name: str, shown: str) -> None:
    """A process that executes in a container's cgroup has the first 31 characters of its id."""
    with cgroup(name) as group:
        stage.command(*enter(group), stage.actor, stage.tag, "fork", "exit", "3")
    events = stage.events()[-3:]
    assert [event.kind for event in events] == ["exec", "exit", "exit"]
    for event in events:
        assert event.process.get("docker", "") == shown, event
        assert event.process["in_init_tree"] is False


def test_a_cgroup_too_deep_to_be_reported(stage: Stage) -> None:
    """Whoever goes deeper than is read is still in the container it came from, and says so."""
    inside, below = f"docker-{ID}.scope", "/".join(["deep"] * 40)
    again = (stage.actor, stage.tag)
    with cgroup(f"{inside}/{below}") as group:
        top = Path(str(group).removesuffix(below))
        stage.command(*enter(top), *enter(group), *again, "exit", "3")
    event = stage.events()[-1]
    assert event.process["docker"] == SHOWN
    assert "errorCgroupName" in event.flags


@pytest.mark.parametrize(("name", "shown"), NAMES)
def test_seed(actor: Path, tmp_path: Path, name: str, shown: str) -> None:
    """A process that was there before has the same id."""
    with cgroup(name) as group:
        command = [*enter(group), str(actor), "contained", "say", "here", "wait", "exit", "3"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, **pipes) as elder:
            assert elder.stdout.readline() == b"here\n"
            with Agent(tmp_path, "--container-wait=0s") as agent:
                agent.started()
                elder.stdin.close()
                elder.wait()
                agent.fence()
                mine = [event for event in agent.events() if event.pid == elder.pid]
    assert [event.kind for event in mine] == ["exec", "exit"]
    for event in mine:
        assert event.process.get("docker", "") == shown


def test_first_process_of_a_container(stage: Stage) -> None:
    """The first process of a container and what it starts are in its init tree."""
    again = (stage.actor, stage.tag)
    with cgroup(f"docker-{ID}.scope") as group:
        words = ("newpidns", "exec", *again, "fork", "exec", *again, "exit", "3")
        stage.command(*enter(group), *again, *words)
    images = [event for event in stage.execs() if "newpidns" not in event.arguments]
    assert len(images) == 2
    for image in images:
        assert image.process["docker"] == SHOWN
        assert image.process["in_init_tree"] is True
        assert image.flags == ["execve", "clone", "inInitTree"]
