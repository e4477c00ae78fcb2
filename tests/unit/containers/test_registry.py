# SPDX-License-Identifier: Apache-2.0
"""Containers are asked for once, by a thread, and remembered in so many bytes."""

from __future__ import annotations

import threading

import pytest

from tests.support.agent import until
from tetrapy.containers import registry
from tetrapy.containers.cgroup import ContainerRef
from tetrapy.containers.registry import Containers
from tetrapy.events.container import Container, Membership, Pod


def ref(number: int, runtime: str = "") -> ContainerRef:
    """A container of its own number."""
    id_ = f"{number:064x}"
    return ContainerRef(id_[-31:], id_, runtime)


def named(one: ContainerRef) -> Pod:
    """What the source of these tests knows."""
    return Pod(Container(f"docker://{one.id}", f"name{int(one.id, 16)}", labels={"a": "b"}))


class Sources:
    """Counts what is asked; waits while it is told to."""

    def __init__(self) -> None:
        self.asked: list[ContainerRef] = []
        self.go_on = threading.Event()
        self.go_on.set()

    def __call__(self) -> list[registry.Source]:
        return [(("docker",), self.ask)]

    def ask(self, one: ContainerRef) -> Pod | None:
        self.go_on.wait()
        self.asked.append(one)
        return named(one)


def settled(containers: Containers) -> list[Membership]:
    """All answers."""
    changed: list[Membership] = []

    def done() -> bool:
        changed.extend(containers.settle())
        return not containers.unanswered

    until(done, "answers")
    return changed


def test_a_container_is_asked_for_once() -> None:
    """Whoever is in it shares what is known; events wait until it is."""
    sources = Sources()
    containers = Containers(sources)
    first = containers.find(ref(1))
    assert first.waits
    assert first.pod is None
    assert containers.take_new() == [first]
    assert containers.find(ref(1)) is first
    assert settled(containers) == [first]
    assert not first.waits
    assert first.pod is not None
    assert first.pod.container.name == "name1"
    assert containers.find(ref(1)) is first
    assert containers.take_new() == []
    assert sources.asked == [ref(1)]
    containers.close()


def test_names_change() -> None:
    """After a while a container is asked for again, and nothing waits for that."""
    now = [0.0]
    sources = Sources()
    containers = Containers(sources, clock=lambda: now[0])
    first = containers.find(ref(1))
    settled(containers)
    now[0] = 29.0
    containers.find(ref(1))
    assert not containers.unanswered
    now[0] = 31.0
    assert containers.find(ref(1)) is first
    assert containers.unanswered == 1
    assert not first.waits
    assert settled(containers) == [first]
    assert len(sources.asked) == 2
    containers.close()


def test_what_nobody_knows() -> None:
    """A source that knows nothing, or fails, gives way to the next; in the end nothing is known."""

    def fails(one: ContainerRef) -> Pod | None:
        raise KeyError(one)

    containers = Containers(lambda: [((), fails), ((), lambda _: None)])
    first = containers.find(ref(1))
    assert settled(containers) == [first]
    assert first.pod is None
    assert not first.waits
    assert containers.lookups == {"found": 0, "unknown": 1, "refused": 0}
    again = containers.find(ref(2))
    assert settled(containers) == [again]
    containers.close()


def test_a_container_that_is_made_up_in_another_one() -> None:
    """No runtime knows it: what is known of the one that it is in holds for it."""
    asked: list[str] = []
    known = ref(1)

    def ask(one: ContainerRef) -> Pod | None:
        asked.append(one.id[-1])
        return named(one) if one.id == known.id else None

    containers = Containers(lambda: [((), ask)])
    found = containers.find(ref(3)._replace(outer=known))
    nobody = containers.find(ref(4)._replace(outer=ref(5)))
    settled(containers)
    assert asked == ["3", "1", "4", "5"]
    assert found.pod is not None
    assert found.pod.container.name == "name1"
    assert nobody.pod is None
    containers.close()


def test_who_is_asked_first() -> None:
    """The source of the runtime that the cgroup tells; the others after it."""
    asked: list[str] = []

    def source(name: str) -> registry.Source:
        return (name,), lambda _: asked.append(name)

    containers = Containers(lambda: [source("docker"), source("podman"), source("cri-o")])
    containers.find(ref(1, "podman"))
    settled(containers)
    assert asked == ["podman", "docker", "cri-o"]
    containers.close()


def test_runtimes_that_give_names_are_not_asked() -> None:
    """Their cgroups tell all there is."""
    containers = Containers(list)
    found = containers.find(ContainerRef("", "web", "lxc"))
    assert not found.waits
    assert found.pod is not None
    assert (found.pod.container.id, found.pod.container.name) == ("lxc://web", "web")
    assert not containers.unanswered


def test_labels_may_be_left_out() -> None:
    """A setting keeps them out of events."""
    containers = Containers(Sources(), with_labels=False)
    found = containers.find(ref(1))
    settled(containers)
    assert found.pod is not None
    assert found.pod.container.labels == {}
    containers.close()


@pytest.mark.slow
def test_many_containers_take_so_many_bytes() -> None:
    """Of 10,000 the last are remembered, and those in use; none takes more than it is weighed."""
    limit = 1 << 20
    containers = Containers(Sources(), max_bytes=limit)
    peak = 0
    for number in range(10_000):
        containers.find(ref(0))  # is in use all the time
        containers.find(ref(number))
        if not number % 500:
            settled(containers)
        peak = max(peak, containers.bytes)
    settled(containers)
    assert peak <= limit
    assert len(containers) < 1500
    assert 10_000 <= containers.lookups["found"] < 10_100
    assert sum(entry.size for entry in containers._entries.values()) == containers.bytes
    containers.close()


def test_too_many_questions(monkeypatch: pytest.MonkeyPatch) -> None:
    """While a runtime does not answer, so many containers wait for it and no more."""
    monkeypatch.setattr(registry, "MAX_ASKED", 10)
    sources = Sources()
    sources.go_on.clear()
    containers = Containers(sources)
    found = [containers.find(ref(number)) for number in range(25)]
    asked = sum(one.waits for one in found)
    assert asked in {5, 6}  # the thread may have taken one
    assert containers.lookups["refused"] == 25 - asked
    sources.go_on.set()
    assert len(settled(containers)) == asked
    containers.close()


def test_who_makes_containers_up_has_nobody_else_wait() -> None:
    """A user who names thousands of cgroups so has one asked for, and then it is others' turn."""
    sources = Sources()
    sources.go_on.clear()
    containers = Containers(sources)
    for number in range(5000):
        containers.find(ref(number)._replace(maker=1000))
    others = [ref(5001), ref(5002), ref(5003)._replace(maker="pod1")]
    assert all(containers.find(one).waits for one in others)
    sources.go_on.set()
    settled(containers)
    assert max(sources.asked.index(one) for one in others) < 8
    assert containers.lookups["refused"] > 2000
    containers.close()
