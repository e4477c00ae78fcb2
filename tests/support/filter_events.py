# SPDX-License-Identifier: Apache-2.0
"""Processes and events for the tests of filters."""

from __future__ import annotations

from tetrapy.events.credentials import Capabilities
from tetrapy.events.exec import ProcessExec
from tetrapy.events.exit import ProcessExit
from tetrapy.events.process import DetailedProcess, Process
from tetrapy.events.throttle import START, ProcessThrottle
from tetrapy.filters.filter import FilterList
from tetrapy.filters.lists import Abilities, parse_list

EVERYTHING = Abilities(
    credentials=True,
    ancestors=frozenset({"PROCESS_EXEC", "PROCESS_EXIT"}),
    pid_sets=True,
)
TIME = 1_767_323_045_123_456_789  # 2026-01-02T03:04:05.123456789Z
THROTTLE = ProcessThrottle(START, "session-1.scope", TIME)


def process(
    binary: str = "/usr/bin/id",
    arguments: str = "",
    pid: int = 100,
    parent: Process | None = None,
    docker: str = "",
    **more: object,
) -> Process:
    """A process; `more` are other attributes."""
    made = DetailedProcess(b"node", pid, pid * 10, pid * 10)
    made.binary, made.arguments, made.docker = binary, arguments, docker
    made.parent = parent
    made.start_time = TIME
    made.uid = 0
    for name, value in more.items():
        setattr(made, name, value)
    return made


def executed(made: Process, *ancestors: Process) -> ProcessExec:
    """Its exec."""
    return ProcessExec(made, made.parent, ancestors)


def exited(made: Process, code: int = 0) -> ProcessExit:
    """Its exit."""
    return ProcessExit(made, made.parent, code, TIME)


def capabilities(permitted: int, effective: int = 0, inheritable: int = 0) -> Capabilities:
    """Three sets."""
    return Capabilities(permitted, effective, inheritable)


def listed(text: str, abilities: Abilities = EVERYTHING) -> FilterList:
    """A list out of text."""
    made = parse_list(text, "export-allowlist", abilities)
    assert made is not None
    return made
