# SPDX-License-Identifier: Apache-2.0
"""What is told of a part that is not there (yet), and the label values that are told before use.

A series that begins with its first figure hides that figure from `rate` and `increase`; so those
whose labels are known from the start begin with 0.
"""

from __future__ import annotations

from typing import Mapping, NoReturn, Tuple

NONE: Mapping[str, NoReturn] = {}

CGROUP_RATE = (
    "check",
    "delete",
    "delete_fail",
    "lookup_fail",
    "process",
    "throttle_start",
    "throttle_stop",
    "update_fail",
)
ERRORS = (
    "event_finalize_process_info_failed",
    "process_metadata_username_failed",
    "process_pid_tid_mismatch_clone",
    "process_pid_tid_mismatch_exec",
    "process_pid_tid_mismatch_exit",
)
DATA_EVENTS = ("Added", "Appended", "Bad", "Matched", "NotMatched", "Received")
DATA_SIZES = ("bad", "ok")
PATTERN_SETTINGS = ("export-allowlist", "export-denylist", "redaction-filters")
OPERATIONS = ("get", "remove")


class Sensor:
    """None is loaded."""

    name = ""
    blind: Tuple[str, ...] = ()
    received = 0
    losses = NONE
    lost_in_socket = 0
    kernel_filtered = NONE
    owner_losses: Mapping[Tuple[str, str], int] = {}
    programs = ()
    maps = NONE
    cgroup_rate = NONE


class Cache:
    """Nothing is kept."""

    size = 0
    capacity = 0
    evictions = 0
    misses = NONE


class Pieces(Cache):
    """No long arguments have come."""

    events = NONE
    sizes = NONE


class Dispatcher:
    """No record has come."""

    messages = NONE
    failures = NONE
    oddities = NONE
    latencies = NONE
    pieces = Pieces()


class Table(Cache):
    """No process is known."""

    early_deletions = 0
    unknown_processes = 0
    bytes = 0
    cuts = 0


class Exporter:
    """Nothing is written."""

    events = 0
    bytes = 0
    last = 0.0
    filtered = 0
    aggregated = 0
    rate_limited = 0
    lost_lines = 0
    write_errors = 0
    rotations = 0
    over_budget = NONE
    overflowed = 0
    cut_lines = 0
    cut_ancestors = 0


class Heart:
    """The loop has not begun; the agent is starting since `turned`."""

    def __init__(self, turned: float) -> None:
        self.turned = turned
