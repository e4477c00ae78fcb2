# SPDX-License-Identifier: Apache-2.0
"""Log lines: forms, levels, quoting, and streams that take nothing."""

from __future__ import annotations

import io
import json
import os
import re
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tetrapy.errors import ExportError
from tetrapy.log import LEVELS, Log, Unhurried, standard_log
from tetrapy.sinks.open import open_log_file

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ"


def logged(form: str = "text", level: str = "info", at: str = "info", **keys: object) -> str:
    stream = io.StringIO()
    Log(stream, level=level, form=form)(at, "Something happened", **keys)
    return stream.getvalue()


def test_text() -> None:
    """Level, message, keys in the order given; no time."""
    assert logged(addr=":2112", n=3) == 'level=info msg="Something happened" addr=:2112 n=3\n'


def test_text_with_time() -> None:
    """The time comes first and is not quoted."""
    line = logged("text-ts", n=3)
    assert re.fullmatch(rf'time={STAMP} level=info msg="Something happened" n=3\n', line)


def test_json() -> None:
    """The same keys in one flat object; numbers and booleans stay what they are."""
    line = logged("json", enabled=True, n=3, name='a "b"')
    assert line.endswith("}\n")
    assert list(json.loads(line).items()) == [
        ("level", "info"),
        ("msg", "Something happened"),
        ("enabled", True),
        ("n", 3),
        ("name", 'a "b"'),
    ]


def test_text_of_other_languages_is_not_escaped() -> None:
    """In either form, quoted or not."""
    assert "caf\u00e9 \u20ac" in logged("json", name="caf\u00e9 \u20ac")
    assert "caf\u00e9 \u20ac" in logged("text", name="caf\u00e9 \u20ac")


def test_json_with_time() -> None:
    """The time is the first key."""
    read = json.loads(logged("json-ts"))
    assert list(read) == ["time", "level", "msg"]
    assert re.fullmatch(STAMP, read["time"])


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("trace", "debug-4"),
        ("debug", "debug"),
        ("info", "info"),
        ("warn", "warn"),
        ("warning", "warn"),
        ("error", "error"),
        ("fatal", "error"),
        ("panic", "error"),
    ],
)
def test_names_of_levels(level: str, shown: str) -> None:
    """Tetragon's: trace prints as debug-4, fatal and panic as error."""
    assert logged(level="trace", at=level).startswith(f"level={shown} ")


@pytest.mark.parametrize("threshold", sorted(LEVELS))
def test_thresholds(threshold: str) -> None:
    """What is below the level is not logged, what is at or above it is."""
    for level, number in LEVELS.items():
        assert bool(logged(level=threshold, at=level)) == (number >= LEVELS[threshold])


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("plain", "plain"),
        ("/a/b:c,d-e", "/a/b:c,d-e"),
        ("caf\u00e9", "caf\u00e9"),
        ("", '""'),
        ("a b", '"a b"'),
        ("a=b", '"a=b"'),
        ('say "hi"', '"say \\"hi\\""'),
        ("a\nb", '"a\\nb"'),
        ("a\tb", '"a\\tb"'),
        ("a\\b c", '"a\\\\b c"'),
        (None, "None"),
        (True, "true"),
        (1.5, "1.5"),
        ({"b": 2, "a": 1}, '"map[a:1 b:2]"'),
    ],
)
def test_values_are_quoted_when_they_need_it(value: object, shown: str) -> None:
    """Blanks, quotes, equals signs and unprintable characters make quotes necessary."""
    assert logged(key=value) == f'level=info msg="Something happened" key={shown}\n'


@given(st.text() | st.binary().map(os.fsdecode), st.sampled_from(["text", "json", "json-ts"]))
def test_any_value_stays_on_its_line(value: str, form: str) -> None:
    """One call writes one line, whatever the value; JSON reads back."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding="utf-8", newline="\n")
    Log(stream, level="info", form=form)("info", "x", value=value)
    stream.flush()
    written = stream.buffer.getvalue()
    assert written.count(b"\n") == 1
    assert written.endswith(b"\n")
    encodable = not any("\ud800" <= character <= "\udfff" for character in value)
    if form != "text" and encodable:
        assert json.loads(written)["value"] == value


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
@pytest.mark.parametrize("value", ["a\udcff", "caf\u00e9 \u20ac", "\U0001f600"])
def test_what_a_stream_cannot_encode_is_still_logged(encoding: str, value: str) -> None:
    """A file name that is no text, or a terminal that is ASCII, swallows no message."""
    stream = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    Log(stream)("fatal", "Failed to execute", error=value)
    stream.flush()
    written = stream.buffer.getvalue()
    assert b'msg="Failed to execute"' in written
    assert written.endswith(b"\n")


def test_a_stream_that_is_full_or_closed_harms_nothing() -> None:
    """Events matter more than the log."""
    full = open("/dev/full", "w", encoding="utf-8")  # noqa: SIM115 - the log keeps it open
    Log(full)("info", "x")
    Log(full)("info", "y")
    try:
        full.close()
    except OSError:
        pass
    closed = io.StringIO()
    closed.close()
    Log(closed)("info", "x")


def test_each_line_is_flushed() -> None:
    """A line is in the file when the call returns."""
    read, write = os.pipe()
    with os.fdopen(write, "w", encoding="utf-8") as stream, os.fdopen(read, "rb", 0) as end:
        Log(stream)("info", "now")
        assert end.read(100) == b"level=info msg=now\n"


def test_a_log_that_nobody_reads_stops_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines wait, then are lost and counted; whole ones come when it is read again."""
    waited: list[float] = []
    read, write = os.pipe()
    with os.fdopen(write, "w", encoding="utf-8") as stream:
        unhurried = Unhurried(stream)
        poll = unhurried._poll.poll
        unhurried._poll = SimpleNamespace(
            poll=lambda milliseconds: waited.append(milliseconds) or poll(0)
        )
        log = Log(unhurried)
        for number in range(10_000):
            log("info", "line", number=number)
        assert sum(waited) < 60_000
        assert len(waited) < 6_000
        before = waited[:]
        for number in range(1000):
            log("info", "lost", number=number)
        assert waited == before
        os.set_blocking(read, False)
        got = os.read(read, 1 << 20)
        log("info", "again")
        got += os.read(read, 1 << 20)
        log("info", "and again")
        got += os.read(read, 1 << 20)
        unhurried.close()
    os.close(read)
    lines = got.decode().splitlines()
    assert got.endswith(b"\n")
    assert all(re.fullmatch(r"level=\w+ msg=.*", line) for line in lines)
    reported = [int(line.rpartition("=")[2]) for line in lines if "are lost" in line]
    assert sum(reported) + len(lines) - len(reported) == 11_002


def test_a_log_that_is_gone_harms_nothing() -> None:
    """The reader has closed its end."""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w", encoding="utf-8") as stream:
        unhurried = Unhurried(stream)
        Log(unhurried)("info", "x")
        unhurried.close()


@pytest.mark.parametrize("to_stderr", [False, True])
def test_the_agents_log(capsys: pytest.CaptureFixture[str], to_stderr: bool) -> None:
    """On standard output, or on standard error when events go to standard output."""
    standard_log("info", "text", to_stderr)("info", "x")
    captured = capsys.readouterr()
    assert (captured.err if to_stderr else captured.out) == "level=info msg=x\n"
    assert (captured.out if to_stderr else captured.err) == ""


def test_without_a_standard_output(monkeypatch: pytest.MonkeyPatch) -> None:
    """A stream that was closed before the start takes nothing and harms nothing."""
    monkeypatch.setattr(sys, "stdout", None)
    log = standard_log("info", "text", to_stderr=False)
    log("info", "x")
    log._streams[0].close()


def test_the_level_can_be_switched_at_run_time() -> None:
    """Twice switched it is what it was; a new configuration holds."""
    stream = io.StringIO()
    log = Log(stream, level="warn")
    log("debug", "no")
    assert log.toggle_debug() == "debug"
    log("debug", "yes")
    assert log.toggle_debug() == "warn"
    log("info", "no")
    log.configure("info")
    log("info", "again")
    assert re.findall(r"msg=(\w+)", stream.getvalue()) == ["yes", "again"]


def test_a_log_file_takes_the_same_lines(tmp_path, capsys) -> None:
    """It is emptied at the start, and belongs to its owner alone."""
    path = tmp_path / "log"
    path.write_text("old\n")
    with open_log_file(str(path), "") as file:
        standard_log("info", "text", to_stderr=False, file=file)("info", "Started")
    assert path.read_text() == capsys.readouterr().out == "level=info msg=Started\n"
    fresh = tmp_path / "fresh"
    open_log_file(str(fresh), "").close()
    assert fresh.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("there", [True, False])
def test_a_log_file_that_takes_the_events(tmp_path: Path, there: bool) -> None:
    """It is refused by whatever name, and what it holds is not emptied."""
    path = tmp_path / "events"
    (tmp_path / "link").symlink_to("events")
    if there:
        path.write_text("old\n")
    for name in (path, tmp_path / "link"):
        with pytest.raises(ExportError, match="events are written to"):
            open_log_file(str(name), str(path))
    assert path.exists() == there
    assert not there or path.read_text() == "old\n"
