# SPDX-License-Identifier: Apache-2.0
"""The environment of a process, and what a redactor leaves of it and of the arguments."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.records import (
    SECOND,
    Task,
    World,
    abi,
    environment_exec,
    execute,
    exit_of,
    fork,
)
from tests.support.shown_process import fields
from tetrapy.events.flags import flag_words
from tetrapy.events.process import Process
from tetrapy.process.details import Details, Environment, Wanted

INIT = Task(1, SECOND)
TASK = Task(50, 2 * SECOND)
CHILD = Task(51, 3 * SECOND)


def world_of(wanted: Wanted) -> World:
    world = World(details=Details(wanted, abi(), None))
    world.feed(execute(INIT, Task(0), fork_parent=Task(0)))
    return world


def area(*variables: bytes) -> bytes:
    return b"".join(variable + b"\0" for variable in variables)


def environment_of(wanted: Wanted, data: bytes, **fields: Any) -> Process:
    world = world_of(wanted)
    (event,) = world.feed(*environment_exec(TASK, INIT, data, at=5 * SECOND, **fields))
    process = event.process
    assert isinstance(process, Process)
    return process


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (area(b"A=1", b"B=x=y"), (("A", "1"), ("B", "x=y"))),
        (area(b"A="), (("A", ""),)),
        (area(b"=C:"), (("", "C:"),)),
        (area(b"junk", b"A=1"), (("invalid", "junk"), ("A", "1"))),
        (area(b"A=\xff\xfe", b"B=\xc3\xa9"), (("A", "\ufffd"), ("B", "\u00e9"))),
        (b"A=1\0B=cut", (("A", "1"), ("B", "cut"))),
    ],
)
def test_the_environment(data: bytes, shown: Environment) -> None:
    """Name and value are cut at the first equals sign; what has none is called invalid."""
    process = environment_of(Wanted(environment=True), data)
    assert process.environment == shown
    message = fields(process)["environment_variables"]
    assert [(one.get("Key", ""), one.get("Value", "")) for one in message] == list(shown)
    assert all(text for one in message for text in one.values())


def test_an_environment_with_a_filter() -> None:
    """Only the variables that are named, whatever else there is."""
    wanted = Wanted(environment=True, variables=frozenset({"PATH", "HOME"}))
    process = environment_of(wanted, area(b"HOME=/root", b"PATHS=x", b"junk", b"PATH=/bin"))
    assert process.environment == (("HOME", "/root"), ("PATH", "/bin"))
    assert environment_of(wanted, area(b"A=1")).environment == ()


def test_an_empty_environment() -> None:
    """No variables and no list in the message."""
    assert "environment_variables" not in fields(environment_of(Wanted(environment=True), b""))


def test_a_long_environment() -> None:
    """It travels in chunks beside long arguments, and both are put together."""
    data = area(*[b"V%d=%s" % (number, b"v" * 999) for number in range(100)])
    process = environment_of(Wanted(environment=True), data, argv=(b"p", b"x y"))
    assert len(process.environment) == 100
    assert process.environment[99] == ("V99", "v" * 999)
    assert process.arguments == ' "x y"'
    assert "errorEnvs" not in flag_words(process.flags)


def test_a_chunk_of_the_environment_that_was_lost() -> None:
    """What came before it is shown, and the flags say that not all is."""
    data = area(*[b"V%d=%s" % (number, b"v" * 999) for number in range(100)])
    records = environment_exec(TASK, INIT, data, at=5 * SECOND)
    world = world_of(Wanted(environment=True))
    del records[2]
    (event,) = world.feed(*records)
    assert 0 < len(event.process.environment) < 100
    assert "errorEnvs" in flag_words(event.process.flags)


class Hider:
    """Hides all digits of programs called secret."""

    def redact(
        self, binary: str, arguments: str, environment: Environment, _: object = None
    ) -> tuple[str, Environment]:
        if binary != "/bin/secret":
            return arguments, environment
        return "***", tuple((name, "***") for name, _ in environment)


def test_redaction() -> None:
    """Arguments and environment are shown as the redactor leaves them, in every event."""
    wanted = Wanted(environment=True, redactor=Hider())
    world = world_of(wanted)
    records = environment_exec(
        TASK, INIT, area(b"PIN=1234"), at=5 * SECOND, path=b"/bin/secret", argv=(b"s", b"1234")
    )
    (began,) = world.feed(*records)
    world.feed(fork(CHILD, TASK))
    forked, ended = world.one(exit_of(CHILD)), world.one(exit_of(TASK))
    for event in (began, forked, ended):
        assert b"1234" not in world.line(event)
        assert event.process.arguments == "***"
        assert event.process.environment == (("PIN", "***"),)
    assert environment_of(wanted, area(b"PIN=1234")).environment == (("PIN", "1234"),)
