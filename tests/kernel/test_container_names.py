# SPDX-License-Identifier: Apache-2.0
"""Names of containers out of files in the forms of runtimes, by an agent that watches cgroups."""

from __future__ import annotations

import json
import shutil
import subprocess
from typing import TYPE_CHECKING

import pytest

from tests.kernel.conftest import FLAVOURS
from tests.kernel.events.test_container import ID, SHOWN, cgroup, enter
from tests.support.agent import Agent, until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.events import Event

GROUP = f"docker-{ID}.scope"


class State:
    """A directory in which Docker would keep its containers, and an agent that reads it."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory / "state"
        self.flags = (
            f"--container-directories={self.directory}",
            "--sensor=ebpf",
            "--container-wait=30s",
            *FLAVOURS["ring"],
        )

    def add(self, id_: str, name: str) -> None:
        """A container of this name."""
        path = self.directory / "containers" / id_
        path.mkdir(parents=True, exist_ok=True)
        config = {"Image": "nginx", "Labels": {"tier": "front"}}
        content = {"ID": id_, "Name": f"/{name}", "Image": "sha256:ab", "Config": config}
        (path / "new").write_text(json.dumps(content))
        (path / "new").rename(path / "config.v2.json")


def pod(id_: str, name: str) -> dict[str, object]:
    """What events show of it."""
    return {
        "container": {
            "id": f"docker://{id_}",
            "name": name,
            "image": {"id": "sha256:ab", "name": "nginx"},
            "labels": {"tier": "front"},
        }
    }


@pytest.fixture
def state(tmp_path: Path) -> Iterator[State]:
    """An empty one."""
    made = State(tmp_path)
    made.directory.mkdir()
    yield made
    shutil.rmtree(made.directory)


def arrived(agent: Agent, binary: Path | str, tag: str, count: int) -> list[Event]:
    """So many events of a program and a tag, which come when their container is known."""

    def found() -> list[Event] | None:
        events = [one for one in agent.tagged(tag) if one.binary == str(binary)]
        return events if len(events) >= count else None

    return until(found, lambda: f"{count} events of {tag}")


def test_before_and_after_the_start(state: State, actor: Path, tmp_path: Path) -> None:
    """Events of a container have its names, whenever it came; those of the host do not wait."""
    other = "feedface" * 8
    state.add(ID, "web")
    state.add(other, "db")
    with cgroup(GROUP) as group:
        command = [*enter(group), str(actor), "elder", "say", "here", "wait", "exit", "3"]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        with subprocess.Popen(command, **pipes) as elder, Agent(tmp_path, *state.flags) as agent:
            assert elder.stdout.readline() == b"here\n"
            agent.started()
            second = group.parent / f"docker-{other}.scope"
            second.mkdir()
            subprocess.run([*enter(second), actor, "younger", "exit", "3"], check=False)
            second.rmdir()
            elder.stdin.close()
            elder.wait()
            seen = arrived(agent, actor, "elder", 2)
            new = arrived(agent, actor, "younger", 2)
            host = subprocess.run([actor, "host", "exit", "3"], check=False)
            assert host.returncode == 3
            assert all("pod" not in one.process for one in arrived(agent, actor, "host", 2))
            assert agent.stop() == 0
    assert [one.kind for one in seen] == ["exec", "exit"]
    assert all(one.process["pod"] == pod(ID, "web") for one in seen)
    assert [one.kind for one in new] == ["exec", "exit"]
    assert all(one.process["pod"] == pod(other, "db") for one in new)
    assert {one.process["docker"] for one in seen} == {SHOWN}


def test_a_process_that_joins_and_leaves(state: State, actor: Path, tmp_path: Path) -> None:
    """It has the names of where it executes, as with exec into a container."""
    state.add(ID, "web")
    with cgroup(GROUP) as group, Agent(tmp_path, *state.flags) as agent:
        agent.started()
        out = enter(group.parent)
        words = ["joins", "exec", *out, actor, "left", "exit", "3"]
        subprocess.run([*enter(group), actor, *words], check=False)
        events = arrived(agent, actor, "left", 3)
    (inside,) = [one for one in events if one.arguments.startswith("joins")]
    after = [one for one in events if one.arguments.startswith("left")]
    assert inside.process["pod"] == pod(ID, "web")
    assert [one.kind for one in after] == ["exec", "exit"]
    assert all("pod" not in one.process for one in after)


def test_a_storm_of_containers(state: State, tmp_path: Path) -> None:
    """Containers that live for a moment leave nothing behind, named or not.

    tests/unit/containers has ten thousand; the kernel takes 30 ms to give up a cgroup.
    """
    flags = [flag for flag in state.flags if not flag.startswith("--container-wait")]
    script = (
        'n=$2; while [ $n -lt $3 ]; do d=$0/$(printf "%08x%056x" $n 0); mkdir $d;'
        ' (echo 0 > $d/cgroup.procs; exec /bin/true "$1") ; rmdir $d; n=$((n+1)); done'
    )

    def storm(first: int, last: int) -> None:
        command = ["/bin/sh", "-c", script, str(group), "storm", str(first), str(last)]
        subprocess.run(command, check=True)

    with cgroup("storm") as group, Agent(tmp_path, *flags) as agent:
        agent.started()
        for number in range(0, 240, 3):
            state.add(f"{number:08x}{0:056x}", f"name{number}")
        storm(0, 60)
        agent.fence()
        before = resident(agent.pid)
        storm(60, 240)
        events = arrived(agent, "/bin/true", "storm", 480)
        grown = resident(agent.pid) - before
        assert agent.stop() == 0
    named = {one.process["docker"] for one in events if "pod" in one.process}
    assert len(named) == 80
    assert grown < 3 << 20


def resident(pid: int) -> int:
    """Bytes of memory that the process has."""
    with open(f"/proc/{pid}/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * 4096
