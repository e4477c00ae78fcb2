# SPDX-License-Identifier: Apache-2.0
"""A storm of one user is lost as that user's; others lose nothing. Nobody reads meanwhile."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from bench.reliability.cgroups import Cgroups
from tests.support.launcher import Launcher
from tests.support.watch import Watch
from tetrapy.events.account import Account

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    Run = Callable[..., None]

pytestmark = pytest.mark.alone

STORMER, VICTIM = 54321, 64321  # uids that nobody has
SUBORDINATE = 100_000  # where those of /etc/subuid begin
EXECS = 100
CGROUPS = 500
LONG = "x" * 30_000  # an argument: some dozens of them are more than the buffer


@pytest.fixture(params=[True, False], ids=["ring", "perf"])
def watch(request: pytest.FixtureRequest) -> Iterator[Watch]:
    with Watch(ring=request.param, size=1 << 20) as made:
        yield made


@pytest.fixture(name="run", scope="module")
def fixture_run() -> Iterator[Run]:
    with Launcher() as launcher:
        yield launcher.run


def storm(
    run: Run,
    watch: Watch,
    actor: Path,
    uid_of: Callable[[int], int],
    words: list[object],
    cwd: Path | None = None,
) -> set[str]:
    """Run until one of its users loses something, then a quarter more; whose records were lost."""
    count, losers, own = 0, set(), set()
    while not losers & own:
        for _ in range(20):
            own.add(str(uid_of(count)))
            run([actor, *words], uid_of(count), cwd)
            count += 1
        losers |= {uid for uid, _ in watch.sensor.losses_by_owner()}
        assert count < 30_000, "nothing is ever lost"
    for _ in range(count // 4):
        run([actor, *words], uid_of(count), cwd)
        count += 1
    return losers


# Forks fill a buffer in minutes, and what they take is counted by the same code.
@pytest.mark.parametrize(
    ("watch", "words"),
    [(True, [LONG, "exit", 0]), (False, [LONG, "exit", 0]), (True, ["s", "fork", "exit", 0])],
    ids=["ring-arguments", "perf-arguments", "ring-forks"],
    indirect=["watch"],
)
def test_others_lose_nothing(run: Run, watch: Watch, actor: Path, words: list[object]) -> None:
    """What is lost is the storm's, and the log can say so; another user is reported whole."""
    storm(run, watch, actor, lambda _: STORMER, words)
    for number in range(EXECS):
        run([actor, f"victim{number}x", "exit", 0], VICTIM)
    assert str(VICTIM) not in {uid for uid, _ in watch.sensor.losses_by_owner()}
    watch.fence()
    for number in range(EXECS):
        names = [event.name for event in watch.of(f"victim{number}x")]
        assert names == ["process_exec", "process_exit"], number


@pytest.mark.parametrize(
    ("ring", "first", "uids", "victims"),
    [
        (True, 20_000, 10, 20),
        (True, 20_000, 10_000, 20),
        (True, SUBORDINATE, 10_000, EXECS),
        (False, 20_000, 10_000, 20),
    ],
    ids=["ring-few", "ring-many", "ring-subordinate", "perf-many"],
)
def test_many_users_together(
    run: Run, ring: bool, first: int, uids: int, victims: int, actor: Path
) -> None:
    """Many users fill their cgroup's share; who holds little in the same cgroup is reported.

    A user's subordinate uids do not even fill the share of the cgroup that they are in.
    """
    with Watch(ring=ring, size=8 << 20) as watch:
        storm(run, watch, actor, lambda number: first + number % uids, [LONG, "exit", 0])
        for number in range(victims):
            run([actor, f"victim{number}x", "exit", 0], VICTIM)
        assert str(VICTIM) not in {uid for uid, _ in watch.sensor.losses_by_owner()}
        # Only an exec that was admitted sends its arguments, so none is lost but for want of room.
        assert watch.sensor.buffer_losses()["args"] == 0
        watch.fence()
        for number in range(victims):
            names = [event.name for event in watch.of(f"victim{number}x")]
            assert names == ["process_exec", "process_exit"], number


def test_root_in_many_cgroups(run: Run, actor: Path) -> None:
    """Root of a container that may make cgroups leaves others their part of the buffer."""
    with Cgroups(CGROUPS, 0) as made, Watch(ring=True, size=2 << 20) as watch:
        assert made.path is not None
        for number in range(2 * CGROUPS):
            run([actor, LONG[:3_000], "exit", 0], cgroup=made.path / str(number % CGROUPS))
        assert "0" in {uid for uid, _ in watch.sensor.losses_by_owner()}
        for number in range(20):
            run([actor, f"victim{number}x", "exit", 0], VICTIM)
        assert str(VICTIM) not in {uid for uid, _ in watch.sensor.losses_by_owner()}
        watch.fence()
        for number in range(20):
            names = [event.name for event in watch.of(f"victim{number}x")]
            assert names == ["process_exec", "process_exit"], number


def test_paths_are_charged(run: Run, watch: Watch, actor: Path, tmp_path: Path) -> None:
    """A user whose execs are long by their directories takes half of the buffer too, not more."""
    cwd = tmp_path.joinpath(*["d" * 250] * 15)
    cwd.mkdir(parents=True)
    storm(run, watch, actor, lambda _: STORMER, ["deep", "exit", 0], cwd)
    watch.fence()
    reported = sum(len(event.process.cwd) for event in watch.of("deep", "exec"))
    one = watch.sensor.buffer_bytes
    if not watch.sensor.uses_ring:
        one //= os.cpu_count() or 1
    # At least a part: what else runs on this machine has its share too.
    assert 0.1 * one < reported < 0.6 * one


def test_an_exec_is_lost_whole(run: Run, watch: Watch, actor: Path) -> None:
    """Chunks of its arguments do not come without it."""
    storm(run, watch, actor, lambda _: STORMER, [LONG, "exit", 0])
    assert watch.sensor.buffer_losses()["args"] == 0
    watch.fence()
    reported = [event for event in watch.of(LONG) if event.name == "process_exec"]
    assert reported
    assert {event.process.arguments for event in reported} == {f"{LONG} exit 0"}


def test_the_reader_gives_shares_back(run: Run, watch: Watch, actor: Path) -> None:
    """Once what waited is read, who stormed is reported again."""
    storm(run, watch, actor, lambda _: STORMER, [LONG, "exit", 0])
    watch.fence()
    watch.sensor.losses_by_owner()
    for number in range(20):
        run([actor, f"again{number}x", "exit", 0], STORMER)
    watch.fence()
    assert str(STORMER) not in {uid for uid, _ in watch.sensor.losses_by_owner()}
    assert all(len(watch.of(f"again{number}x")) == 2 for number in range(20))


@pytest.mark.parametrize("owner", [0, VICTIM])
def test_who_runs_a_setuid_program_answers_for_it(watch: Watch, actor: Path, owner: int) -> None:
    """Also as an orphan: root, whose child it is then, has no share, and another only his own."""
    program = actor.with_name(f"setuid-{owner}")
    shutil.copyfile(actor, program)
    os.chown(program, owner, -1)
    program.chmod(0o4755)
    tag = f"orphan-{os.getpid()}-{owner}"
    # The child waits for the end of its parent, and then executes the program.
    waits = f"( while kill -0 $$ 2>/dev/null; do :; done; exec {program} {tag} exit 0 ) &"
    ids = ["setpriv", f"--reuid={STORMER}", f"--regid={STORMER}", "--clear-groups"]
    subprocess.run([*ids, "sh", "-c", waits], check=True, cwd="/")
    end = time.monotonic() + 60
    while not (
        found := [e.process for e in watch.events if e.process.arguments[: len(tag)] == tag]
    ):
        assert time.monotonic() < end
        watch.take()
    assert (found[0].uid, found[0].account) == (owner, Account(STORMER))
