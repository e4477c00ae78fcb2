# SPDX-License-Identifier: Apache-2.0
"""What events are made of: every message, field, number, type and enum, in one place.

Derived from it are the JSON encoders (events/encoders.py), docs/events.md and
docs/events.schema.json, which `python3 -m tools.event_docs` writes; which fields filters may name,
the types of CEL, and what makes events equal for aggregation.

A new field is a row here, and an attribute of the object that the message is made of. A new event
is a row of EVENT_ROWS, its message, and a class of that name (events/exec.py is one).

Nothing that a start loads imports this.
"""

from __future__ import annotations

from typing import Dict, FrozenSet, Tuple

from tetrapy.events.credentials import CAPABILITY_NAMES, PRIVILEGES_CHANGED, SECURE_BITS
from tetrapy.events.schema.arguments import ARGUMENT_ENUMS, ARGUMENT_MESSAGES
from tetrapy.events.schema.field import ALWAYS, SELF, SET, Field, field, unfilled
from tetrapy.events.schema.policies import POLICY_MESSAGES
from tetrapy.events.schema.process import PROCESS_MESSAGES

SCALARS: FrozenSet[str] = frozenset(
    "string int32 int64 uint32 uint64 bool bytes UInt32Value Int32Value BoolValue Timestamp"
    " map".split()
)

CONVERSIONS: Dict[str, str] = {
    "capability_names": "tetrapy.events.credentials",
    "secure_bit_names": "tetrapy.events.credentials",
    "flag_words": "tetrapy.events.flags",
    "base64_text": "tetrapy.events.text",
    "rfc3339": "tetrapy.events.text",
    "caller_json": "tetrapy.events.caller",
}
"""Function that makes a field's value of an attribute -> the module that has it."""

ENUMS: Dict[str, Dict[str, int]] = {
    "CapabilitiesType": {name: number for number, name in enumerate(CAPABILITY_NAMES)},
    "SecureBitsType": {name: 1 << number for number, name in enumerate(SECURE_BITS)},
    "ProcessPrivilegesChanged": {name: number for number, name in enumerate(PRIVILEGES_CHANGED, 1)},
    "ThrottleType": {"THROTTLE_UNKNOWN": 0, "THROTTLE_START": 1, "THROTTLE_STOP": 2},
    **ARGUMENT_ENUMS,
}

_ANCESTORS = "those beyond the parent, from the grandparent to the first"
_OWN_TIME = "when it ended"

PROCESS = "Process"

MESSAGES: Dict[str, Tuple[Field, ...]] = {
    "ProcessExec": (
        field(1, "process", "Process", "the process, as it runs from now on", ALWAYS,
              source="shown"),
        field(2, "parent", "Process", "the process that started it, or the image it replaced"),
        field(3, "ancestors", "[Process]", _ANCESTORS, identity=True, setting="enable-ancestors"),
    ),
    "ProcessExit": (
        field(1, "process", "Process", "the process that ended", ALWAYS),
        field(2, "parent", "Process", "the process that started it"),
        field(3, "signal", "string", "signal that ended it", plain=True),
        field(4, "status", "uint32", "exit status"),
        field(5, "time", "Timestamp", _OWN_TIME, ALWAYS, through="rfc3339", plain=True,
              identity=True),
        field(6, "ancestors", "[Process]", _ANCESTORS, identity=True, setting="enable-ancestors"),
    ),
    "ProcessThrottle": (
        field(1, "type", "ThrottleType", "whether it begins or ends", ALWAYS, source="action"),
        field(2, "cgroup", "string", "name of the cgroup", ALWAYS),
    ),
    "RateLimitInfo": (
        field(1, "number_of_dropped_process_events", "uint64", "events that were not written",
              ALWAYS, source="dropped"),
    ),
    **PROCESS_MESSAGES,
    **POLICY_MESSAGES,
    **ARGUMENT_MESSAGES,
    "AggregationInfo": (field(1, "count", "uint64", "events of the line", ALWAYS, source=SELF),),
}  # fmt: skip

EVENT_ROWS: Tuple[Field, ...] = (
    field(1, "process_exec", "ProcessExec", "a process began to run a program"),
    field(5, "process_exit", "ProcessExit", "the last thread of a process is gone"),
    field(9, "process_kprobe", "ProcessKprobe", "a function of the kernel was called"),
    field(10, "process_tracepoint", "ProcessTracepoint", "a tracepoint of the kernel was reached"),
    field(11, "process_loader", "ProcessLoader", "a program or library was mapped"),
    field(12, "process_uprobe", "ProcessUprobe", "a function of a program was called"),
    field(27, "process_throttle", "ProcessThrottle",
          "a cgroup makes more events than it may, or no longer", setting="cgroup-rate"),
    field(28, "process_lsm", "ProcessLsm", "a hook of Linux security modules was called"),
    field(29, "process_usdt", "ProcessUsdt", "a static probe of a program was reached"),
    unfilled(40000, "test", "Test"),
    field(40001, "rate_limit_info", "RateLimitInfo", "the rate limit held events back",
          setting="export-rate-limit"),
)  # fmt: skip
"""Of which a line has one."""

COMMON_ROWS: Tuple[Field, ...] = (
    field(1000, "node_name", "string", "name of the machine", ALWAYS),
    field(1001, "time", "Timestamp", "when it happened", ALWAYS, through="rfc3339", plain=True),
    field(1002, "aggregation_info", "AggregationInfo", "of a line that stands for several events",
          setting="enable-export-aggregation"),
    field(1003, "cluster_name", "string", "name of the cluster", SET, setting="cluster-name"),
    unfilled(1004, "node_labels", "map"),
)  # fmt: skip
"""What follows the event in each line."""

ENVELOPE: Tuple[Field, ...] = EVENT_ROWS + COMMON_ROWS
"""The message of a line, Tetragon's `GetEventsResponse`."""

EVENTS: Dict[str, str] = {row.name: row.type for row in EVENT_ROWS}
"""Event -> its message."""

MADE: Tuple[str, ...] = tuple(row.name for row in EVENT_ROWS if row.is_filled)
"""The events that the agent makes."""

EVENT_TYPES: Dict[str, int] = {
    "UNDEF": 0,
    **{row.name.upper(): row.number for row in EVENT_ROWS},
}
"""Tetragon's enum `EventType`."""

FIELDS: Dict[str, Dict[str, Field]] = {
    message: {row.name: row for row in rows} for message, rows in MESSAGES.items()
}
"""Message -> name of a field -> its row."""

SHARED: FrozenSet[str] = frozenset({"Capabilities", "Namespaces", "Pod", "ProcessCredentials"})
"""Messages of which few different ones occur on a host: their JSON is kept."""

REPEATED: FrozenSet[str] = frozenset({"KprobeArgument"})
"""Messages of which the same one may come again soon: that of short ones is kept for a while."""
