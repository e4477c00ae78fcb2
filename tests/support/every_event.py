# SPDX-License-Identifier: Apache-2.0
"""Events of each kind, with every field that settings can ask for."""

from __future__ import annotations

from tests.support.filter_events import THROTTLE
from tests.support.shown_process import detailed, process
from tetrapy.events.arguments import UNRESOLVED, Argument, File, StackEntry
from tetrapy.events.calls import (
    Probe,
    ProcessKprobe,
    ProcessLsm,
    ProcessTracepoint,
    ProcessUprobe,
    ProcessUsdt,
)
from tetrapy.events.event import Event
from tetrapy.events.exec import ProcessExec
from tetrapy.events.executed import ExecutedFile
from tetrapy.events.exit import ProcessExit
from tetrapy.events.loader import ProcessLoader
from tetrapy.events.process import UnknownProcess
from tetrapy.events.rate_limit import RateLimitInfo

TIME = 1_767_323_045_000_000_000  # 2026-01-02T03:04:05Z

FILE = File("/etc/passwd", UNRESOLVED, "-rw-r--r--")
PROBE = Probe(
    "kprobe:f", "p", "m", ("t",), "f", "sched", "x", "/bin/sh", "main", 7, 8, "tests", "hit"
)
CALLS = [
    kind(
        PROBE,
        process(),
        43,
        process(),
        TIME,
        "KPROBE_ACTION_POST",
        (Argument("int_arg", -1, "a"), Argument("file_arg", FILE), Argument("bytes_arg", b"ab")),
        (Argument("long_arg", -(2**63)),),
        Argument("size_arg", 2**64 - 1),
        "KPROBE_ACTION_SIGKILL",
        (process(),),
        (StackEntry(1, 2, "f", ""),),
        (StackEntry(0, 2, "", "/bin/sh"),),
    )
    for kind in (ProcessKprobe, ProcessTracepoint, ProcessUprobe, ProcessLsm, ProcessUsdt)
]


def every_event() -> list[Event]:
    """One of each kind, with what is odd about each."""
    unknown = UnknownProcess(b"", 7, 0, 0)
    unknown.start_time = TIME
    odd = detailed(executed=ExecutedFile("/x", 2**60, 1, 1 << 20 | 5, deleted=True))
    return [
        ProcessExec(odd, detailed(), (process(),)),
        ProcessExit(unknown, None, 9, TIME),
        ProcessExit(process(), process(), 256, TIME),
        THROTTLE,
        RateLimitInfo(2**63, TIME),
        *CALLS,
        ProcessLoader(process(), 43, detailed(), TIME, "/lib/x.so", b"\0\xff"),
    ]
