# SPDX-License-Identifier: Apache-2.0
"""What `arguments` shows of an argument vector."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.kernel.conftest import Stage
from tests.support.events import Event

REPEATED = 4096  # bytes of arguments that other lines than the exec's show
LIMIT = 256 * 1024  # bytes of all arguments together, ARGS_LIMIT in bpf/events.h


def check_repeated(started: Event, ended: Event) -> None:
    """The exit shows what the exec did, but for a cut of plain arguments that is flagged."""
    whole = dict(started.process)
    reported = dict(ended.process)
    if len(whole["arguments"]) > REPEATED:
        whole["arguments"] = whole["arguments"][:REPEATED]
        assert "truncArgs" in reported["flags"].split()
        for process in (whole, reported):
            process["flags"] = process["flags"].replace(" truncArgs", "")
    assert reported == whole


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (["a"], "a"),
        (["a b"], '"a b"'),
        (["a b", "c d"], '"a b" "c d"'),
        (["", "a"], '"" a'),
        (["a", "", "", "b"], 'a "" "" b'),
        (['say "x"'], '"say "x""'),
        (['"x"'], '"x"'),
        (["it's"], "it's"),
        (["a\nb"], "a\nb"),
        (["a\tb"], "a\tb"),
        (["a\\b"], "a\\b"),
        (["a\x01\x7f\x1bb"], "a\x01\x7f\x1bb"),
        (["a\x08\x0c\rb"], "a\x08\x0c\rb"),
        (["größe", "日本", "🚀"], "größe 日本 🚀"),
        (["\u2028<&>/"], "\u2028<&>/"),
        (["--x=1 2"], '"--x=1 2"'),
    ],
)
def test_quoting(stage: Stage, given: list[str], shown: str) -> None:
    """An argument that is empty or has a blank is quoted, without escapes."""
    stage.run("exit", 0, *given)
    started, ended = stage.one()
    assert started.arguments == f"{stage.tag} exit 0 {shown}"
    assert ended.process == started.process


def test_first_argument_with_blank(stage: Stage) -> None:
    """A quoted argument follows a blank also when it is the first."""
    stage.command(stage.copy(), "a b", "exit")
    started, _ = stage.one()
    assert started.arguments == ' "a b" exit'


def test_first_argument_empty(stage: Stage) -> None:
    """Empty arguments at the front are reported."""
    stage.command(stage.copy(), "", "", "exit")
    started, _ = stage.one()
    assert started.arguments == ' "" "" exit'


def test_last_argument_empty(stage: Stage) -> None:
    """Empty arguments at the end are reported, also where no working directory follows them."""
    for directory in (stage.directory, "/"):
        stage.run("exit", 0, "", "", cwd=directory)
    for image in stage.execs():
        assert image.arguments == f'{stage.tag} exit 0 "" ""'


def test_no_arguments(stage: Stage) -> None:
    """Without arguments the field is left out."""
    stage.command(stage.copy())
    started, ended = stage.one()
    assert "arguments" not in started.process
    assert "arguments" not in ended.process


def test_empty_argv(stage: Stage) -> None:
    """An empty argument vector (argc 0) is no error: there are no arguments."""
    path = stage.copy("argc0")
    stage.run("argc0", path)
    (image,) = [event for event in stage.execs() if event.binary == path.decode()]
    assert "arguments" not in image.process
    assert image.flags == ["execve"]


def test_first_word_is_dropped(stage: Stage) -> None:
    """argv[0] is not shown, whatever it is."""
    stage.run("execas", stage.actor, "other name", stage.tag, "exit", "0")
    image = stage.execs()[-1]
    assert image.binary == stage.actor
    assert image.arguments == f"{stage.tag} exit 0"


def test_not_utf8(stage: Stage) -> None:
    """A run of bytes that are no UTF-8 is shown as one U+FFFD."""
    stage.run("exit", 0, b"a\xff\xfeb", b"\xc3", b"\xed\xa0\x80", "é".encode("latin-1") + b"x y")
    started, _ = stage.one()
    assert started.arguments == (f"{stage.tag} exit 0 a\ufffdb \ufffd \ufffd " + '"\ufffdx y"')


@pytest.mark.parametrize("size", [300, 900, 1000, 1100, 4000, 5000, 8191, 8192, 100_000])
def test_long(stage: Stage, size: int) -> None:
    """One long argument comes whole; the exit repeats a beginning, and says so."""
    stage.run("exit", 0, "x" * size)
    started, ended = stage.one()
    assert started.arguments == f"{stage.tag} exit 0 " + "x" * size
    check_repeated(started, ended)
    assert "truncArgs" not in started.flags
    assert "errorArgs" not in started.flags
    # From about 1 KiB on Tetragon sends arguments apart and says so.
    assert ("dataArgs" in started.flags) == (size > 960)


@pytest.mark.parametrize("size", [4094, 4095, 4096, 4097, 8190, 8191, 8192, 8193, 16382, 16384])
def test_sizes_at_the_edges(stage: Stage, size: int) -> None:
    """Arguments whose area has just the size at which they are handed over otherwise."""
    fixed = len(stage.actor) + 1 + len(stage.tag) + 1 + len("exit") + 1 + len("0") + 1 + 1
    stage.run("exit", 0, "y" * (size - fixed))
    started, _ = stage.one()
    assert started.arguments == f"{stage.tag} exit 0 " + "y" * (size - fixed)


def test_many(stage: Stage) -> None:
    """Many arguments come whole and in order."""
    words = [str(number) for number in range(8000)]
    stage.run("exit", 0, *words)
    started, _ = stage.one()
    assert started.arguments == f"{stage.tag} exit 0 " + " ".join(words)


def _room(stage: Stage) -> int:
    """How many bytes of further arguments fill the limit, each with its zero byte."""
    return LIMIT - (len(stage.actor) + 1) - (len(stage.tag) + 1)


@pytest.mark.parametrize("beyond", [-1, 0])
def test_largest(stage: Stage, beyond: int) -> None:
    """Arguments of exactly 256 KiB come whole, and one byte less too."""
    each = (_room(stage) + beyond) // 4
    rest = _room(stage) + beyond - 3 * each
    words = [letter * (each - 1) for letter in "abc"] + ["d" * (rest - 1)]
    stage.command(stage.actor, stage.tag, *words)
    started, _ = stage.one()
    assert started.arguments == f"{stage.tag} " + " ".join(words)
    assert "truncArgs" not in started.flags


def test_too_large(stage: Stage) -> None:
    """Of more than 256 KiB the first 256 KiB are shown, and the flag truncArgs."""
    words = [letter * 100_000 for letter in "abcde"]
    stage.command(stage.actor, stage.tag, *words)
    started, ended = stage.one()
    whole = f"{stage.tag} " + " ".join(words)
    assert "truncArgs" in started.flags
    assert "errorArgs" not in started.flags
    assert started.arguments == whole[: len(started.arguments)]
    assert LIMIT - 200 < len(started.arguments) <= LIMIT
    check_repeated(started, ended)


def test_one_byte_too_large(stage: Stage) -> None:
    """One byte more than 256 KiB is truncated too."""
    each = (_room(stage) + 1) // 4
    rest = _room(stage) + 1 - 3 * each
    words = [letter * (each - 1) for letter in "abc"] + ["d" * (rest - 1)]
    stage.command(stage.actor, stage.tag, *words)
    started, _ = stage.one()
    assert "truncArgs" in started.flags
    assert started.arguments == f"{stage.tag} " + " ".join(words)


def test_long_from_several_cpus(stage: Stage) -> None:
    """Long arguments of processes on several CPUs are not mixed up."""
    cpus = sorted(os.sched_getaffinity(0))
    command = [stage.actor, stage.tag, "pin", "CPU", "big", stage.actor, "40", "SIZE"]
    running = []
    for turn in range(8):
        command[3], command[-1] = str(cpus[turn % len(cpus)]), str(5000 + turn)
        running.append(subprocess.Popen(command))
    assert [process.wait() for process in running] == [0] * 8
    images = [event for event in stage.execs() if "aaaa" in event.arguments]
    sizes = []
    for image in images:
        words = image.arguments.split()[3:]
        assert [word[0] for word in words] == [chr(97 + i % 26) for i in range(40)]
        (size,) = {len(word) for word in words}
        sizes.append(size)
    assert sorted(sizes) == list(range(5000, 5008))
