# SPDX-License-Identifier: Apache-2.0
"""The types of events that are exported (Tetragon's enum `EventType`)."""

from __future__ import annotations

from typing import Dict

PROCESS_EXEC = "PROCESS_EXEC"
PROCESS_EXIT = "PROCESS_EXIT"
PROCESS_THROTTLE = "PROCESS_THROTTLE"
RATE_LIMIT_INFO = "RATE_LIMIT_INFO"

EVENT_TYPES: Dict[str, int] = {
    "UNDEF": 0,
    PROCESS_EXEC: 1,
    PROCESS_EXIT: 5,
    "PROCESS_KPROBE": 9,
    "PROCESS_TRACEPOINT": 10,
    "PROCESS_LOADER": 11,
    "PROCESS_UPROBE": 12,
    PROCESS_THROTTLE: 27,
    "PROCESS_LSM": 28,
    "PROCESS_USDT": 29,
    "TEST": 40000,
    RATE_LIMIT_INFO: 40001,
}
