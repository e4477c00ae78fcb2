# SPDX-License-Identifier: Apache-2.0
"""Processes as procfs showed them at the agent's start, and the start itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.records import SECOND, UNSET, World
from tetrapy.process import seed
from tetrapy.process.procfs import ProcfsProcess

if TYPE_CHECKING:
    from tetrapy.events.process import Process

ATTACHED = 1000 * SECOND  # when the programs were attached
READ = ATTACHED + SECOND  # when a directory of procfs was read
ID = "5ca1ab1e" * 8


def seen(pid: int, parent: int, start: int, when: int = READ, **fields: object) -> seed.Seen:
    """What procfs showed of a process, and when; `start` is cut to ticks as procfs does."""
    values = {
        "pid": pid,
        "parent_pid": parent,
        "start": start - start % 10_000_000,
        "uid": 0,
        "real_uid": 0,
        "auid": UNSET,
        "binary": f"/bin/{pid}",
        "arguments": "",
        "cwd": "/",
        "flags": 0x4 | 0x1000,
        "docker": "",
        "inner_pid": 0,
        "has_command_line": True,
        "is_kernel_thread": False,
    }
    return seed.Seen(when, ProcfsProcess(**{**values, **fields}))


def start_up(world: World, found: list[seed.Seen], *records: bytes) -> list[Process]:
    """What the agent does at its start: fill the table, tell it, then handle the records."""
    reported = seed.fill(world.table, found, world.dispatcher.touched(list(records)))
    for process in reported:
        world.line(world.tracker.on_seed(process))
    return reported


MACHINE = [
    seen(1, 0, SECOND, binary="/sbin/init"),
    seen(2, 0, SECOND, binary="[kthreadd]", is_kernel_thread=True),
    seen(3, 2, SECOND, binary="[kworker/0:0]", is_kernel_thread=True),
    seen(50, 1, 2 * SECOND + 7_654_321),
    seen(60, 50, 3 * SECOND + 1),
    seen(61, 60, 3 * SECOND + 2),
]
