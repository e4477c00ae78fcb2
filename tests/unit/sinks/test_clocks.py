# SPDX-License-Identifier: Apache-2.0
"""Backups after clocks that were wrong, and after agents that were killed within their work."""

from __future__ import annotations

import gzip
import os
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support.sink_tools import (
    Recorder,
    backups,
    everything,
    numbered,
    rotated,
    silent,
    sink_at,
)
from tetrapy.sinks.backups import UNFINISHED

HOUR = 3600 * 1_000_000_000


def ahead(path: Path, number: int, times: bool) -> list[Path]:
    """Backups by a clock that was decades ahead; `times`: the files' own too."""
    files = []
    for n in range(number):
        file = path.with_name(f"x-2099-01-0{n + 1}T00-00-00.000.log")
        file.write_bytes(b"old\n")
        seconds = 4_070_908_800 + n if times else time.time() - 100 + n
        os.utime(file, (seconds, seconds))
        files.append(file)
    return files


@pytest.mark.parametrize("times", [True, False])
def test_backups_of_a_clock_that_was_ahead(tmp_path: Path, times: bool) -> None:
    """They are the oldest: each rotation removes one of them, and none of today's."""
    path = tmp_path / "x.log"
    old = ahead(path, 3, times)
    sink = sink_at(path, Recorder(), max_size=20, max_backups=3)
    sink.tick(0.0)
    sink.rotation.wait()
    assert all(file.exists() for file in old)
    for n in range(6):
        sink.write(numbered(n, n + 1))
        sink.rotation.wait()
        time.sleep(0.002)
    sink.close(silent)
    assert not any(file.exists() for file in old)
    assert everything(path) == numbered(2, 6).splitlines()


def test_the_age_of_a_file_from_the_future(tmp_path: Path) -> None:
    """It is counted from when it was found; before that it would be kept for decades."""
    path = tmp_path / "x.log"
    (file,) = ahead(path, 1, times=True)
    sink = sink_at(path, Recorder(), max_backups=0, max_age=HOUR)
    for turn in range(2):
        sink.tick(turn * 1000.0)
        sink.rotation.wait()
    assert abs(file.stat().st_mtime - time.time()) < 3600
    os.utime(file, (time.time() - 3700, time.time() - 3700))
    sink.tick(5000.0)
    sink.rotation.wait()
    sink.close(silent)
    assert not file.exists()


@pytest.mark.parametrize("seconds", [-(2**31), 0, 2**33])
@pytest.mark.parametrize("stamp", ["0000-02-31T00-00-00.000", "9999-12-31T23-59-59.999"])
def test_odd_dates(tmp_path: Path, stamp: str, seconds: int) -> None:
    """No name and no time of a file keeps others from being looked after."""
    path = tmp_path / "x.log"
    odd = tmp_path / f"x-{stamp}.log"
    odd.write_bytes(b"odd\n")
    os.utime(odd, (seconds, seconds))
    sink = sink_at(path, Recorder(), max_size=20, max_backups=2)
    sink.tick(0.0)  # a time in the future becomes that of this round
    sink.rotation.wait()
    time.sleep(0.01)  # stamps are of milliseconds
    sink.write(numbered(0, 6))
    sink.rotation.wait()
    sink.close(silent)
    assert everything(path)[-3:] == numbered(3, 6).splitlines()


@pytest.mark.parametrize("compress", [True, False])
@pytest.mark.parametrize("number", [0, 5])
def test_a_backup_in_both_forms(tmp_path: Path, compress: bool, number: int) -> None:
    """A kill before the plain one was removed leaves no double, whatever the rules are now."""
    path = tmp_path / "x.log"
    rotated(path, 2, max_backups=0).close(silent)
    first, second = backups(path)
    (tmp_path / (first.name + ".gz")).write_bytes(gzip.compress(first.read_bytes()))
    (tmp_path / (second.name + UNFINISHED)).write_bytes(b"half")
    sink = sink_at(path, max_backups=number, compress=compress)
    sink.tick(0.0)
    sink.rotation.wait()
    sink.close(silent)
    assert not first.exists()
    assert second.exists() != compress
    assert list(tmp_path.glob("*.tmp")) == []
    assert everything(path) == numbered(0, 3).splitlines()


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:9]]
)
def test_a_compressed_form_that_is_not_whole(tmp_path: Path, damage: Any) -> None:
    """The plain backup stays where the other is not made of all of it."""
    path = tmp_path / "x.log"
    rotated(path, 1, max_backups=0).close(silent)
    (first,) = backups(path)
    whole = first.read_bytes()
    packed = tmp_path / (first.name + ".gz")
    packed.write_bytes(damage(gzip.compress(whole)))
    sink = sink_at(path, max_backups=0)
    sink.tick(0.0)
    sink.rotation.wait()
    sink.close(silent)
    assert first.read_bytes() == whole
