# SPDX-License-Identifier: Apache-2.0
"""The end of a file that an agent left when it was killed."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.sink_tools import Recorder, silent, sink_at
from tetrapy.sinks import opened
from tetrapy.sinks.opened import mend_end

LINE = b'{"process_exec":{"process":{"pid":7,"arguments":"\\u00e9 {x}"}},"time":"now"}\n'


def mended(data: bytes) -> bytes:
    fd = os.memfd_create("tail")
    try:
        os.write(fd, data)
        size = mend_end(fd, len(data))
        assert size == os.fstat(fd).st_size
        return os.pread(fd, size + 1, 0)
    finally:
        os.close(fd)


@pytest.mark.parametrize("before", [b"", LINE, b"x" * (opened._BLOCK - 30) + b"\n", LINE * 5000])
def test_an_event_cut_anywhere(before: bytes) -> None:
    """However much of a line there is, it is taken away; a line that lacks its end gets it."""
    for length in range(len(LINE)):
        expected = before + LINE if length == len(LINE) - 1 else before
        assert mended(before + LINE[:length]) == expected
    assert mended(before + LINE) == before + LINE


def test_a_long_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A line of many blocks is found; one that is longer than any of ours is not touched."""
    torn = b'{"' + b"x" * 5 * opened._BLOCK
    assert mended(LINE + torn) == LINE
    monkeypatch.setattr(opened, "_FARTHEST", 3 * opened._BLOCK)
    assert mended(LINE + torn) == LINE + torn + b"\n"


def test_zeros_after_a_power_loss() -> None:
    """They are taken away with the line in which they begin."""
    assert mended(LINE + bytes(5000)) == LINE
    assert mended(LINE + LINE[:20] + bytes(5000)) == LINE
    assert mended(bytes(5000)) == b""


@pytest.mark.parametrize("text", [b"a text of somebody else", b"[1, 2]", b"\0x", b'{"a": 1}'])
def test_a_line_that_is_none_of_ours(text: bytes) -> None:
    """Nothing of it is lost; it gets a line feed."""
    assert mended(LINE + text) == LINE + text + b"\n"
    assert mended(text) == text + b"\n"


def is_json(text: bytes) -> bool:
    try:
        json.loads(text)
    except ValueError:
        return False
    return True


pieces = st.lists(st.sampled_from([b'{"', b"{", b"}", b"\0", b"x", b'":1}', b"\n"])).map(b"".join)


@pytest.mark.slow
@given(pieces, pieces | st.binary(max_size=60))
def test_any_content(before: bytes, last: bytes) -> None:
    """It ends with a line feed, whole lines stay, and what goes is no JSON."""
    data = before + b"\n" + last
    whole = data[: data.rfind(b"\n") + 1]
    got = mended(data)
    assert got.endswith(b"\n")
    assert got in {whole, data, data + b"\n"}
    if got == whole != data:
        assert not is_json(data[len(whole) :])


def test_a_deep_structure() -> None:
    """Brackets without end are no reason to fail."""
    assert mended(LINE + b'{"a":' + b"[" * 100_000) == LINE


def test_it_is_reported(tmp_path: Path) -> None:
    """The log says how much was removed, before anything is written."""
    path = tmp_path / "x.log"
    path.write_bytes(LINE + LINE[:20])
    path.chmod(0o600)
    log = Recorder()
    sink = sink_at(path, log)
    assert path.read_bytes() == LINE
    sink.write(LINE)
    sink.close(silent)
    assert path.read_bytes() == LINE * 2
    message = "Removed the beginning of a line whose rest was never written"
    assert log.lines == [("warn", message, {"file": str(path), "bytes": 20})]
