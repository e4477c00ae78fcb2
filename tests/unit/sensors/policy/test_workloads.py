# SPDX-License-Identifier: Apache-2.0
"""What the kernel side is told of cgroups, without a kernel."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.policies import read, selector
from tetrapy.errors import PolicyUnsupportedError
from tetrapy.events import flags
from tetrapy.events.calls import ProcessKprobe
from tetrapy.events.container import OUTSIDE, Container, Membership, Pod
from tetrapy.policy.workloads import Workload, of_selector
from tetrapy.sensors.policy import workloads as module
from tetrapy.sensors.policy.workloads import Undecided, Workloads, is_for

IDS = {name: name[0] * 64 for name in ("abc", "bcd")}
NAMES = {name: f"docker-{id_}.scope\0".encode() for name, id_ in IDS.items()}


class Map(dict[bytes, bytes]):
    """Instead of the kernel's."""

    def __init__(self, *_: object) -> None:
        super().__init__()

    put = dict.__setitem__

    def delete(self, key: bytes) -> None:
        self.pop(key, None)


class Slots:
    """Its place."""

    there = 0

    def make_workloads(self) -> int:
        self.there += 1
        return 1 << 20

    def drop_map(self, _name: str) -> None:
        self.there -= 1


def named(name: str) -> Workload:
    """A selector of containers by name."""
    text = f"{{matchWorkloads: {{containerSelector: {{matchLabels: {{name: {name}}}}}}}}}"
    policy = read(selector(text)).policy
    found = of_selector(policy, policy.spec.kprobes[0].selectors[0].match_workloads)
    assert found is not None
    return found


HOST = Workload(None, None, host=True)


class World:
    """Workloads with a map, and containers of which something is known."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, entries: int) -> None:
        self.members: dict[str, Membership] = {}
        self.there: list[tuple[int, bytes]] = []
        monkeypatch.setattr(module, "BpfMap", Map)
        monkeypatch.setattr(module.os, "close", lambda fd: None)
        monkeypatch.setattr(module, "cgroups", lambda procfs, most, _: iter(self.there))
        members = [
            SimpleNamespace(name=name, offset=offset, size=size, format=form)
            for name, offset, size, form in (("marks", 0, 8, "Q"), ("only_itself", 8, 4, "I"))
        ]
        layout = SimpleNamespace(
            name="workload", size=16, members={one.name: one for one in members}
        )
        writer: Any = SimpleNamespace(workloads=SimpleNamespace(entries=entries), workload=layout)
        self.slots: Any = Slots()
        self.workloads = Workloads(self.slots, writer)
        table = SimpleNamespace(containers=lambda ref: self.members[ref.id])
        self.base: Any = SimpleNamespace(
            tracker=SimpleNamespace(table=table), is_seeded=True, workloads=None
        )

    def marks(self) -> dict[int, tuple[int, int]]:
        """What the map says of cgroups."""
        return {
            int.from_bytes(key, "little"): (
                int.from_bytes(value[:8], "little"),
                int.from_bytes(value[8:12], "little"),
            )
            for key, value in self.workloads._map.items()
        }


def member(name: str = "", *, waits: bool = False) -> Membership:
    """What is known of a container."""
    found = Membership(Pod(Container("docker://x", name)) if name else None)
    found.waits = waits
    return found


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    """An empty one."""
    return World(monkeypatch, 4096)


def test_marks(world: World) -> None:
    """Of containers and the host, those that are there and those that come; names change."""
    claim = world.workloads.claim()
    assert (claim.bit(named("web")), claim.bit(HOST), claim.bit(named("web"))) == (1, 2, 1)
    world.members = {IDS["abc"]: member("web"), IDS["bcd"]: member(waits=True)}
    world.there = [(1, b""), (2, NAMES["abc"])]
    world.workloads.connect(world.base)
    world.workloads.follow()
    assert world.marks() == {1: (2, 1), 2: (1, 0)}
    assert world.base.workloads is world.workloads
    world.workloads.learn(3, NAMES["bcd"])
    world.workloads.learn(4, b"below\0" + NAMES["abc"])
    assert world.marks() == {1: (2, 1), 2: (1, 0), 4: (1, 0)}
    refs = list(world.workloads._cgroups)
    world.workloads.settled([(refs[1], member())])
    assert world.marks()[3] == (0, 0)
    world.workloads.settled([(refs[0], member("other")), (refs[1], member("web"))])
    assert world.marks() == {1: (2, 1), 2: (0, 0), 3: (1, 0), 4: (0, 0)}
    second = world.workloads.claim()
    assert second.bit(named("other")) == 4
    world.members = {IDS["abc"]: member("other"), IDS["bcd"]: member("web")}
    world.workloads.follow()
    assert world.marks() == {1: (2, 1), 2: (4, 0), 3: (1, 0), 4: (4, 0)}
    world.workloads.release(second)
    assert world.slots.there == 1
    world.workloads.release(claim)
    assert world.slots.there == 0
    assert world.base.workloads is None


def test_cgroups_that_are_gone(world: World) -> None:
    """10,000 cgroups that come and go leave no more than a few thousand behind."""
    world.workloads.claim().bit(HOST)
    world.workloads.connect(world.base)
    world.workloads.follow()
    for number in range(10_000):
        world.there = [(number, b"")]
        world.workloads.learn(number, b"some.service\0")
    assert len(world.marks()) <= 1024
    assert 9_999 in world.marks()


def test_more_than_have_room(world: World) -> None:
    """Of those that are there the latest are kept."""
    world.workloads.claim().bit(HOST)
    world.workloads.connect(world.base)
    world.workloads.follow()
    for number in range(10_000):
        world.there.append((number, b""))
        world.workloads.learn(number, b"some.service\0")
    assert 2048 < len(world.marks()) <= 4096
    assert 9_999 in world.marks()


@pytest.mark.parametrize(
    ("above", "marks"),
    [(b"user@7.service\0user-7.slice\0user.slice\0", (2, 0)), (NAMES["abc"], (1, 0))],
    ids=["user", "container"],
)
def test_who_makes_too_many(
    monkeypatch: pytest.MonkeyPatch, above: bytes, marks: tuple[int, int]
) -> None:
    """They cost nobody else's cgroup what is known of it; of theirs what holds is what holds of the
    container, or of the user's manager.
    """
    world = World(monkeypatch, 1024)
    claim = world.workloads.claim()
    assert (claim.bit(named("web")), claim.bit(HOST)) == (1, 2)
    world.members = {IDS["abc"]: member("web"), IDS["bcd"]: member("db")}
    world.there = [(1, b""), (2, b"cron.service\0system.slice\0"), (3, NAMES["bcd"]), (4, above)]
    world.workloads.connect(world.base)
    world.workloads.follow()
    others = {number: world.marks()[number] for number in (1, 2, 3)}
    for number in range(10, 3000):
        names = b"%d.scope\0%s" % (number, above)
        if len(world.there) == 1024:  # more than are looked at
            del world.there[-1]
        world.there.append((number, names))
        world.workloads.learn(number, names)
    found = world.marks()
    assert len(found) <= 1024
    assert {number: found[number] for number in (1, 2, 3)} == others
    assert found[4] == marks


def test_too_many(world: World) -> None:
    """A mask has 64 bits; what is given back is free again."""
    claim = world.workloads.claim()
    for number in range(64):
        claim.bit(named(f"n{number}"))
    other = world.workloads.claim()
    with pytest.raises(PolicyUnsupportedError, match="more than 64 selectors"):
        other.bit(named("one-more"))
    world.workloads.release(claim)
    assert other.bit(named("one-more")) == 1


def test_what_is_decided_later() -> None:
    """By the container of the process; nobody hides in a cgroup that cannot be read."""
    process: Any = SimpleNamespace(container=OUTSIDE, flags=0)
    assert is_for((HOST,), process)
    assert not is_for((HOST, named("web")), process)
    process.container = member("web")
    assert is_for((named("web"),), process)
    assert not is_for((named("web"), HOST), process)
    process.container, process.flags = OUTSIDE, flags.ERROR_CGROUP_NAME
    assert is_for((named("web"),), process)


def test_the_selector_that_is_for_it() -> None:
    """The first that matched and is for the process says what the event tells, and whether."""
    event: Any = ProcessKprobe.__new__(ProcessKprobe)
    event.process = SimpleNamespace(container=member("web"), flags=0)
    event.action, event.return_action = "", "x"
    hook: Any = SimpleNamespace(
        workloads=((named("db"),), (named("web"),), ()),
        actions=("A", "B", "C"),
        return_actions=("RA", "RB", "RC"),
        quiet=frozenset({2}),
        requests=((), ("look",), ()),
    )
    asked: list[Any] = []
    hooks: Any = SimpleNamespace(requests=SimpleNamespace(ask=asked.append))
    assert Undecided(event, hook, 0b011, hooks).is_wanted()
    assert asked == [("look",)]
    assert (event.action, event.return_action) == ("B", "RB")
    assert not Undecided(event, hook, 0b001, hooks).is_wanted()
    assert not Undecided(event, hook, 0b100, hooks).is_wanted()
