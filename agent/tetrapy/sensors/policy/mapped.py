# SPDX-License-Identifier: Apache-2.0
"""`loader: true`: programs and libraries that are mapped to be executed.

A kprobe on the function that perf events of mapped files end in: only there are the path and the
build id at hand (kernel/mmap_events.py). Each file is reported once of a process.
"""

from __future__ import annotations

import contextlib
from collections import OrderedDict
from struct import Struct
from typing import Any, Callable, Optional, Tuple

from tetrapy.events.loader import ProcessLoader
from tetrapy.events.process import Process
from tetrapy.kernel.mmap_events import MmapEvents
from tetrapy.policy.types import KprobeHook
from tetrapy.sensors.policy.compiler import Compiled
from tetrapy.sensors.policy.filters import Filters
from tetrapy.sensors.policy.hook import KPROBE, MAPPED, HookValue
from tetrapy.sensors.policy.kprobes import expect_functions, expect_kprobes
from tetrapy.sensors.policy.member_path import KernelTypes
from tetrapy.sensors.policy.place import Place
from tetrapy.sensors.policy.plan import Machine, Plan, Site
from tetrapy.sensors.policy.tables import Action, HookTable, HookWriter, MemberPath, Value

MAX_REPORTED = 1024
"""Files of processes that are remembered, of 4 KiB of path each at most."""
_FUNCTION = "perf_event_mmap_output"  # of a struct perf_event, and a struct perf_mmap_event
_BUILD_ID_BYTES = 20
_WORDS = Struct("=QQI")  # in which the build id is read
_NUMBER = 8  # bytes


def plan(machine: Machine, acquired: contextlib.ExitStack) -> Plan:
    """The hook; `acquired` gives back what it needs. Raises PlaceError, KernelError."""
    expect_kprobes()
    events = MmapEvents()
    acquired.callback(events.close)
    hook = KprobeHook(
        **dict.fromkeys(("args", "data", "selectors", "tags"), ()),
        call=_FUNCTION,
        returns=False,
        syscall=False,
        message="",
        return_arg=None,
        return_arg_action="",
        ignore=None,
    )
    return Plan(
        MAPPED,
        (Site(Place(KPROBE, (_FUNCTION,), 0), (_FUNCTION,)),),
        hook,
        (),
        made=lambda writer, types: _compiled(writer, types, events),
        explain=lambda: expect_functions(machine, [_FUNCTION]),
    )


def _compiled(writer: HookWriter, types: Callable[[], KernelTypes], events: MmapEvents) -> Compiled:
    """Read of our own events alone, and only where the file has a build id."""
    known = types()
    event, mapped = known.structure("perf_event"), known.structure("perf_mmap_event")
    build_id = known.resolve(mapped, "build_id").path

    def number(place: int, path: MemberPath, size: int = _NUMBER) -> Value:
        return _value(writer, "VALUE_POINTED", place, path, size)

    values = (
        _value(writer, "VALUE_STRING", 1, known.resolve(mapped, "file_name").path, 0),
        number(1, known.resolve(mapped, "build_id_size").path, 4),
        number(1, build_id),
        number(1, build_id._replace(last=build_id.last + 8)),
        number(1, build_id._replace(last=build_id.last + 16), 4),
        number(0, known.resolve(event, "id").path),
    )
    filters = Filters(writer)
    filters.numbers(1, 1, [(1, _BUILD_ID_BYTES)], negated=False, bits=64, is_signed=False)
    ids = [(one, one) for one in events.ids]
    filters.numbers(1, 5, ids, negated=False, bits=64, is_signed=False)
    actions = (Action(writer.action_flags["ACTION_POST"]),)
    shown = (HookValue("string"), *[HookValue("uint64")] * 4)
    table = HookTable(values, tuple(filters.plain), (), actions)
    return Compiled(table, (*shown, HookValue("uint64", role="hidden")))


def _value(writer: HookWriter, kind: str, place: int, path: MemberPath, size: int) -> Value:
    return Value(
        writer.kinds[kind],
        writer.sources["SOURCE_ARGUMENT"],
        place,
        size,
        writer.value_flags["VALUE_RESOLVED"],
        path=path,
    )


class MappedFiles:
    """Makes the events of one hook: called as the classes of events of calls are."""

    type = ProcessLoader.type

    def __init__(self) -> None:
        self._reported: OrderedDict[Tuple[int, int, str], None] = OrderedDict()

    def __call__(
        self,
        probe: Any,
        process: Process,
        tid: int,
        parent: Optional[Process],
        time: int,
        action: str,
        args: Any,
        data: Any,
        returned: Any,
        return_action: str,
        ancestors: Tuple[Process, ...] = (),
        *_stacks: Any,
    ) -> Optional[ProcessLoader]:
        """The event; None of a file that was reported of the process."""
        path, size, *words = [one.value for one in args]
        key = (process.pid, process.start, path)
        if key in self._reported:
            self._reported.move_to_end(key)
            return None
        self._reported[key] = None
        if len(self._reported) > MAX_REPORTED:
            self._reported.popitem(last=False)
        build_id = _WORDS.pack(*words)[:size]
        return ProcessLoader(process, tid, parent, time, path, build_id, ancestors)
