"""Agents that many tests share, and the stage on which a test has its processes act."""

from __future__ import annotations

import itertools
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.support import fixtures
from tests.support.agent import PATIENCE, Agent

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.events import Event

# The shared fixtures, under the names by which pytest finds them.
place, actor = fixtures.place, fixtures.actor

FLAVOURS = {"ring": (), "perf": ("--use-perf-ring-buffer",)}

_numbers = itertools.count(1)


@pytest.fixture(scope="session", params=FLAVOURS)
def agent(request: pytest.FixtureRequest, tmp_path_factory) -> Iterator[Agent]:
    """A running agent, once with each kind of buffer."""
    directory = tmp_path_factory.mktemp(f"agent-{request.param}")
    with Agent(directory, *FLAVOURS[request.param]) as running:
        yield running.started()
        assert running.stop() == 0, running.errors
    assert not running.errors


class Stage:
    """Runs the actor under a tag of its own and gathers what the agent says about it."""

    def __init__(self, agent: Agent, actor: Path, place: Path) -> None:
        self.agent = agent
        self.actor = str(actor)
        self.tag = f"tag{next(_numbers)}x"
        self.directory = place / self.tag
        self.directory.mkdir()
        self.mark = len(agent.lines())

    def run(self, *words: str | bytes | int | Path, **options) -> subprocess.CompletedProcess:
        """Run the actor with these words to its end; it has to come to the end of its words."""
        done = self.command(self.actor, self.tag, *words, **options)
        assert b"actor:" not in done.stderr, done.stderr
        return done

    def command(self, *argv: str | bytes | int | Path, **options) -> subprocess.CompletedProcess:
        """Run any command to its end."""
        options.setdefault("cwd", self.directory)
        command = [x if isinstance(x, bytes) else str(x) for x in argv]
        return subprocess.run(
            command, check=False, capture_output=True, timeout=PATIENCE, **options
        )

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


@pytest.fixture
def stage(agent: Agent, actor: Path, place: Path) -> Stage:
    return Stage(agent, actor, place)
