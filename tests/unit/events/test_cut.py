# SPDX-License-Identifier: Apache-2.0
"""Texts that are repeated, and lines, have a bound in bytes of JSON."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as some

from tests.support.records import NODE, SECOND, Task, World, execute, exit_of
from tests.support.shown_process import fields
from tetrapy.events import cut as module
from tetrapy.events.cut import REPEATED, cut, cut_variables, json_size, repeated
from tetrapy.events.json import MIN_BYTES, JsonEncoder
from tetrapy.events.process import DetailedProcess, Process
from tetrapy.json_codec import quoted

INIT = Task(1, SECOND)
PARENT, CHILD = Task(50, 2 * SECOND), Task(51, 3 * SECOND)
KINDS = [b"a", b"\x01", b'"', "🚀".encode(), b"\xff\x01", b"x\0"]


def many(kind: bytes, size: int) -> list[bytes]:
    return [b"p", *(kind * (size // len(kind))).split(b"\0")]


@given(some.text(max_size=300) | some.text('a"é\x7f\u202e😀', max_size=60), some.integers(0, 400))
def test_cut(text: str, most: int) -> None:
    """The longest beginning that fits, of whatever characters."""
    short = cut(text, most)
    assert text.startswith(short)
    assert json_size(short) <= most
    assert short == text or json_size(text[: len(short) + 1]) > most


@pytest.mark.parametrize("text", ["a", "é", "\x7f\ufffd", "\x01", "\U000e0001"])
def test_a_long_text_is_looked_at_once(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A beginning of it was looked at for each halving, nine times as much in all."""
    looked_at = 0

    def noted(part: str) -> str:
        nonlocal looked_at
        looked_at += len(part)
        return quoted(part)

    monkeypatch.setattr(module, "quoted", noted)
    assert len(cut(text * 200_000, 150_000)) >= 150_000 // 12 - 1
    assert looked_at < 2 * 150_000


@pytest.mark.slow
@given(
    some.lists(some.tuples(some.text(max_size=30), some.text(max_size=90))), some.integers(0, 300)
)
def test_cut_variables(variables: list[tuple[str, str]], most: int) -> None:
    """The first ones, as many as fit, each of its name and a beginning of its value."""
    kept = cut_variables(tuple(variables), most)
    assert sum(json_size(key) + json_size(text) + 1 for key, text in kept) <= most
    for number, (key, text) in enumerate(kept):
        assert variables[number][0].startswith(key)
        assert variables[number][1].startswith(text)


def test_what_is_short_is_repeated_as_it_is() -> None:
    """No copy is made of a usual process, and none of one with 4 KiB of plain arguments."""
    process = Process(NODE.encode(), 5, 1, 1)
    process.arguments, process.binary, process.cwd = "x" * REPEATED, "/b" * 2048, "/c" * 2048
    assert repeated(process) is process


def test_a_copy_says_the_same() -> None:
    """But for what was cut."""
    process = DetailedProcess(NODE.encode(), 5, 1, 2)
    process.arguments = "x" * 10_000
    process.environment = (("A", "1"), ("B", "2" * 9_000))
    process.user = "ann"
    short = repeated(process)
    assert len(process.arguments) == 10_000
    whole, reported = fields(process), fields(short)
    assert reported.pop("flags") == "errorEnvs truncArgs"
    assert reported["arguments"] == "x" * REPEATED
    for name in ("arguments", "environment_variables"):
        del whole[name], reported[name]
    assert whole == reported


@pytest.mark.parametrize("kind", KINDS)
def test_only_the_exec_line_tells_long_arguments(kind: bytes) -> None:
    """The exit, and the lines of a child, show a beginning and say so."""
    world = World()
    encode = JsonEncoder("n").encode
    started = world.one(execute(PARENT, INIT, argv=many(kind, 200_000)))
    whole = json.loads(encode(started))["process_exec"]["process"]
    assert "truncArgs" not in whole["flags"]
    lines = [
        encode(world.one(record))
        for record in (
            execute(CHILD, PARENT, fork_parent=PARENT),
            exit_of(CHILD),
            exit_of(PARENT),
        )
    ]
    for line, shown in zip(lines, ("parent", "parent", "process"), strict=True):
        assert len(line) < REPEATED + 2_000
        (event,) = [value for name, value in json.loads(line).items() if "process_" in name]
        assert "truncArgs" in event[shown]["flags"]
        assert whole["arguments"].startswith(event[shown]["arguments"])
        assert len(event[shown]["arguments"]) * 12 > REPEATED - 12
        if shown == "parent":
            assert "truncArgs" not in event["process"]["flags"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("most", [MIN_BYTES, 200_000])
def test_a_line_has_a_bound(kind: bytes, most: int) -> None:
    """The arguments of a longer one are cut and flagged; it is counted and stays JSON."""
    world = World()
    encoder = JsonEncoder("n", max_bytes=most)
    event = world.one(execute(PARENT, INIT, argv=many(kind, 250_000)))
    whole = JsonEncoder("n", max_bytes=1 << 30).encode(event)
    assert len(whole) > most
    line = encoder.encode(event)
    assert most * 0.9 < len(line) <= most
    assert encoder.cut_lines == 1
    shown = json.loads(line)["process_exec"]["process"]
    assert "truncArgs" in shown["flags"]
    before = json.loads(whole)["process_exec"]["process"]
    assert before["arguments"].startswith(shown["arguments"])
    changed = encoder.encode(event, lambda body: body, 3)
    assert len(changed) <= most
    assert json.loads(changed)["aggregation_info"] == {"count": "3"}


def test_ancestors_have_a_bound_together() -> None:
    """The nearest stay; those that are left out are counted."""
    world = World(ancestors=True)
    line = [Task(100 + number, (2 + number) * SECOND) for number in range(100)]
    former = INIT
    for task in line:
        event = world.one(execute(task, former, argv=(b"p", b"\x01" * 5_000), fork_parent=former))
        former = task
    encoder = JsonEncoder("n", max_bytes=400_000)
    reported = encoder.encode(event)
    assert len(reported) < 240_000
    shown = [one["pid"] for one in json.loads(reported)["process_exec"]["ancestors"]]
    assert len(shown) > 20
    pids = [task.pid for task in reversed(line)]
    assert "".join(map(str, shown)) in "".join(map(str, pids))
    assert encoder.cut_ancestors > 50
