# SPDX-License-Identifier: Apache-2.0
"""The environment of programs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.kernel.conftest import ALWAYS, Stage
from tests.support.agent import Agent
from tests.support.events import check_event


def reported(stage: Stage) -> list[tuple[str, str]]:
    """The variables of the last exec."""
    event = stage.execs()[-1]
    check_event(event)
    return [
        (one.get("Key", ""), one.get("Value", ""))
        for one in event.process.get("environment_variables", [])
    ]


def test_all_of_it(telling: Stage) -> None:
    """In its order, with values that have equals signs, blanks and letters of any kind."""
    environment = {"A": "1", "B": "x=y z", "C": "", "D": "\u00e9\U0001f680", "E": "tab\there"}
    telling.run("exit", 0, env=environment)
    assert reported(telling) == list(environment.items())


def test_none(telling: Stage) -> None:
    """An empty environment is left out."""
    telling.run("exit", 0, env={})
    assert "environment_variables" not in telling.execs()[-1].process


def test_bytes_that_are_no_text(telling: Stage) -> None:
    """They are replaced as in arguments."""
    telling.run("exit", 0, env={b"BAD": b"a\xff\xfeb"})
    assert reported(telling) == [("BAD", "a\ufffdb")]


@pytest.mark.parametrize("size", [4_000, 17_000, 100_000])
def test_a_long_one(telling: Stage, size: int) -> None:
    """It is reported whole, and long arguments with it."""
    environment = {f"V{number}": "v" * 1000 for number in range(size // 1000)}
    environment["LAST"] = "1"
    telling.run("exit", 0, "x" * size, env=environment)
    assert reported(telling) == list(environment.items())
    event = telling.execs()[-1]
    assert event.arguments.endswith("x" * size)
    assert not {"errorEnvs", "errorArgs"} & {*event.flags}


def test_only_the_exec_and_its_children_tell_it(telling: Stage) -> None:
    """The exit shows what the exec showed, and so does a process that only forked."""
    telling.run("exec", telling.actor, telling.tag, "fork", "exit", 7, env={"A": "1"})
    for event in telling.events():
        assert event.process["environment_variables"] == [{"Key": "A", "Value": "1"}]


@pytest.fixture(scope="module")
def choosy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Agent]:
    """An agent that is asked for two variables."""
    flags = ("--enable-process-environment-variables", "--filter-environment-variables=PATH,HOME")
    with Agent(tmp_path_factory.mktemp("choosy"), *ALWAYS, *flags) as running:
        yield running.started()


def test_a_filter(choosy: Agent, actor: Path, place: Path) -> None:
    """Only the named variables are reported."""
    stage = Stage(choosy, actor, place)
    stage.run("exit", 0, env={"PATH": "/bin", "SECRET": "1", "HOME": "/root", "PATHS": "x"})
    assert reported(stage) == [("PATH", "/bin"), ("HOME", "/root")]
    assert b"SECRET" not in stage.execs()[-1].line
    stage.run("exit", 0, env={"SECRET": "1"})
    assert reported(stage) == []


def test_nothing_of_it_by_default(stage: Stage) -> None:
    """An environment may hold secrets: it is told to those who ask."""
    stage.run("exit", 0, env={"A": "1"})
    assert all("environment_variables" not in event.process for event in stage.events())
