# SPDX-License-Identifier: Apache-2.0
"""What is kept of everybody, in one room."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.records import SECOND, Task, World, execute, exit_of, fork
from tetrapy.events.account import ROOT, Account
from tetrapy.process.callers import EndedImages
from tetrapy.process.shared_store import SharedStore

ME, OTHER = Account(1000), Account(1001)
INIT = Task(1)


def test_who_takes_most_gives_way() -> None:
    """His oldest first; one of little stays, and keys of one container are one owner's."""
    store: SharedStore[int, str] = SharedStore(10, 1000)
    store.put(1, "mine", 300, ME)
    for number in range(2, 50):
        store.put(number, "another's", 1, Account(number, "c" * 64))
    assert store.get(1) == "mine"
    assert [number for number in range(50) if store.get(number)] == [1, *range(43, 50)]
    store.put(1, "again", 2000, ME)
    assert store.get(1) is None
    assert len(store) == 7


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.integers(0, 400), st.integers(0, 3), st.booleans()),
        max_size=60,
    )
)
def test_room(steps: list[tuple[int, int, int, bool]]) -> None:
    """It is never exceeded, and what is there is what was put last."""
    store: SharedStore[int, int] = SharedStore(10, 1000)
    last: dict[int, int] = {}
    for key, size, uid, put in steps:
        if put:
            store.put(key, size, size, Account(uid))
            last[key] = size
        else:
            assert store.pop(key) in {None, last.get(key)}
            assert store.get(key) is None
        there = {one: value for one in range(10) if (value := store.get(one)) is not None}
        assert len(store) == len(there) <= 10
        assert sum(max(size, 100) for size in there.values()) <= 1000
        assert there.items() <= last.items()


def test_images_of_others_that_ended() -> None:
    """A storm of one user's processes leaves what another's ran, who may still make calls."""
    world = World()
    ended = EndedImages()
    mine = world.one(execute(Task(50, SECOND), INIT, uid=1000, fork_parent=INIT)).process
    ended.keep(mine)
    for number in range(2000):
        task = Task(100 + number, 2 * SECOND + number)
        ended.keep(world.one(execute(task, INIT, uid=1001, fork_parent=INIT)).process)
        world.feed(exit_of(task))
    assert ended.find(50, SECOND) == (mine, mine.parent)


def test_images_that_others_replaced() -> None:
    """A child whose fork is deferred has its creator's image, whoever replaces images meanwhile."""
    world = World()
    mine = Task(50, SECOND)
    world.feed(execute(mine, INIT, path=b"/bin/first", uid=1000, fork_parent=INIT))
    replaced = execute(mine, INIT, path=b"/bin/next", uid=1000, at=SECOND + 90, deferred_children=1)
    world.feed(replaced)
    for number in range(60):
        task = Task(100 + number, 2 * SECOND + number)
        world.feed(execute(task, INIT, uid=1001, fork_parent=INIT))
        for turn in range(18):
            at = 2 * SECOND + 1000 * (turn + 1)
            words = (b"p", b"x" * 8000)
            world.feed(execute(task, INIT, argv=words, uid=1001, at=at, deferred_children=turn + 1))
    child = Task(51, SECOND + 50)
    world.feed(fork(child, mine))
    assert world.one(exit_of(child)).process.binary == "/bin/first"


def test_more_images_than_are_kept_of_a_process() -> None:
    """Those of before are not known: the child is not reported with the oldest that is left."""
    world = World()
    mine = Task(50, SECOND)
    world.feed(execute(mine, INIT, path=b"/bin/first", fork_parent=INIT))
    for turn in range(20):
        path, at = b"/bin/%d" % turn, SECOND + 90 + turn
        world.feed(execute(mine, INIT, path=path, at=at, deferred_children=1))
    child = Task(51, SECOND + 50)
    world.feed(fork(child, mine))
    assert world.one(exit_of(child)).process.binary == ""


def test_an_image_that_was_not_kept() -> None:
    """Nothing is said of it: not what its process executed later."""
    world = World()
    mine = Task(50, SECOND)
    world.feed(execute(mine, INIT, path=b"/bin/first", fork_parent=INIT))
    world.feed(execute(mine, INIT, path=b"/bin/next", at=SECOND + 90))
    child = Task(51, SECOND + 50)
    world.feed(fork(child, mine))
    process = world.one(exit_of(child)).process
    assert process.binary == ""
    assert process.account != ROOT
