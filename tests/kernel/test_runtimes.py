# SPDX-License-Identifier: Apache-2.0
"""Containers of real runtimes: what events say of them, before the agent's start and after."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from tests.support import runtimes
from tests.support.agent import Agent, until
from tests.support.runtimes import ACTOR, Containerd, Docker, Podman, Runtime

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.support.events import Event


@pytest.fixture(scope="module")
def tar(actor: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The image."""
    return runtimes.image(actor, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module", params=[Docker, Podman, Containerd])
def runtime(request: pytest.FixtureRequest, tar: Path, place: Path) -> Iterator[Runtime]:
    """One that runs."""
    kind = request.param
    missing = runtimes.missing(*kind.needs)
    if missing:
        pytest.skip(f"needs {missing}: see tests/support/runtimes.py")
    with kind(place / kind.__name__, tar) as running:
        yield running


def agent_of(runtime: Runtime, directory: Path, *flags: str) -> Agent:
    """An agent that is told of the runtime's directory."""
    flags = flags or ("--container-sockets=", f"--container-directories={runtime.root}")
    return Agent(directory, "--sensor=ebpf", "--container-wait=30s", *flags)


def arrived(agent: Agent, word: str, count: int) -> list[Event]:
    """Events of the actor with this word, when there are so many."""

    def found() -> list[Event] | None:
        events = [one for one in agent.tagged(word) if one.binary == ACTOR]
        return events if len(events) >= count else None

    return until(found, lambda: f"{count} events of {word}")


def about(event: Event) -> tuple[str, str, str, str]:
    """Id, name, image and pod."""
    pod: dict[str, Any] = event.process["pod"]
    container = pod["container"]
    place = f"{pod.get('namespace', '')}/{pod.get('name', '')}"
    assert container["id"].partition("://")[2][:31] == event.process["docker"]
    return container["id"], container["name"], container["image"]["name"], place


def expected(runtime: Runtime, id_: str, name: str) -> tuple[str, str, str, str]:
    """What events have to say of a container."""
    place = f"shop/pod-of-{name}" if isinstance(runtime, Containerd) else "/"
    return f"{runtime.runtime}://{id_}", name, runtime.image_name, place


def test_a_container(runtime: Runtime, tmp_path: Path) -> None:
    """One that was there, what is executed in it, and one that comes later have their names."""
    old = runtime.start("old", "wordold", "pause")
    with agent_of(runtime, tmp_path) as agent:
        agent.started()
        seeded = arrived(agent, "wordold", 1)
        runtime.execute(old if isinstance(runtime, Containerd) else "old", "wordexec", "exit", "0")
        joined = arrived(agent, "wordexec", 2)
        if isinstance(runtime, Containerd):
            runtime.remove()
        new = runtime.start("new", "wordnew", "pause")
        started = arrived(agent, "wordnew", 1)
        if isinstance(runtime, Containerd):
            runtime.remove()
        else:
            runtime.run("rm", "-f", "old", "new")
        ended = arrived(agent, "wordnew", 2)
        assert agent.stop() == 0
    assert {about(one) for one in seeded} == {expected(runtime, old, "old")}
    assert {about(one) for one in joined} == {expected(runtime, old, "old")}
    assert {about(one) for one in [*started, *ended]} == {expected(runtime, new, "new")}


def test_lives_of_a_container(runtime: Runtime, tmp_path: Path) -> None:
    """Paused, restarted and renamed it is the same; who reads anew has the new name."""
    if isinstance(runtime, Containerd):
        pytest.skip("CRI neither pauses nor renames")
    id_ = runtime.start("first", "wordfirst", "pause")
    with agent_of(runtime, tmp_path / "one") as agent:
        agent.started()
        runtime.run("pause", "first")
        runtime.run("unpause", "first")
        runtime.run("restart", "-t", "0", "first")
        events = arrived(agent, "wordfirst", 3)
        runtime.run("rename", "first", "second")
        assert agent.stop() == 0
    assert {about(one) for one in events} == {expected(runtime, id_, "first")}
    with agent_of(runtime, tmp_path / "two") as agent:
        agent.started()
        again = arrived(agent, "wordfirst", 1)
        runtime.run("rm", "-f", "second")
        assert agent.stop() == 0
    assert {about(one) for one in again} == {expected(runtime, id_, "second")}


def test_by_its_socket(runtime: Runtime, tmp_path: Path) -> None:
    """Without its directory the socket tells the same."""
    if isinstance(runtime, Podman):
        pytest.skip("Podman has a socket only while its service runs")
    id_ = runtime.start("asked", "wordasked", "pause")
    flags = ("--container-directories=/nonexistent", f"--container-sockets={runtime.socket}")
    with agent_of(runtime, tmp_path, *flags) as agent:
        agent.started()
        events = arrived(agent, "wordasked", 1)
        if isinstance(runtime, Containerd):
            runtime.remove()
        else:
            runtime.run("rm", "-f", "asked")
        assert agent.stop() == 0
    assert {about(one) for one in events} == {expected(runtime, id_, "asked")}
    assert "start_time" in events[0].process["pod"]["container"]
