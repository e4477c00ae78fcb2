# SPDX-License-Identifier: Apache-2.0
"""Agents that many tests share, and the stage on which a test has its processes act."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import fixtures
from tests.support.agent import TIMEOUT, Agent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.events import Event

# The shared fixtures, under the names by which pytest finds them.
place, actor = fixtures.place, fixtures.actor

FLAVOURS = {
    "ring": (),
    "perf": ("--use-perf-ring-buffer",),
    "small": ("--force-small-progs",),
}

SMALL_PATH = 660  # directories of a path that small programs report (SMALL_LACK of the agent)

# A sensor that is not what is tested would hide what is; one file holds a whole session; events of
# containers come in the order of all others, so that a fence stands behind them; and there is room
# for what others run meanwhile.
ALWAYS = (
    "--sensor=ebpf",
    "--export-file-max-size-mb=100000",
    "--container-wait=0s",
    "--rb-size-total=16M",
)

# Whatever can be asked for beyond the usual.
DETAILS = (
    "--enable-process-cred",
    "--enable-process-ns",
    "--username-metadata=unix",
    "--enable-process-environment-variables",
    "--enable-ancestors=base",
)

_numbers = itertools.count(1)


@pytest.fixture(scope="session", params=FLAVOURS)
def agent(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[Agent]:
    """A running agent, once with each kind of buffer."""
    directory = tmp_path_factory.mktemp(f"agent-{request.param}")
    with Agent(directory, *ALWAYS, *FLAVOURS[request.param]) as running:
        yield running.started()
        assert running.stop() == 0, running.errors
    assert not running.errors


@pytest.fixture(scope="session", params=FLAVOURS)
def telling_agent(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[Agent]:
    """A running agent that tells all there is, once with each kind of buffer."""
    directory = tmp_path_factory.mktemp(f"telling-{request.param}")
    with Agent(directory, *ALWAYS, *DETAILS, *FLAVOURS[request.param]) as running:
        yield running.started()
        assert running.stop() == 0, running.errors
    assert not running.errors


class Stage:
    """Runs the actor under a tag of its own and gathers what the agent says about it."""

    def __init__(self, agent: Agent, actor: Path, place: Path) -> None:
        self.agent = agent
        self.actor = str(actor)
        # Other processes of this run, and other runs, have stages too.
        self.tag = f"tag{os.getpid()}n{next(_numbers)}x"
        self.directory = place / self.tag
        self.directory.mkdir()
        self.mark = len(agent.lines())
        self.is_small = "Small BPF programs are used" in agent.log

    def run(self, *words: str | bytes | int | Path, **options) -> subprocess.CompletedProcess:
        """Run the actor with these words to its end; it has to come to the end of its words."""
        done = self.command(self.actor, self.tag, *words, **options)
        assert b"actor:" not in done.stderr, done.stderr
        return done

    def command(self, *argv: str | bytes | int | Path, **options) -> subprocess.CompletedProcess:
        """Run any command to its end."""
        options.setdefault("cwd", self.directory)
        command = [x if isinstance(x, bytes) else str(x) for x in argv]
        return subprocess.run(command, check=False, capture_output=True, timeout=TIMEOUT, **options)

    def copy(self, name: str | bytes = "actor") -> bytes:
        """Another path of the actor, which has the tag in it."""
        name = name.encode() if isinstance(name, str) else name
        path = bytes(self.directory) + b"/" + name
        with Path(self.actor).open("rb") as source:
            data = source.read()
        with open(path, "wb") as target:
            target.write(data)
        Path(path.decode("utf-8", "surrogateescape")).chmod(0o755)
        return path

    def events(self) -> list[Event]:
        """All events of this stage's processes, in the order of the file."""
        return self.agent.tagged(self.tag, self.mark)

    def execs(self) -> list[Event]:
        return [event for event in self.events() if event.kind == "exec"]

    def one(self) -> tuple[Event, Event]:
        """The exec and the exit of the only image there is."""
        events = self.events()
        assert [event.kind for event in events] == ["exec", "exit"], events
        assert events[0].id == events[1].id, events
        return events[0], events[1]


def hosts_namespace(agent: Agent, name: str) -> int:
    """The inode number of a namespace of the machine's first process, as the agent sees it.

    Where that process may not be looked at, the agent takes its own for the host's.
    """
    try:
        return os.stat(f"/proc/1/ns/{name}").st_ino
    except PermissionError:
        return os.stat(f"/proc/{agent.pid}/ns/{name}").st_ino


@pytest.fixture
def telling(telling_agent: Agent, actor: Path, place: Path) -> Stage:
    """A stage on which everything is reported."""
    return Stage(telling_agent, actor, place)


@pytest.fixture
def stage(agent: Agent, actor: Path, place: Path) -> Stage:
    return Stage(agent, actor, place)
