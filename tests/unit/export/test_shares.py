# SPDX-License-Identifier: Apache-2.0
"""No user pushes out of the export files what others did."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from tests.support.agent_run import Recorder
from tests.support.export_run import Export, subscribed
from tests.support.records import SECOND, Task, World, execute
from tetrapy.events.account import Account
from tetrapy.events.event import Event
from tetrapy.export.ledger import KNOWN
from tetrapy.export.shares import Shares
from tetrapy.sinks.file import FileSink
from tetrapy.sinks.rules import FileRules

INIT = Task(1, SECOND)
UNSET = 0xFFFFFFFF
DAY = 86_400.0
SHOWN = "5ca1ab1e" * 3 + "5ca1ab1"  # of a container's id
HOST = b"init.scope"
INSIDE = b"5ca1ab1e" * 8 + b"\0docker\0"
BESIDE = b"feedface" * 8 + b"\0docker\0"
ROOTLESS = b"libpod-" + b"feedface" * 8 + b".scope\0user.slice\0user@33.service\0"


def run_by(
    uid: int, auid: int = UNSET, parent_uid: int = 0, size: int = 1, cgroup: bytes = HOST
) -> Event:
    world = World()
    parent = Task(40, 2 * SECOND)
    world.feed(execute(parent, INIT, uid=parent_uid, fork_parent=INIT, cgroup=cgroup))
    record = execute(
        Task(50, 3 * SECOND),
        parent,
        uid=uid,
        auid=auid,
        fork_parent=parent,
        cgroup=cgroup,
        argv=(b"x", b"\x1b" * size),
    )
    return world.one(record)


def shares(most: int = 100) -> tuple[Shares, list[str]]:
    reported: list[str] = []
    return Shares(most, reported.append), reported


def filled(one: Shares, event: Event, most: int = 10_000) -> int:
    """Bytes that a process of its account writes until it may no more."""
    for count in range(most // 10):
        if one.is_beyond(event, 10):
            return 10 * count
    return most


def test_a_share_is_filled_once() -> None:
    """Lines up to it are as everybody's; then all are beyond, and that is reported once."""
    one, reported = shares()
    event = run_by(1000)
    assert [one.is_beyond(event, 30) for _ in range(6)] == [False] * 3 + [True] * 3
    assert reported == ["1000"]
    assert not one.is_beyond(run_by(1001), 30)


def test_a_share_comes_back() -> None:
    """Within a day, evenly; a little of it changes nothing."""
    one, reported = shares()
    event = run_by(1000)
    one.settle(1.0)
    assert filled(one, event) == 100
    one.settle(1.0 + DAY / 100)
    assert one.is_beyond(event, 1)
    one.settle(1.0 + DAY / 2)
    assert filled(one, event) == 50
    assert reported == ["1000", "1000"]
    one.settle(1.0 + 3 * DAY)
    assert filled(one, event) == 100


@pytest.mark.parametrize(
    ("event", "user"),
    [
        (run_by(0), None),
        (run_by(0, auid=0), None),
        (run_by(0, auid=1000), None),  # root, however it came to be
        (run_by(33), "33"),
        (run_by(33, auid=0), "33"),
        (run_by(33, auid=1000), "33"),  # anybody may set it where nobody logged in
        (run_by(100_033, auid=1000), "65536"),
        (run_by(100_033), "65536"),  # a user namespace has many users
        (run_by(131_071), "65536"),
        (run_by(65_535), "65535"),
        (run_by(0, parent_uid=100_033), "65536"),
        (run_by(0, parent_uid=33), "33"),  # a program that anybody may run as root
        (run_by(0, parent_uid=33, auid=1000), "33"),
        (run_by(0, cgroup=INSIDE), f"0 in {SHOWN}"),
        (run_by(33, cgroup=INSIDE), f"33 in {SHOWN}"),
        (run_by(0, parent_uid=33, cgroup=INSIDE), f"33 in {SHOWN}"),
        (run_by(33, cgroup=ROOTLESS), "33"),
    ],
)
def test_whose_line_it_is(event: Event, user: str | None) -> None:
    """Its user's, whatever the login uid; of a program with the rights of root, who started it."""
    one, reported = shares(1)
    assert one.is_beyond(event, 2) is (user is not None)
    assert reported == ([] if user is None else [user])


def test_root_of_a_container() -> None:
    """It has a share as others have, and its container two, whichever uids it takes; others have
    theirs, who are in another container or bear the same uids on the host.
    """
    one, reported = shares()
    assert filled(one, run_by(0, cgroup=INSIDE)) == 100
    taken = sum(filled(one, run_by(uid, cgroup=INSIDE)) for uid in (1000, *range(2000, 2010)))
    assert taken == 100
    assert reported[0] == f"0 in {SHOWN}"
    assert f"all in {SHOWN}" in reported
    assert filled(one, run_by(0, cgroup=BESIDE)) == 100
    assert filled(one, run_by(1000)) == 100
    assert not one.is_beyond(run_by(0), 10_000)


def test_a_user_who_names_cgroups_as_containers() -> None:
    """His uid has two shares in all of them, however many he makes."""
    one, reported = shares()
    made = [b"%08x" % number * 8 + b"\0mine\0system.slice\0" for number in range(50)]
    assert sum(filled(one, run_by(1000, cgroup=names)) for names in made) == 200
    assert "1000 in all containers" in reported


def test_users_without_end() -> None:
    """They take bounded memory; who took little is forgotten, and never refused."""
    one, reported = shares()
    heavy, event = run_by(7), run_by(1)
    assert filled(one, heavy) == 100
    for uid in range(1000, 21_000):
        event.process.account = Account(uid)
        assert not one.is_beyond(event, 1)
    assert one.is_beyond(heavy, 1)
    assert reported == ["7"]
    assert len(one._each.ledger) <= KNOWN
    assert filled(one, run_by(2)) >= 50


def test_users_without_end_who_take_all() -> None:
    """Then newcomers are as those who took all, until time gives it back; the log is not filled."""
    one, reported = shares()
    event = run_by(1)
    for uid in range(1000, 5_000):
        event.process.account = Account(uid)
        filled(one, event)
    assert len(reported) <= KNOWN
    assert len(one._each.ledger) <= KNOWN
    assert len(one._each._beyond) <= KNOWN
    assert one.is_beyond(run_by(2), 10)
    one.settle(1.0)
    one.settle(1.0 + DAY / 2)
    assert filled(one, run_by(2)) >= 40


def limited(path: Path, log: Recorder, share: int = 25, **rules: int) -> Export:
    kept = FileRules(max_size=100_000, max_backups=3)._replace(**rules)
    sink = FileSink(str(path), kept, log)
    return subscribed(sink, log, share=share)


def ended(export: Export) -> None:
    """Close it when its backups are looked after: the end of the agent waits a second for that."""
    sink = export.target.sink
    assert isinstance(sink, FileSink)
    for one in (sink, sink._aside):
        if one is not None:
            one.rotation.wait()
    export.subscription.close()


def everything(place: Path) -> str:
    return "".join(file.read_text() for file in place.iterdir() if "overflow" not in file.name)


@pytest.mark.parametrize("size", [1, 4_000])
def test_evidence_stays(tmp_path: Path, size: int) -> None:
    """Of root, of others before, amid and after; what one user makes beyond goes beside it."""
    log = Recorder()
    export = limited(tmp_path / "out.json", log)
    dice = random.Random(size)
    flood = [run_by(65_534, size=size)]
    others = []
    for turn in range(30):
        uid = dice.choice([0, 1000, 1001])
        event = run_by(uid)
        event.process.arguments, event.process.json = f"evidence-{turn}-", None
        others.append(event.process.arguments)
        export.fanout.publish([event])
        export.fanout.publish(flood * (3_000_000 // 30 // (600 + 6 * size) + 1))
        export.fanout.tick(turn)
    ended(export)
    text = everything(tmp_path)
    assert all(one in text for one in others)
    assert text.count('"uid":65534') > 0
    beside = (tmp_path / "overflow-out.json").read_text()
    assert beside.count('"uid":65534') > 0
    assert all(json.loads(line) for line in beside.splitlines())
    assert "evidence" not in beside
    assert export.target.overflowed > 0
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 2 * 4 * 100_000 + 600_000
    warned = [keys for level, text, keys in log.lines if level == "warn" and "share" in text]
    assert [keys["user"] for keys in warned] == ["65534"]


@pytest.mark.parametrize(("share", "rules"), [(0, {}), (25, {"max_backups": 0})])
def test_without_shares(tmp_path: Path, share: int, rules: dict[str, int]) -> None:
    """All lines are in one place when the setting says so, and when nothing is ever removed."""
    export = limited(tmp_path / "out.json", Recorder(), share, **rules)
    for turn in range(50):
        export.fanout.publish([run_by(65_534, size=2_000)])
        export.fanout.tick(turn)
    ended(export)
    assert not list(tmp_path.glob("*overflow*"))


def test_a_place_that_cannot_be_made(tmp_path: Path) -> None:
    """Nothing is lost: the lines go on into the file."""
    log = Recorder()
    (tmp_path / "overflow-out.json").mkdir()
    export = limited(tmp_path / "out.json", log, max_size=1_000_000, share=1)
    export.fanout.publish([run_by(65_534, size=100)] * 100)
    export.subscription.close()
    assert len((tmp_path / "out.json").read_text().splitlines()) == 100
    assert any("no file" in text for _, text, _ in log.lines)
