# SPDX-License-Identifier: Apache-2.0
"""Records of any kind, sane or not, through the dispatcher."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.golden_cases import cases
from tests.support.records import (
    EPOCH,
    SECOND,
    Task,
    World,
    abi,
    execute,
    exit_of,
    fork,
    long_exec,
    pack,
)
from tetrapy.sensors.dispatch import Dispatcher
from tetrapy.sensors.loss import LossCounter

INIT = Task(1, SECOND)
CHILD = Task(50, 2 * SECOND)
REAL = [record for records in cases().values() for record in records]
KIND_OFFSET = abi().kind_offset

kinds = st.sampled_from([decoder.kind for decoder in abi().decoders.values()])


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A real record with some bytes changed, cut or extended."""
    record = bytearray(draw(st.sampled_from(REAL)))
    for _ in range(draw(st.integers(0, 4))):
        record[draw(st.integers(0, min(len(record) - 1, 120)))] = draw(st.integers(0, 255))
    cut = draw(st.integers(0, len(record)) | st.just(len(record)))
    return bytes(record[:cut]) + draw(st.binary(max_size=9))


@st.composite
def noise(draw: st.DrawFn) -> bytes:
    """Random bytes that claim to be of some kind."""
    record = bytearray(draw(st.binary(max_size=200)))
    if len(record) > KIND_OFFSET and draw(st.booleans()):
        record[KIND_OFFSET] = draw(kinds)
    return bytes(record)


def test_a_batch_makes_events_in_order() -> None:
    """Records are reported in their order; those that make no event leave no gap."""
    world = World()
    batch = [
        execute(INIT, Task(0)),
        fork(CHILD, INIT),
        execute(CHILD, INIT),
        exit_of(CHILD),
        exit_of(INIT),
    ]
    events = world.dispatcher.events(batch)
    assert [(event.name, event.process.pid) for event in events] == [
        ("process_exec", 1),
        ("process_exec", 50),
        ("process_exit", 50),
        ("process_exit", 1),
    ]
    assert world.dispatcher.errors == 0
    assert world.dispatcher.events([]) == []


@pytest.mark.parametrize("kind", [0, 6, 7, 128, 255])
def test_a_record_of_an_unknown_kind_is_counted(kind: int) -> None:
    """A kind without a decoder is an error that stops nothing."""
    world = World()
    events = world.dispatcher.events([pack("exit", kind=kind), exit_of(CHILD)])
    assert len(events) == 1
    assert world.dispatcher.errors == 1


@pytest.mark.parametrize("kind", ["exec", "fork", "exit", "args", "throttle"])
def test_a_record_without_its_fixed_part_is_counted(kind: str) -> None:
    """Cut anywhere in the fixed structure, a record is an error and makes no event."""
    whole = pack(kind)
    for size in range(len(whole)):
        world = World()
        assert world.dispatcher.events([whole[:size]]) == []
        assert world.dispatcher.errors == 1, size
        assert world.live == {}


def test_an_exec_without_all_its_parts_is_counted() -> None:
    """A record that is shorter than its own sizes say makes no event with holes in it."""
    whole = execute(CHILD, INIT, path=b"/bin/x", argv=(b"x", b"y"), cwd=b"/c", cgroup=b"g" * 70)
    for size in range(abi().decoders["exec"].size, len(whole)):
        world = World()
        assert world.dispatcher.events([whole[:size]]) == []
        assert world.dispatcher.errors == 1, size


def test_bytes_behind_a_record_do_not_matter() -> None:
    """A perf buffer pads records at their end."""
    for record in REAL:
        plain, padded = World(), World()
        one = [plain.line(event) for event in plain.dispatcher.events([record])]
        two = [padded.line(event) for event in padded.dispatcher.events([record + b"\xee" * 7])]
        assert one == two


@pytest.mark.slow
@given(st.lists(noise() | mutated(), max_size=12))
def test_no_bytes_break_the_dispatcher(batch: list[bytes]) -> None:
    """Random, cut and changed records raise nothing; what makes no sense is counted."""
    world = World()
    events = world.dispatcher.events(batch)
    assert len(events) + world.dispatcher.errors <= len(batch)
    for event in events:
        assert world.line(event).endswith(b"\n")


@pytest.mark.slow
@given(st.lists(noise() | mutated(), max_size=12))
def test_no_bytes_break_the_look_ahead(batch: list[bytes]) -> None:
    """Records that came while procfs was read may be damaged as well."""
    World().dispatcher.touched(batch)


@pytest.mark.slow
@given(st.lists(mutated(), max_size=6))
def test_the_agent_works_on_after_damaged_records(batch: list[bytes]) -> None:
    """After any damage a sane history is still told rightly."""
    world = World()
    world.dispatcher.events(batch)
    one, two = Task(3_000_000, 2**61), Task(3_000_001, 2**61 + 1)
    events = world.feed(
        execute(one, Task(0)),
        fork(two, one),
        *long_exec(two, one, [b"prog", b"x" * 9000], at=2**61 + 3),
        exit_of(two, 9),
    )
    assert [event.process.pid for event in events] == [one.pid, two.pid, two.pid]
    assert events[1].process.arguments == "x" * 9000
    assert events[2].parent is events[0].process


def test_what_happened_while_procfs_was_read() -> None:
    """Forks and first execs are told by pid; the exec with its time since boot."""
    world = World()
    other = Task(60, 3 * SECOND)
    world.dispatcher.clock_gap = 1_000_000
    touched = world.dispatcher.touched(
        [
            fork(CHILD, INIT),
            execute(other, INIT, at=5 * SECOND),
            execute(other, INIT, at=6 * SECOND),
            exit_of(Task(70, 1)),
            *long_exec(Task(80, 1), INIT, [b"p", b"x" * 9000], at=7 * SECOND),
        ]
    )
    assert {entry if isinstance(entry, int) else entry[0] for entry in touched.forked} == {50}
    times = {pid: executed.ktime for pid, executed in touched.executed.items()}
    assert times == {60: 5_001_000_000, 80: 7_001_000_000}


def test_time_spent_suspended_is_added() -> None:
    """With a clock that stands still in suspend, times in events count what is missing."""
    world = World()
    world.dispatcher.clock_gap = 100 * SECOND
    world.feed(fork(CHILD, INIT, at=2 * SECOND))
    forked = world.live[50]
    event = world.one(execute(CHILD, INIT, at=3 * SECOND))
    assert forked.ktime == 102 * SECOND
    assert event.process.ktime == 103 * SECOND
    assert event.process.start_time == EPOCH + 103 * SECOND
    assert world.one(exit_of(CHILD, at=4 * SECOND)).time == EPOCH + 104 * SECOND
    (event,) = world.feed(*long_exec(Task(9, 1), INIT, [b"p", b"x" * 9000], at=5 * SECOND))
    assert event.process.arguments == "x" * 9000


def test_losses_are_reported_once_by_kind() -> None:
    """The counters of the kernel only grow; each look tells what is new."""
    losses = LossCounter()
    assert losses.update({"exec": 0, "fork": 0, "exit": 0}) == {}
    assert losses.update({"exec": 3, "fork": 0, "exit": 1}) == {"exec": 3, "exit": 1}
    assert losses.update({"exec": 3, "fork": 0, "exit": 1}) == {}
    new = losses.update({"exec": 5, "fork": 2, "exit": 1, "args": 7})
    assert new == {"exec": 2, "fork": 2, "args": 7}
    assert losses.update({"exec": 1}) == {}  # a counter that went back tells nothing new
    assert losses.total == 5 + 2 + 1 + 7


def test_kinds_are_added_by_who_knows_them() -> None:
    """A record goes to the handler of its kind; without one it is counted, and is no event."""
    seen: list[bytes] = []
    dispatcher = Dispatcher(abi())
    records = [fork(CHILD, INIT), exit_of(CHILD)]
    assert dispatcher.events(records) == []
    assert dispatcher.failures == {"fork": 1, "exit": 1}
    dispatcher.add("exit", seen.append)
    assert dispatcher.events(records) == []
    assert (seen, dispatcher.failures) == ([records[1]], {"fork": 2, "exit": 1})
    assert dispatcher.errors == 3
    with pytest.raises(KeyError):
        dispatcher.add("no kind of events.h", lambda _: None)
