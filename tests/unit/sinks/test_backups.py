# SPDX-License-Identifier: Apache-2.0
"""What happens to rotated files: compression, number and age; files of others are left alone."""

from __future__ import annotations

import errno
import gzip
import os
import signal
import stat
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from tests.support.paths import ROOT
from tests.support.sink_tools import (
    Recorder,
    backups,
    everything,
    numbered,
    rotated,
    silent,
    sink_at,
)
from tetrapy.sinks import backups as module
from tetrapy.sinks.backups import UNFINISHED, Housekeeper
from tetrapy.sinks.rules import FileRules

HOUR = 3600 * 1_000_000_000


def test_number(tmp_path: Path) -> None:
    """The newest are kept."""
    path = tmp_path / "x.log"
    rotated(path, 9, max_backups=3).close(silent)
    assert everything(path) == numbered(6, 10).splitlines()


def test_all(tmp_path: Path) -> None:
    """0 keeps all."""
    path = tmp_path / "x.log"
    rotated(path, 9, max_backups=0).close(silent)
    assert everything(path) == numbered(0, 10).splitlines()


def test_compression(tmp_path: Path) -> None:
    """Each backup is a gzip file with the same mode and time of the last line."""
    path = tmp_path / "x.log"
    sink = sink_at(path, max_size=1000, max_backups=0, compress=True, mode=0o640)
    for n in range(0, 150, 50):
        sink.write(numbered(n, n + 50))
        last = path.stat().st_mtime_ns
    sink.rotation.wait()
    assert sink.compressions == 2
    sink.write(numbered(150, 151))
    sink.rotation.wait()
    sink.close(silent)
    assert [file.suffix for file in backups(path)] == [".gz"] * 3
    assert everything(path) == numbered(0, 151).splitlines()
    newest = backups(path)[-1].stat()
    assert newest.st_mtime_ns == last
    assert stat.S_IMODE(newest.st_mode) == 0o640


def test_the_number_of_compressed_ones(tmp_path: Path) -> None:
    """A backup counts once, in whichever form it is."""
    path = tmp_path / "x.log"
    sink = rotated(path, 2, max_backups=3)
    sink.close(silent)
    for file in backups(path):
        (tmp_path / (file.name + ".gz")).write_bytes(gzip.compress(file.read_bytes()))
    rotated(path, 1, max_backups=3).close(silent)
    names = sorted({file.name.removesuffix(".gz") for file in backups(path)})
    assert len(names) == 3


def test_age(tmp_path: Path) -> None:
    """What was written last longer ago is removed, compressed or not; also without a rotation."""
    path = tmp_path / "x.log"
    sink = rotated(path, 4, max_backups=0, max_age=HOUR)
    assert len(backups(path)) == 4
    old, packed, young, _ = backups(path)
    packed = packed.rename(tmp_path / (packed.name + ".gz"))
    for file, seconds in ((old, 3700), (packed, 7200), (young, 3500)):
        os.utime(file, (time.time(), time.time() - seconds))
    sink.tick(500.0)
    sink.rotation.wait()
    assert len(backups(path)) == 2
    assert young.exists()
    sink.close(silent)


def test_files_of_others(tmp_path: Path) -> None:
    """Only regular files that have a name by the rule are touched."""
    path = tmp_path / "x.log"
    stamp = "2001-02-03T04-05-06.789"
    foreign = [
        "x-2001-02-03T04-05-06.log",
        f"x-{stamp}.log.bak",
        f"x-{stamp}.log.gz.gz",
        f"x-{stamp}.log.tmp",
        f"x-{stamp}",
        f"y-{stamp}.log",
        f"ax-{stamp}.log",
        f"x-a-{stamp}.log",
        "x-2001-13-03T04-05-06.789.log",
        "x-2001-02-03T24-05-06.789.log",
        f"x-{stamp}.log\n",
        f"x-{stamp}xlog",
        "x.log.1",
    ]
    for name in foreign:
        (tmp_path / name).write_bytes(b"theirs\n")
    (tmp_path / f"x-{stamp}.log").mkdir()
    (tmp_path / "x-2001-02-03T04-05-06.790.log").symlink_to("x.log.1")
    before = set(tmp_path.iterdir())
    rotated(path, 9, max_backups=1, max_age=1, compress=True).close(silent)
    assert before <= set(tmp_path.iterdir())
    assert all((tmp_path / name).read_bytes() == b"theirs\n" for name in foreign)


def test_leftovers(tmp_path: Path) -> None:
    """What a killed agent left half compressed is made anew; nothing is there twice."""
    path = tmp_path / "x.log"
    rotated(path, 3, max_backups=0).close(silent)
    first, second, third = backups(path)
    (tmp_path / (first.name + UNFINISHED)).write_bytes(b"half")
    # Killed after the compressed file had its name, before the plain one was removed.
    (tmp_path / (second.name + ".gz")).write_bytes(gzip.compress(second.read_bytes()))
    sink = sink_at(path, max_backups=0, compress=True)
    sink.tick(0.0)
    sink.rotation.wait()
    sink.close(silent)
    expected = sorted([*(file.name + ".gz" for file in (first, second, third)), "x.log"])
    assert sorted(file.name for file in tmp_path.iterdir()) == expected
    assert everything(path) == numbered(0, 4).splitlines()


def test_leftovers_without_compression(tmp_path: Path) -> None:
    """They are removed when compression is off now."""
    path = tmp_path / "x.log"
    rotated(path, 1, max_backups=0).close(silent)
    (first,) = backups(path)
    (tmp_path / (first.name + UNFINISHED)).write_bytes(b"half")
    rotated(path, 0).close(silent)
    assert [file for file in tmp_path.iterdir() if file.name.endswith(UNFINISHED)] == []
    assert everything(path)[:2] == numbered(0, 2).splitlines()


CRASH = """
import os, signal, sys
sys.path[:0] = sys.argv[1:3]
from tests.support.sink_tools import sink_at
from pathlib import Path
import random
sink = sink_at(Path(sys.argv[3]), print, max_size=2_000_000, max_backups=0, compress=True)
line = bytes(random.Random(1).choices(range(32, 127), k=999)) + b"\\n"
print("ready", flush=True)
for n in range(100_000):
    sink.write(b'{"n":%d,"x":"' % n + line)
"""


@pytest.mark.slow
@pytest.mark.parametrize("turn", range(5))
def test_killed_while_it_compresses(tmp_path: Path, turn: int) -> None:
    """After a kill at any moment the next start finishes: each line is there once, whole."""
    path = tmp_path / "x.log"
    root = ROOT
    command = [sys.executable, "-c", CRASH, str(root), str(root / "agent"), str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        while not list(tmp_path.glob("*" + (UNFINISHED if turn % 2 else ".gz"))):
            assert process.poll() is None
        time.sleep(turn * 0.003)
        process.send_signal(signal.SIGKILL)
    log = Recorder()
    sink = sink_at(path, log, max_backups=0, compress=True)
    sink.tick(0.0)
    sink.rotation.wait()
    sink.close(silent)
    assert list(tmp_path.glob("*.tmp")) == []
    assert set(log.messages) <= {"Removed the beginning of a line whose rest was never written"}
    numbers = [int(line[5 : line.index(b",")]) for line in everything(path)]
    assert numbers == list(range(len(numbers)))
    assert len(numbers) > 2000
    assert all(file.suffix == ".gz" for file in backups(path))


@pytest.mark.slow
def test_it_ends_while_it_compresses(tmp_path: Path) -> None:
    """The end of the agent does not wait for a compression; the backup stays as it was."""
    path = tmp_path / "x-2001-02-03T04-05-06.789.log"
    data = os.urandom(64 << 20)
    path.write_bytes(data)
    keeper = Housekeeper()
    keeper.ask(str(tmp_path / "x.log"), FileRules(compress=True))
    keeper.close()
    assert [file.name for file in tmp_path.iterdir()] == [path.name]
    assert path.read_bytes() == data


def test_a_compression_that_fails(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is reported once, counted, leaves nothing behind, and the backup stays."""
    path = tmp_path / "x.log"
    rotated(path, 2, max_backups=0).close(silent)

    def write(fd: int, data: bytes) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(module, "_write", write)
    log = Recorder()
    sink = sink_at(path, log, max_backups=0, compress=True, max_age=HOUR * 1000)
    for turn in range(3):
        sink.tick(turn * 1000.0)
        sink.rotation.wait()
    assert sink.rotation_failures == 6
    assert sink.compressions == 0
    oldest = backups(path)[0]
    reported = ("warn", "Rotated export files", {"error": f"{oldest}: No space left on device"})
    assert log.lines == [reported]
    monkeypatch.undo()
    sink.tick(4000.0)
    sink.rotation.wait()
    assert sink.compressions == 2
    sink.close(silent)
    assert list(tmp_path.glob("*.tmp")) == []
    assert everything(path) == numbered(0, 3).splitlines()


def test_a_directory_that_is_gone(tmp_path: Path) -> None:
    """A round that finds no directory is a failure that is reported, not an exception."""
    keeper = Housekeeper()
    keeper.ask(str(tmp_path / "gone/x.log"), FileRules())
    keeper.wait()
    assert (keeper.failures, keeper.trouble) == (
        1,
        f"{tmp_path}/gone/x.log: No such file or directory",
    )


def test_rounds_that_are_asked_for_at_once(tmp_path: Path) -> None:
    """No request is lost, however it meets the end of the round before."""
    path = tmp_path / "x.log"
    keeper = Housekeeper()
    for n in range(300):
        backup = tmp_path / f"x-2001-02-03T04-05-06.{n:03}.log"
        backup.write_bytes(b"x\n")
        keeper.ask(str(path), FileRules(max_backups=1))
    keeper.wait()
    assert len(backups(path)) == 1
    assert keeper.failures == 0
    keeper.close()
    assert "backups" not in [thread.name for thread in threading.enumerate()]


def test_no_thread_to_be_had(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine that has no thread left (a fork bomb) is reported; the agent goes on."""

    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    path = tmp_path / "x.log"
    log = Recorder()
    sink = sink_at(path, log, max_size=20, max_backups=1)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        sink.write(numbered(0, 5))
        sink.tick(0.0)
    assert log.lines[-1][2]["error"].endswith("can't start new thread")
    sink.write(numbered(5, 6))
    sink.rotation.wait()
    assert everything(path) == numbered(4, 6).splitlines()
    sink.close(silent)
