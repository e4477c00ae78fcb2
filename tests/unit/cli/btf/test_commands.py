# SPDX-License-Identifier: Apache-2.0
"""`tetrapy btf`: finding the command, its help, and how what goes wrong in it ends."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import btf_kernels
from tests.support.btf_kernels import ONE, answers, archive
from tests.support.paths import ROOT
from tetrapy.cli import btf, main
from tetrapy.cli.btf import commands
from tetrapy.cli.btf import list as list_command

AGENT = ROOT / "agent"
btf_command = btf_kernels.btf_command


@pytest.fixture
def sources(tmp_path: Path):
    """Runs the agent's sources as a process, `tetrapy btf` with the words of a shell's line."""
    packed = archive({ONE: answers()}, tmp_path / "archive.xz")

    def run(line: str, variables: dict[str, str] | None = None) -> subprocess.CompletedProcess:
        script = f"{sys.executable} {AGENT} btf {line.format(archive=packed)}"
        return subprocess.run(
            ["/bin/bash", "-c", script],
            check=False,
            capture_output=True,
            text=True,
            cwd=tmp_path,
            env={**os.environ, **(variables or {})},
        )

    return run


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["help"]])
def test_overview(btf_command, words: list[str]) -> None:
    """The help names every command in lines of at most 100 columns."""
    done = btf_command(*words)
    assert (done.code, done.err) == (0, "")
    for name in commands.COMMANDS:
        assert f"\n  {name} " in done.out
    assert max(map(len, done.lines)) <= 100


def test_no_command(btf_command) -> None:
    """Without a command the way to the help is on standard error, and the use was wrong."""
    done = btf_command()
    assert (done.code, done.out) == (1, "")
    assert "tetrapy btf --help" in done.err


@pytest.mark.parametrize("name", commands.COMMANDS)
def test_help_of_a_command(btf_command, name: str) -> None:
    """Each command's help has an example and fits into 100 columns."""
    done = btf_command(name, "--help")
    assert (done.code, done.err) == (0, "")
    assert f"\n  tetrapy btf {name}" in done.out
    assert max(map(len, done.lines)) <= 100
    assert btf_command("help", name).out == done.out


@pytest.mark.parametrize("word", ["lists", "--nope", "list\x1b[2J"])
def test_unknown_command(btf_command, word: str) -> None:
    """An unknown command is named, without what would move the cursor, with the way to the help."""
    done = btf_command(word)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Error: unknown ")
    assert "--help" in done.err
    assert "\x1b" not in done.err


@pytest.mark.parametrize(
    "words",
    [
        ["list", "--nope"],
        ["list", "a", "b"],
        ["list", "--arc", "x86_64"],
        ["list", "--arch", "mips"],
        ["verify"],
        ["add"],
        ["add", "a", "b"],
        ["remove"],
        ["harvest", "a"],
        ["pack", "a"],
        ["pack", "--output", "a"],
        ["pack", "a", "--output", "b", "--jobs", "many"],
        ["pack", "a", "--output", "b", "--jobs", "-1"],
        ["harvest", "a", "--output", "b", "--jobs=-1"],
        ["merge", "--output", "a"],
    ],
)
def test_wrong_use(btf_command, words: list[str]) -> None:
    """Wrong flags and arguments end with 1 and a line that names them."""
    done = btf_command(*words)
    assert (done.code, done.out) == (1, "")
    assert done.err.startswith("Error: ")


@pytest.mark.parametrize("words", [["diff"], ["diff", "a"], ["diff", "a", "b", "--nope"]])
def test_wrong_use_of_diff(btf_command, words: list[str]) -> None:
    """As of diff(1), 1 would mean different; trouble is 2."""
    done = btf_command(*words)
    assert (done.code, done.out) == (2, "")


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [
        (FileNotFoundError(errno.ENOENT, "No such file or directory", "x\ny"), 1, "x\\ny: no such"),
        (OSError(errno.ENOSPC, "No space left on device"), 255, "no space left"),
        (MemoryError(), 255, "memory"),
        (PermissionError(errno.EACCES, "Permission denied", "/x"), 255, "/x: permission denied"),
    ],
)
def test_what_the_system_refuses(
    btf_command, monkeypatch: pytest.MonkeyPatch, error: Exception, code: int, said: str
) -> None:
    """A file that is not there is wrong use; a full disk or missing rights are not."""

    def fail(options: object) -> int:
        raise error

    monkeypatch.setattr(list_command, "run", fail)
    done = btf_command("list")
    assert done.code == code
    assert said in done.err


def test_rights_of_root(btf_command, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is not root is told that root may."""

    def fail(options: object) -> int:
        raise PermissionError(errno.EACCES, "Permission denied", "/x")

    monkeypatch.setattr(list_command, "run", fail)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert "run it as root" in btf_command("list").err


def test_main_dispatches(monkeypatch: pytest.MonkeyPatch) -> None:
    """The first word `btf` leads here, with what follows it."""
    seen = []

    def take(words: list[str], *, stdout_closed: bool) -> int:
        seen.append((words, stdout_closed))
        return 7

    monkeypatch.setattr(btf, "main", take)
    assert main.main(["btf", "list", "x"]) == 7
    assert seen == [(["list", "x"], False)]


@pytest.mark.parametrize("words", [["--help"], ["help"]])
def test_the_agents_help(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    """`tetrapy help` is `tetrapy --help`, and it tells of `tetrapy btf`."""
    assert main.main(words) == 0
    assert "tetrapy btf --help" in capsys.readouterr().out


def test_the_agents_start_imports_none_of_it() -> None:
    """The agent without a command does not load the commands."""
    script = (
        "import sys; from tetrapy.cli import main; from tetrapy.daemon import agent;"
        "print([name for name in sys.modules if name.startswith('tetrapy.cli.btf')])"
    )
    done = subprocess.run(
        [sys.executable, "-c", script],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": str(AGENT)},
    )
    assert done.stdout == "[]\n"


@pytest.mark.slow
def test_nobody_reads(sources) -> None:
    """A reader that has enough ends the command quietly, with a shell's code for that."""
    done = sources("list --archive {archive} | true; exit ${{PIPESTATUS[0]}}")
    assert done.returncode in {0, 141}
    assert done.stderr == ""
    done = sources("list --archive {archive} > >(exec true); exit $?")
    assert done.stderr == ""


@pytest.mark.slow
def test_a_pipe_that_is_closed_before(tmp_path: Path, sources) -> None:
    """A pipe without a reader ends the command with 141, quietly."""
    reader, writer = os.pipe()
    os.close(reader)
    packed = archive({ONE: answers()}, tmp_path / "archive.xz")
    done = subprocess.run(
        [sys.executable, AGENT, "btf", "list", "--archive", packed],
        check=False,
        stdout=writer,
        stderr=subprocess.PIPE,
        cwd=tmp_path,
    )
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, b"")


def test_standard_output_is_closed(sources) -> None:
    """A closed standard output is reported, instead of working for nobody."""
    done = sources("list --archive {archive} >&-")
    assert done.returncode == 255
    assert "standard output is closed" in done.stderr
    assert sources("diff a b >&-").returncode == 2


@pytest.mark.slow
def test_standard_output_is_full(sources) -> None:
    """What cannot be written is reported, and no traceback."""
    for line in ("list --archive {archive}", "--help"):
        for buffered in ("", "1"):
            done = sources(line + " >/dev/full", {"PYTHONUNBUFFERED": buffered})
            assert done.returncode == 255, done
            assert done.stderr == "Error: no space left on device\n"


@pytest.mark.slow
def test_standard_error_is_closed(sources) -> None:
    """Messages that nobody can get change nothing else."""
    done = sources("list --archive {archive} nothing-like-this 2>&-")
    assert done.returncode == 1
    assert sources("verify /nowhere 2>&-").returncode == 1


def test_an_ascii_terminal(sources) -> None:
    """What the terminal cannot show is escaped."""
    done = sources("verify $'/nowhere/gr\\xc3\\xb6\\xff\\n' 2>&1 | cat")
    assert "Traceback" not in done.stdout
    assert "/nowhere/gr" in done.stdout
    assert len(done.stdout.splitlines()) == 1
