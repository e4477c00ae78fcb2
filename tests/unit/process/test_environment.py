# SPDX-License-Identifier: Apache-2.0
"""The environment of a process, and what a redactor leaves of it and of the arguments."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

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
from tests.support.steps import calls
from tetrapy.events.flags import flag_words
from tetrapy.events.process import Process
from tetrapy.process.details import MOST_VARIABLES, Details, Environment, Wanted

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


names = st.sampled_from(["A", "AB", "B", "", "A=B", "é", "."])


@given(st.frozensets(names), st.lists(st.text("AB=é.", max_size=4)))
def test_any_environment_with_any_filter(wanted: frozenset[str], given_ones: list[str]) -> None:
    """What is shown is what is before the first equals sign of each."""
    made = Details(Wanted(environment=True, variables=wanted), None, None)
    data = "\0".join(given_ones).encode() + b"\0"
    parts = [one.partition("=") for one in data.rstrip(b"\0").decode().split("\0")]
    expected = [
        (key, value) if equals else ("invalid", key)
        for key, equals, value in parts
        if not wanted or key in wanted
    ]
    assert made._variables(data) == (tuple(expected), False)


def test_more_variables_than_are_shown() -> None:
    """131,072 of one byte would cost 150 ms at each exec; it is flagged, and takes no more steps
    than those that are shown.
    """
    many = [b"V%d=" % number for number in range(5000)]
    process = environment_of(Wanted(environment=True), area(*many))
    assert len(process.environment) == MOST_VARIABLES
    assert "errorEnvs" in flag_words(process.flags)
    details = Details(Wanted(environment=True), None, None)
    short, long = (area(*[b"a"] * count) for count in (MOST_VARIABLES + 1, 131_072))
    assert calls(lambda: details._variables(long)) == calls(lambda: details._variables(short))


def test_a_named_variable_behind_all_others() -> None:
    """Nobody hides one by many others."""
    wanted = Wanted(environment=True, variables=frozenset({"LD_PRELOAD"}))
    data = area(*[b"a=1"] * 20_000, b"LD_PRELOAD=/tmp/x.so")
    process = environment_of(wanted, data)
    assert process.environment == (("LD_PRELOAD", "/tmp/x.so"),)
    assert "errorEnvs" not in flag_words(process.flags)


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
    world.feed(fork(CHILD, TASK, at=6 * SECOND))
    forked, ended = world.one(exit_of(CHILD)), world.one(exit_of(TASK))
    for event in (began, forked, ended):
        assert b"1234" not in world.line(event)
        assert event.process.arguments == "***"
        assert event.process.environment == (("PIN", "***"),)
    assert environment_of(wanted, area(b"PIN=1234")).environment == (("PIN", "1234"),)
