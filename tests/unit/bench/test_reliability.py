# SPDX-License-Identifier: Apache-2.0
"""The reader that judges what an agent has written, and the judges of its figures."""

from __future__ import annotations

import gzip
import json
import os
import socket
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.reliability import attack, attacks, kills, life, stop, storm
from bench.reliability.follower import Follower
from bench.reliability.reader import Tally, files, whole
from bench.reliability.watched import Sample


def line(kind: str, arguments: str) -> bytes:
    return json.dumps({kind: {"process": {"arguments": arguments}}}).encode() + b"\n"


BOTH = line("process_exec", "a 0") + line("process_exit", "a 0")


def tally(directory: Path, count: int) -> Tally:
    found = Tally()
    found.expect("a", count)
    found.read(directory / "events.json")
    return found


def test_all_files_are_read_oldest_first(tmp_path: Path) -> None:
    """Plain and compressed ones; of a file in both forms the complete compressed one counts."""
    (tmp_path / "events.json").write_bytes(b"")
    (tmp_path / "events-2.json").write_bytes(b"")
    (tmp_path / "events-1.json.gz").write_bytes(b"")
    (tmp_path / "events-1.json").write_bytes(b"")
    (tmp_path / "events-2.json.gz.tmp").write_bytes(b"")
    (tmp_path / "log").write_bytes(b"")
    names = [path.name for path in files(tmp_path / "events.json")]
    assert names == ["events-1.json.gz", "events-2.json", "events.json"]


def test_each_event_is_wanted_once(tmp_path: Path) -> None:
    """What is missing and what is there twice is distinguished, across files."""
    (tmp_path / "events-1.json.gz").write_bytes(gzip.compress(BOTH))
    (tmp_path / "events.json").write_bytes(
        line("process_exec", "a 0") + line("process_exec", "b 1")
    )
    found = tally(tmp_path, 2)
    assert found.missing() == ["process_exec of a 1", "process_exit of a 1"]
    assert found.repeated() == ["process_exec of a 0"]
    assert found.broken == []
    assert found.lines == 4


@pytest.mark.parametrize(
    "end", [b"{", b'{"process_exec":{}}', b"\0\0\0\n", b"[1]\n", b"{}\n", b"\n"]
)
def test_a_line_that_is_no_event_is_broken(tmp_path: Path, end: bytes) -> None:
    """Half a line, one without its line feed, zeros, other JSON, an empty line."""
    (tmp_path / "events.json").write_bytes(BOTH + end)
    found = tally(tmp_path, 1)
    assert [(one.file, one.number) for one in found.broken] == [("events.json", 3)]
    assert found.missing() == []


@given(st.integers(min_value=1, max_value=len(BOTH) - 1))
def test_a_cut_is_always_noticed(at: int) -> None:
    """Wherever a file ends but behind a line feed."""
    lines = BOTH[:at].splitlines(keepends=True)
    broken = [one for one in lines if whole(one) is None]
    assert bool(broken) == (not BOTH[:at].endswith(b"\n"))


def test_compressed_files_are_counted_and_taken_away(tmp_path: Path) -> None:
    """But one that is still there in its plain form: the agent is not done with it."""
    (tmp_path / "events-1.json.gz").write_bytes(gzip.compress(BOTH))
    (tmp_path / "events-2.json.gz").write_bytes(gzip.compress(BOTH))
    (tmp_path / "events-2.json").write_bytes(BOTH)
    (tmp_path / "events.json").write_bytes(b"")
    found = Tally()
    found.expect("a", 1)
    found.take_compressed(tmp_path / "events.json")
    assert found.lines == 2
    assert not (tmp_path / "events-1.json.gz").exists()
    assert (tmp_path / "events-2.json.gz").exists()


def test_memory_that_grows_is_distinguished_from_memory_that_breathes() -> None:
    """A level that is reached once is none; a line that goes on is."""
    level = [Sample(t, 20_000 if t < 300 else 30_000, 0.0) for t in range(0, 1800, 5)]
    line_up = [Sample(t, 20_000 + 10 * t, 0.0) for t in range(0, 1800, 5)]
    assert storm.growth(level) == 0
    assert storm.growth(line_up) > storm.FLAT
    assert storm.slope(line_up) == pytest.approx(600)


SOUND = {
    "lines broken": 0,
    "exit code": 0,
    "lost, all kinds, says the log": 30,
    "lost, say the last words": 30,
    "lost, say the metrics": 30,
    "exec: lost, says the log": 10,
    "exec: of the load, missing": 10,
    **{f"{kind}: of the load, repeated": 0 for kind in ("exec", "exit")},
    **{f"{kind}: reported + lost - made": 0 for kind in ("exec", "exit")},
}


@pytest.mark.parametrize(
    ("change", "alone", "wrong"),
    [
        ({}, True, False),
        ({"exec: reported + lost - made": 1}, False, False),
        ({"exec: reported + lost - made": 1}, True, True),
        ({"exit: reported + lost - made": -1}, False, True),
        ({"lost, say the metrics": 29}, False, True),
        ({"exec: of the load, missing": 11}, False, True),
        ({"exit: of the load, repeated": 1}, False, True),
    ],
)
def test_losses_have_to_add_up(change: dict[str, int], alone: bool, wrong: bool) -> None:
    """Where other processes run there may be more, never less; alone it is exact."""
    assert bool(stop.failures({**SOUND, **change}, alone=alone)) == wrong


def test_nothing_lost_is_nothing_measured() -> None:
    """A buffer that did not overflow proves nothing."""
    none = dict.fromkeys(SOUND, 0)
    assert any("nothing was measured" in text for text in stop.failures(none, alone=True))


def test_what_a_kill_may_not_leave() -> None:
    """Programs, maps, links, half lines, files, another one's pid."""
    sound = dict.fromkeys(
        ("BPF programs left", "BPF maps left", "BPF links left", "lines broken", "exit code"), 0
    )
    sound |= {"left in the run directory": [], "left beside the export": []}
    assert kills.failures({**sound, "pid file taken over": True}) == []
    assert kills.failures({**sound, "pid file taken over": False})
    for name in sound:
        assert kills.failures({**sound, name: [1], "pid file taken over": True})


UNHARMED = {
    "victim's processes": 500,
    "every event is an aim": True,
    "execs reported": 500,
    "exits reported": 500,
    "exits of old processes reported": attack.OLDS,
    "reported twice": 0,
    "lines broken": 0,
    "exit code": 0,
    "peak of RSS in MB": 40.0,
    "MB kept": 60.0,
    "longest pause in s": 1000.0,
    "stop in s": 1000.0,
}


@pytest.mark.parametrize(
    "change",
    [
        {"execs reported": 499},
        {"exits reported": 499},
        {"exits of old processes reported": 0},
        {"reported twice": 1},
        {"lines broken": 1},
        {"exit code": -9},
        {"peak of RSS in MB": 64.1},
        {"MB kept": 140.0},
    ],
)
def test_what_an_attack_may_not_do(change: dict[str, float]) -> None:
    """Events and bytes are judged, a clock never."""
    assert attack.failures(UNHARMED) == []
    assert len(attack.failures({**UNHARMED, **change})) == 1


def test_attacks_are_chosen_by_name_and_length() -> None:
    """Without a name all are; the short form is a part of them."""
    assert attacks.named([], short=False) == list(attacks.ATTACKS)
    short = attacks.named([], short=True)
    assert 0 < len(short) < len(attacks.ATTACKS)
    assert [one.name for one in attacks.named(["threads"], short=False)] == ["threads"]


def test_an_export_is_followed_across_rotations(tmp_path: Path) -> None:
    """What is told counts even when no file has it any more; a torn last line is broken."""
    export = tmp_path / "events.json"
    export.write_bytes(line("process_exec", "a-0") + line("process_exec", "b-1"))
    follower = Follower(export, "a")
    while follower.lines < 2:
        pass
    export.rename(tmp_path / "events-1.json")
    export.write_bytes(line("process_exit", "a-0") + line("process_exec", "a-1") + b"{")
    while follower.lines < 4:
        pass
    follower.end()
    assert follower.reported == {"process_exec": [0, 1], "process_exit": [0]}
    assert follower.broken == 1


def test_the_longest_pause_is_between_signs_of_life(tmp_path: Path) -> None:
    """A status is no sign; the pause that lasts at the end counts."""
    signs = life.Life(tmp_path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        for message in (b"STATUS=x", b"READY=1", b"STATUS=y\nWATCHDOG=1"):
            manager.sendto(message, os.fsencode(signs.environment["NOTIFY_SOCKET"]))
        while signs.signs < 2:
            pass
    assert 0 < signs.end().longest < life.ALLOWED
