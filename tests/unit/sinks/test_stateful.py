# SPDX-License-Identifier: Apache-2.0
"""Any course of writes, rotations and mishaps: each line is found once and whole, or is counted.

What befalls the file is done to it for real; only a full disk is played, by an os.write that takes
a part or nothing. tests/kernel/test_rotation.py has a disk that is full.
"""

from __future__ import annotations

import errno
import itertools
import os
import shutil
import tempfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
)

from tests.support.sink_tools import Recorder, backups, content, real_write
from tetrapy.errors import ExportError
from tetrapy.sinks import file as module
from tetrapy.sinks.file import FileSink
from tetrapy.sinks.rules import FileRules


class Course(RuleBasedStateMachine):
    """An operator, a disk and an agent, each doing what it likes."""

    @initialize(size=st.integers(1, 400), limit=st.integers(50, 500), compress=st.booleans())
    def start(self, size: int, limit: int, compress: bool) -> None:
        self.directory = tempfile.mkdtemp()
        self.patch = pytest.MonkeyPatch()
        self.path = Path(self.directory) / "logs/x.log"
        self.rules = FileRules(max_size=size, max_backups=0, compress=compress)
        self.patch.setattr(module, "_PENDING_LIMIT", limit)
        self.limit = limit
        self.patch.setattr(module.os, "write", self.write)
        self.room: int | None = None  # bytes that the disk takes; None is no limit
        self.now = 1e9
        clock = SimpleNamespace(monotonic=lambda: self.now, time=lambda: self.now)
        self.patch.setattr(module, "time", clock)
        self.sent = 0
        self.lost = 0
        self.moved = itertools.count(1)
        self.gone: list[bytes] = []  # contents of files that were deleted
        self.sink = FileSink(str(self.path), self.rules, Recorder())

    def write(self, fd: int, data: bytes) -> int:
        if self.room is None or os.readlink(f"/proc/self/fd/{fd}").endswith(".tmp"):
            return real_write(fd, data)
        if not self.room:
            raise OSError(errno.ENOSPC, "full")
        done = real_write(fd, bytes(data[: self.room]))
        self.room -= done
        return done

    @rule(lengths=st.lists(st.integers(0, 90), min_size=1, max_size=8))
    def events(self, lengths: list[int]) -> None:
        lines = [
            b'{"n":%d,"x":"' % (self.sent + n) + b"x" * k + b'"}\n' for n, k in enumerate(lengths)
        ]
        self.sent += len(lines)
        try:
            self.sink.write(b"".join(lines))
        except ExportError:
            assert self.sink.waiting or self.sink.lost

    @rule(later=st.sampled_from([0.1, 1.0, 20.0]))
    def tick(self, later: float) -> None:
        self.now += later
        try:
            self.sink.tick(self.now)
        except ExportError:
            pass

    @rule(room=st.integers(0, 150))
    def fill(self, room: int) -> None:
        """The disk takes so much, and then no more."""
        self.room = room

    @rule(room=st.none() | st.integers(1, 150), later=st.sampled_from([1.0, 20.0]))
    def make_room(self, room: int | None, later: float) -> None:
        """There is room again, and the agent tries it."""
        self.room = room
        self.tick(later)

    @rule()
    def rotate(self) -> None:
        try:
            self.sink.rotate()
        except ExportError:
            pass

    @rule(again=st.booleans())
    def move(self, again: bool) -> None:
        """The operator's logrotate, with and without `create`."""
        if self.path.is_file():
            self.path.rename(self.path.with_name(f"y{next(self.moved):05}.log"))
            if again:
                self.path.touch()

    def file_was_checked(self) -> bool:
        """Whether the agent knows that all lines are in the file, so that it writes none again."""
        self.tick(20.0)
        if self.sink.waiting or not self.path.is_file():
            return False
        self.tick(20.0)
        return True

    @rule()
    def delete(self) -> None:
        """The operator deletes the file."""
        if self.file_was_checked():
            self.gone.append(self.path.read_bytes())
            self.path.unlink()

    @rule()
    def cut(self) -> None:
        """The operator's copytruncate."""
        if self.file_was_checked():
            self.gone.append(self.path.read_bytes())
            os.truncate(self.path, 0)

    @rule()
    def block(self) -> None:
        """The directory cannot be found for a while."""
        other = self.path.parent.with_name("away")
        if not other.exists():
            self.sink.rotation.wait()
            self.path.parent.rename(other)
            self.tick(0.0)
            self.sink.rotation.wait()
            if self.path.parent.exists():
                for file in self.path.parent.iterdir():
                    file.rename(other / (f"y{next(self.moved):05}" + file.name))
                self.path.parent.rmdir()
            other.rename(self.path.parent)

    @rule()
    def restart(self) -> None:
        self.finish()
        self.sink = FileSink(str(self.path), self.rules, Recorder())

    @invariant()
    def bounded(self) -> None:
        if hasattr(self, "sink"):
            assert self.sink.waiting <= self.limit + 200  # a torn line is kept whatever its length

    def finish(self) -> None:
        self.sink.rotation.wait()
        self.sink.close(Recorder())
        self.lost += self.sink.lost

    def teardown(self) -> None:
        if not hasattr(self, "sink"):
            return
        try:
            self.finish()
            self.judge()
        finally:
            self.patch.undo()
            shutil.rmtree(self.directory)

    def judge(self) -> None:
        """All lines that were sent are in a file, once, or counted as lost."""
        in_order = [content(file) for file in [*backups(self.path), self.path] if file.exists()]
        strays = [content(file) for file in self.path.parent.glob("y*")]
        found: list[int] = []
        for data in [*in_order, *strays, *self.gone]:
            assert data == b"" or data.endswith(b"\n")
            numbers = [number_of(line) for line in data.splitlines()]
            assert numbers == sorted(numbers)
            found += numbers
        assert len(set(found)) == len(found)
        assert set(found) <= set(range(self.sent))
        assert len(found) + self.lost == self.sent
        if not strays:
            numbers = [number_of(line) for data in in_order for line in data.splitlines()]
            assert numbers == sorted(numbers)
        assert list(self.path.parent.glob("*.tmp")) == []


def number_of(line: bytes) -> int:
    assert line.startswith(b'{"n":')
    assert line.endswith(b'"}')
    return int(line[5 : line.index(b",")])


Course.TestCase.settings = settings(
    max_examples=150,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
TestCourse = pytest.mark.slow(Course.TestCase)


def test_a_part_of_a_line_in_a_file_that_was_cut_and_moved() -> None:
    """It is taken off although the file's size is not what was written to it."""
    course = Course()
    course.start(size=235, limit=492, compress=False)
    course.events([51])
    course.cut()
    course.fill(46)
    course.events([54, 0])
    course.move(again=False)
    course.make_room(None, later=1.0)
    course.teardown()
