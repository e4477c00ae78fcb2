# SPDX-License-Identifier: Apache-2.0
"""The built file, run as users run it."""

from __future__ import annotations

import os
import platform
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import fixtures
from tests.support.agent import PYZ, TIMEOUT, Agent, isolated
from tests.support.compile import installed
from tests.support.events import check_stream

# The shared fixtures, under the names by which pytest finds them.
place, actor = fixtures.place, fixtures.actor

SYSTEM_PYTHON = "/usr/bin/python3"

# Numbers of system calls.
SYSTEM_CALLS = {
    "x86_64": {"bpf": 321, "perf_event_open": 298, "memfd_create": 319},
    "aarch64": {"bpf": 280, "perf_event_open": 241, "memfd_create": 279},
}[platform.machine()]

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@pytest.fixture(scope="session")
def deny(place: Path) -> Path:
    """The program that runs another with system calls refused (tests/support/deny.c)."""
    return installed("deny", place)


@pytest.fixture(scope="session")
def everyones(place: Path) -> Path:
    """A copy of the built file that every user may read."""
    copy = place / "tetrapy.pyz"
    copy.write_bytes(PYZ.read_bytes())
    copy.chmod(0o755)
    return copy


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., subprocess.CompletedProcess]:
    """Runs a command in an own /run to its end; `prepare` is shell run there before."""

    def run_it(*command, prepare="", timeout=TIMEOUT, **options) -> subprocess.CompletedProcess:
        variables = {n: v for n, v in os.environ.items() if not n.startswith("TETRAPY_")}
        variables.update(options.pop("environment", {}))
        options.setdefault("cwd", tmp_path)
        options.setdefault("stdin", subprocess.DEVNULL)
        whole = isolated([str(word) for word in command], prepare)
        return subprocess.run(
            whole,
            check=False,
            capture_output=True,
            text=True,
            timeout=timeout,
            env=variables,
            **options,
        )

    return run_it


def assert_one_line(done: subprocess.CompletedProcess, code: int = 255) -> str:
    """The run failed with that code and one clear line; that line."""
    said = done.stdout + done.stderr
    assert "Traceback" not in said, said
    assert done.returncode == code, f"{done.returncode}: {said}"
    errors = [line for line in said.splitlines() if "level=error" in line]
    assert len(errors) == 1, said
    assert said.splitlines()[-1] == errors[0]
    assert errors[0].startswith('level=error msg="Failed to execute tetrapy" error=')
    return errors[0]


def tells(agent: Agent, actor: Path) -> None:
    """It starts, tells of a process with all that belongs to it, and stops."""
    with agent:
        agent.started()
        tag = f"host-{agent.pid}x"
        subprocess.run([actor, tag, "exit", "3", "größe \x01"], check=False)
        started, ended = agent.tagged(tag)
        assert agent.stop() == 0
        check_stream(agent.events())
    assert started.arguments == f'{tag} exit 3 "größe \x01"'
    assert ended.status == 3
    assert not agent.errors


def start(*flags: str, prepare: str = "", **options) -> subprocess.Popen:
    """The built file in an own /run, as a process."""
    command = isolated([str(PYZ), *flags], prepare)
    return subprocess.Popen(command, stdin=subprocess.DEVNULL, **options)


def listening(process: subprocess.Popen) -> list[bytes]:
    """Read the log on standard error until it listens for events; the lines."""
    lines = []
    for line in process.stderr:
        lines.append(line)
        if b"Listening for events" in line:
            break
    assert lines, "no log on standard error"
    assert b"Listening for events" in lines[-1], lines
    return lines
