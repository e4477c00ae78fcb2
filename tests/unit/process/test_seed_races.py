# SPDX-License-Identifier: Apache-2.0
"""What happens to processes while procfs is read: each is reported once, and rightly."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import SECOND, Task, World, execute, exit_of, fork, long_exec
from tests.unit.process.seeds import ATTACHED, MACHINE, READ, seen, start_up
from tetrapy.events.flags import flag_words
from tetrapy.events.process import UnknownProcess

INIT = Task(1, SECOND)
SHELL = Task(50, 2 * SECOND + 7_654_321)
PARENT = Task(60, 3 * SECOND + 1)
CHILD = Task(61, 3 * SECOND + 2)


def test_a_process_that_forked_meanwhile_is_told_by_its_records() -> None:
    """Procfs saw it too, but the fork knows its time to the nanosecond."""
    world = World()
    child = Task(80, ATTACHED + 5)
    record = fork(child, Task(50, 2 * SECOND + 7_654_321))
    reported = start_up(world, [*MACHINE, seen(80, 50, child.start)], record)
    assert 80 not in [process.pid for process in reported]
    world.feed(record)
    assert world.live[80].refcnt == 1
    event = world.one(execute(child, Task(50, 2 * SECOND + 7_654_321), at=READ + 5))
    assert flag_words(event.process.flags) == "execve clone"


def test_a_process_that_executed_after_it_was_read() -> None:
    """The image before is distinguished from procfs, the one after by the record."""
    world = World()
    record = execute(Task(61, 3 * SECOND + 2), Task(60, 3 * SECOND + 1), at=READ + 5)
    reported = start_up(world, MACHINE, record)
    assert 61 in [process.pid for process in reported]
    assert world.one(record).parent.binary == "/bin/61"


def test_a_process_that_executed_before_it_was_read() -> None:
    """Procfs showed what the record tells, so it is reported once, by the record."""
    world = World()
    record = execute(Task(61, 3 * SECOND + 2), Task(60, 3 * SECOND + 1), at=ATTACHED + 5)
    reported = start_up(world, MACHINE, record)
    assert 61 not in [process.pid for process in reported]
    event = world.one(record)
    assert event.process.pid == 61
    assert world.live[61] is event.process


def test_children_of_a_process_that_executed_before_it_was_read() -> None:
    """They are still its children."""
    world = World()
    record = execute(Task(60, 3 * SECOND + 1), Task(50, 2 * SECOND + 7_654_321), at=ATTACHED + 5)
    start_up(world, MACHINE, record)
    world.feed(record)
    event = world.one(exit_of(Task(61, 3 * SECOND + 2)))
    assert event.parent is None or event.parent.pid == 60
    assert event.process.parent_exec_id != world.table.kernel.exec_id


def test_a_process_that_ended_after_it_was_read() -> None:
    """It is reported, then it ends."""
    world = World()
    record = exit_of(Task(61, 3 * SECOND + 2), at=READ + 5)
    reported = start_up(world, MACHINE, record)
    assert 61 in [process.pid for process in reported]
    assert world.one(record).process.binary == "/bin/61"
    assert 61 not in world.live


def test_a_process_that_ended_before_it_was_read() -> None:
    """Procfs did not see it; its end is that of an unknown process."""
    world = World()
    record = exit_of(Task(99, 9 * SECOND), at=ATTACHED + 5)
    start_up(world, MACHINE, record)
    assert isinstance(world.one(record).process, UnknownProcess)


def test_a_pid_that_was_reused_meanwhile() -> None:
    """The old owner was read, ended, and a new process got its pid: both are told rightly."""
    world = World()
    new = Task(61, READ + 100)
    records = [
        exit_of(Task(61, 3 * SECOND + 2), at=READ + 5),
        fork(new, Task(50, 2 * SECOND + 7_654_321)),
        exit_of(new),
    ]
    reported = start_up(world, MACHINE, *records)
    assert 61 in [process.pid for process in reported]
    first, second = world.feed(*records)
    assert first.process.binary == "/bin/61"
    assert second.process.binary == "/bin/50"
    assert 61 not in world.live


@pytest.mark.slow
@given(
    st.sets(st.sampled_from([50, 60, 61, 70])), st.sets(st.sampled_from([50, 60, 61])), st.data()
)
def test_any_mix_of_forks_and_execs_meanwhile(
    forked: set[int], executed: set[int], data: st.DataObject
) -> None:
    """Whatever happened meanwhile: no exception, each process in the table once, tables agree."""
    tasks = {
        50: Task(50, 2 * SECOND + 7_654_321), 60: Task(60, 3 * SECOND + 1),
        61: Task(61, 3 * SECOND + 2), 70: Task(70, ATTACHED + 9),
    }  # fmt: skip
    records = [fork(tasks[pid], Task(1, SECOND)) for pid in sorted(forked)]
    for pid in sorted(executed):
        at = data.draw(st.sampled_from([ATTACHED + 10, READ + 10]))
        records.append(execute(tasks[pid], Task(1, SECOND), path=b"/bin/late", at=at))
    found = data.draw(st.permutations([*MACHINE, seen(70, 1, ATTACHED + 9)]))
    world = World()
    start_up(world, list(found), *records)
    events = world.feed(*records)
    assert world.dispatcher.errors == 0
    assert len(events) == len(executed)
    assert sorted(world.live) == [1, 2, 3, 50, 60, 61, 70]
    assert all(world.live[pid].binary == "/bin/late" for pid in executed)


@pytest.mark.parametrize(
    ("fields", "is_new"),
    [
        ({"has_command_line": False}, True),
        ({"arguments": "-l x"}, True),
        ({"arguments": "-l"}, False),
        ({"arguments": ""}, False),
    ],
)
def test_a_process_that_is_executing_while_it_is_read(
    fields: dict[str, object], is_new: bool
) -> None:
    """Without arguments, or with the new ones, procfs shows what the record will tell."""
    world = World()
    found = [*MACHINE[:-1], seen(61, 60, 3 * SECOND + 2, **fields)]
    record = execute(CHILD, PARENT, path=b"/bin/ls", argv=(b"ls", b"-l", b"x"), at=READ + 5)
    reported = start_up(world, found, record)
    assert (61 not in [process.pid for process in reported]) == is_new
    event = world.one(record)
    assert event.parent.pid == (60 if is_new else 61)
    assert flag_words(event.process.flags) == ("execve clone" if is_new else "execve")


@pytest.mark.parametrize(("path", "is_new"), [(b"./61", True), (b"/bin/other", False)])
def test_an_image_without_arguments_is_known_by_its_name(path: bytes, is_new: bool) -> None:
    """When neither image has arguments the names of the files tell them apart."""
    world = World()
    record = execute(CHILD, PARENT, path=path, argv=(b"x",), at=READ + 5)
    reported = start_up(world, MACHINE, record)
    assert (61 not in [process.pid for process in reported]) == is_new


def test_long_arguments_meanwhile() -> None:
    """An exec whose arguments came apart is reported once as well."""
    world = World()
    records = long_exec(CHILD, PARENT, [b"x", b"y" * 9000], at=ATTACHED + 5)
    reported = start_up(world, MACHINE, *records)
    assert 61 not in [process.pid for process in reported]
    (event,) = world.feed(*records)
    assert event.process.arguments == "y" * 9000
    assert flag_words(event.process.flags) == "execve clone dataArgs"


def test_lives_that_ended_before_listening_began() -> None:
    """While the start's own records are handled an unknown exit is nobody's; later it is
    reported.
    """
    world = World()
    start_up(world, MACHINE)
    world.tracker.starting = True
    assert world.feed(exit_of(Task(99, 9 * SECOND))) == []
    assert len(world.feed(exit_of(CHILD))) == 1
    world.tracker.starting = False
    assert len(world.feed(exit_of(Task(98, 9 * SECOND)))) == 1
