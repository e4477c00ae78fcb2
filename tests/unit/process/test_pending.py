# SPDX-License-Identifier: Apache-2.0
"""Events wait for their containers: which of them, how long, and in which order they come out."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import EPOCH
from tetrapy.events.account import Account
from tetrapy.events.container import OUTSIDE, Container, Membership, Pod
from tetrapy.events.exec import ProcessExec
from tetrapy.events.process import Process
from tetrapy.events.throttle import START, ProcessThrottle
from tetrapy.process.pending import PendingEvents

POD = Pod(Container("docker://1", "web"))


class World:
    """Containers that a test answers for, a clock, and the processes of a table."""

    def __init__(self, max_bytes: int = 8 << 20) -> None:
        self.new: list[Membership] = []
        self.changed: list[Membership] = []
        self.unanswered = 0
        self.lookups: dict[str, int] = {}
        self.now = 100.0
        self.processes: list[Process] = []
        self.pending = PendingEvents(
            self, self.processes, 1.0, max_bytes=max_bytes, clock=lambda: self.now
        )

    def take_new(self) -> list[Membership]:
        new, self.new = self.new, []
        return new

    def settle(self) -> list[Membership]:
        changed, self.changed = self.changed, []
        for one in changed:
            one.waits = False
        return changed

    def container(self) -> Membership:
        found = Membership()
        found.waits = True
        self.new.append(found)
        self.unanswered += 1
        return found

    def answer(self, one: Membership, pod: Pod | None = POD) -> None:
        one.pod = pod
        self.unanswered -= 1
        self.changed.append(one)

    def event(
        self, pid: int, container: Membership = OUTSIDE, parent: Process | None = None
    ) -> ProcessExec:
        process = Process(b"node", pid, pid, pid)
        process.start_time = EPOCH
        process.container = container
        self.processes.append(process)
        return ProcessExec(process, parent)


def test_events_of_hosts_processes_do_not_wait() -> None:
    """Nor do those that are about no process."""
    world = World()
    web = world.container()
    host, inside, other = world.event(1), world.event(2, web), world.event(3)
    throttle = ProcessThrottle(START, "name", EPOCH)
    assert world.pending.take([host, inside, throttle, other]) == [host, throttle, other]
    assert world.pending.is_busy
    world.answer(web)
    assert world.pending.take([]) == [inside]
    assert not world.pending.is_busy
    assert world.pending.bytes == 0
    assert world.pending.waited == 1
    assert not world.pending.went_without
    assert b'"pod":{"container":{"id":"docker://1","name":"web"}}' in inside.process.encoded()


def test_a_parent_in_a_container_is_shown_too() -> None:
    """So an event waits for that of the parent."""
    world = World()
    web = world.container()
    parent = world.event(2, web)
    child = world.event(3, OUTSIDE, parent.process)
    assert world.pending.take([child]) == []
    world.answer(web)
    assert world.pending.take([]) == [child]


def test_the_order_of_a_process_stays() -> None:
    """What a process did after it left the container comes after what it did there."""
    world = World()
    web, db = world.container(), world.container()
    first, second, third = world.event(2, web), world.event(2), world.event(2, db)
    assert world.pending.take([first, second, third]) == []
    world.answer(db)
    assert world.pending.take([]) == []
    world.answer(web)
    assert world.pending.take([]) == [first, second, third]


def test_waiting_ends() -> None:
    """Then events go without, are counted, and later ones show what was found out after all."""
    world = World()
    web = world.container()
    early = world.event(2, web)
    assert world.pending.take([early]) == []
    world.now += 0.9
    assert world.pending.take([]) == []
    world.now += 0.2
    assert world.pending.take([]) == [early]
    assert world.pending.went_without == {"PROCESS_EXEC": 1}
    early.process.json = early.process.encoded()
    assert b'"pod"' not in early.process.json
    at_once = world.event(3, web)
    assert world.pending.take([at_once]) == [at_once]
    world.answer(web)
    world.pending.take([])
    assert early.process.json is None
    assert b'"pod"' in early.process.encoded()


def test_unknown_containers() -> None:
    """The answer may be that nobody knows it."""
    world = World()
    web = world.container()
    event = world.event(2, web)
    world.pending.take([event])
    world.answer(web, None)
    assert world.pending.take([]) == [event]
    assert b'"pod"' not in event.process.encoded()


def test_what_waits_takes_so_many_bytes() -> None:
    """Beyond, the first events are not kept waiting any more, so many that there is room again."""
    world = World(max_bytes=100_000)
    out: list[object] = []
    for number in range(1000):
        out += world.pending.take([world.event(number, world.container())])
        assert world.pending.bytes <= 100_000
    assert 800 < len(out) < 1000
    assert world.pending.went_without == {"PROCESS_EXEC": len(out)}
    assert len(world.pending) == 1000 - len(out)


def test_whose_events_take_most_go_first() -> None:
    """A user who has thousands of made-up containers asked for has nobody else's go without."""
    world = World(max_bytes=100_000)
    web, other = world.container(), world.container()
    mine = world.event(1, web)
    inside = world.event(2, other)
    mine.process.account = Account(1000)
    inside.process.account = Account(0, "0123456789abcdef0123456789abcde")
    assert world.pending.take([mine, inside]) == []
    for number in range(3, 1000):
        event = world.event(number, world.container())
        event.process.account = Account(65534)
        assert mine not in (ready := world.pending.take([event]))
        assert inside not in ready
        assert world.pending.bytes <= 100_000
    world.answer(web)
    world.answer(other)
    ready = world.pending.take([])
    assert ready == [mine, inside]
    assert b'"name":"web"' in mine.process.encoded()


def test_room_is_made_by_many_at_once() -> None:
    """Who has most wait has all events looked at now and then, not each time."""
    world = World(max_bytes=100_000)
    rounds = 0
    for number in range(1000):
        rounds += bool(world.pending.take([world.event(number, world.container())]))
    assert rounds < 100


def test_a_process_that_became_anothers_keeps_its_order() -> None:
    """Its second event, of who has most, waits behind the first, which has a little: both go."""
    world = World(max_bytes=4000)
    first = world.event(1, world.container())
    more = [world.event(1, world.container()) for _ in range(5)]
    for event in more:
        event.process.account = Account(65534)
    assert world.pending.take([first]) == []
    assert world.pending.take(more) == [first, *more]
    assert not world.pending.bytes


def test_the_end() -> None:
    """What still waits when the agent stops is given out after the time that is left."""
    world = World()
    event = world.event(2, world.container())
    world.pending.take([event])
    assert world.pending.finish(-1.0) == [event]
    assert not len(world.pending)


@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("event"), st.integers(1, 3), st.integers(0, 3)),
            st.tuples(st.just("answer"), st.integers(1, 3), st.just(0)),
            st.tuples(st.just("time"), st.integers(0, 15), st.just(0)),
        ),
        max_size=30,
    )
)
def test_nothing_is_lost_or_turned_round(steps: list[tuple[str, int, int]]) -> None:
    """Each event comes out once, those of a process in their order, none before its container."""
    world = World()
    containers = [OUTSIDE, *(world.container() for _ in range(3))]
    open_ = {1, 2, 3}
    given_in: list[ProcessExec] = []
    out: list[ProcessExec] = []
    for what, number, where in steps:
        if what == "event":
            given_in.append(world.event(number, containers[where]))
            ready = world.pending.take([given_in[-1]])
        else:
            if what == "time":
                world.now += number / 10
            elif number in open_:
                open_.remove(number)
                world.answer(containers[number])
            ready = world.pending.take([])
        assert not any(one.process.container.waits for one in ready)
        out += ready
    out += world.pending.finish(0.0)
    assert sorted(map(id, out)) == sorted(map(id, given_in))
    for pid in (1, 2, 3):
        assert [one for one in out if one.process.pid == pid] == [
            one for one in given_in if one.process.pid == pid
        ]
