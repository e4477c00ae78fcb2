# SPDX-License-Identifier: Apache-2.0
"""Lines that wait: whole, in order, bounded, and counted when they are given up."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.sinks.file import FileSink
from tetrapy.sinks.rules import FileRules
from tetrapy.sinks.sink import Backlog

texts = st.lists(st.integers(0, 30).map(lambda length: b"x" * length + b"\n"), max_size=6)


def test_what_is_put_back_comes_first() -> None:
    """Lines that came meanwhile stay behind those that were taken before."""
    backlog = Backlog()
    backlog.add(b"one\n")
    backlog.add(b"two\n")
    taken = backlog.take()
    backlog.add(b"three\n")
    backlog.put_back(taken)
    assert backlog.take() == b"one\ntwo\nthree\n"
    assert (backlog.size, backlog.lost) == (0, 0)


def test_what_was_added_first_is_taken_first() -> None:
    """Piece by piece, in order, and put back where it was."""
    backlog = Backlog()
    backlog.add(b"one\n")
    backlog.add(b"two\nthree\n")
    assert backlog.take_first() == b"one\n"
    backlog.put_back(b"ne\n", torn=True)
    assert (backlog.size, backlog.take_first()) == (13, b"ne\n")
    assert (backlog.take_first(), backlog.take_first(), backlog.size) == (b"two\nthree\n", b"", 0)


def test_giving_up() -> None:
    """All that waits is counted."""
    backlog = Backlog()
    backlog.add(b"one\ntwo\n")
    backlog.give_up()
    assert (backlog.take(), backlog.size, backlog.lost) == (b"", 0, 2)


@pytest.mark.slow
@given(st.lists(texts.map(b"".join)), st.integers(0, 100))
def test_a_limit(batches: list[bytes], limit: int) -> None:
    """No more than the limit waits, only whole lines, and the others are counted."""
    backlog = Backlog(limit)
    for lines in batches:
        backlog.add(lines)
        assert backlog.size <= limit
    data = backlog.take()
    assert data.count(b"\n") + backlog.lost == sum(lines.count(b"\n") for lines in batches)
    assert data == b"" or data.endswith(b"\n")


@given(st.binary(max_size=30).map(lambda rest: rest.replace(b"\n", b"") + b"\n"), texts)
def test_a_torn_line(rest: bytes, more: list[bytes]) -> None:
    """The rest of a line is kept whatever the limit; what follows keeps to it."""
    backlog = Backlog(10)
    backlog.put_back(rest + b"".join(more), torn=True)
    data = backlog.take()
    assert data.startswith(rest)
    assert len(data) <= max(10, len(rest))
    assert data.count(b"\n") + backlog.lost == 1 + len(more)


def test_what_waits_is_not_in_memory_twice(tmp_path: Path) -> None:
    """A file that takes lines again gets them in pieces."""
    sink = FileSink(str(tmp_path / "x"), FileRules(max_size=1 << 30), lambda *_, **__: None)
    part = (b"x" * 99 + b"\n") * 1_000
    for _ in range(70):
        sink._backlog.add(part)
    sink._limit = -1  # as after a refusal
    tracemalloc.start()
    try:
        sink.tick(0.0)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    assert (sink.lines, sink.waiting) == (70_000, 0)
    assert (tmp_path / "x").read_bytes() == part * 70
    sink.close(lambda *_, **__: None)


def test_giving_up_counts_lines() -> None:
    """Each of them, of all that was added."""
    backlog = Backlog(1_000)
    backlog.add(b"a\nb\n")
    backlog.add(b"c\n")
    backlog.give_up()
    assert (backlog.lost, backlog.size, backlog.take_first()) == (3, 0, b"")
