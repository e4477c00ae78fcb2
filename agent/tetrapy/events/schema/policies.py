# SPDX-License-Identifier: Apache-2.0
"""The events that tracing policies will make: nothing fills them yet, but filters may name them."""

from __future__ import annotations

from typing import Dict, Tuple

from tetrapy.events.schema.field import Field, unfilled


def _rows(text: str) -> Tuple[Field, ...]:
    """`number name type` in each line."""
    rows = (line.split() for line in text.strip().splitlines())
    return tuple(unfilled(int(number), name, kind) for number, name, kind in rows)


POLICY_MESSAGES: Dict[str, Tuple[Field, ...]] = {
    "ProcessKprobe": _rows("""
        1 process Process
        2 parent Process
        3 function_name string
        4 args [KprobeArgument]
        5 return KprobeArgument
        6 action KprobeAction
        7 kernel_stack_trace [StackTraceEntry]
        8 policy_name string
        9 return_action KprobeAction
        10 message string
        11 tags [string]
        12 user_stack_trace [StackTraceEntry]
        13 ancestors [Process]
        14 data [KprobeArgument]
    """),
    "ProcessTracepoint": _rows("""
        1 process Process
        2 parent Process
        4 subsys string
        5 event string
        6 args [KprobeArgument]
        7 policy_name string
        8 action KprobeAction
        9 message string
        10 tags [string]
        11 ancestors [Process]
    """),
    "ProcessLoader": _rows("""
        1 process Process
        2 path string
        3 buildid bytes
        4 parent Process
        5 ancestors [Process]
    """),
    "ProcessUprobe": _rows("""
        1 process Process
        2 parent Process
        3 path string
        4 symbol string
        5 policy_name string
        6 message string
        7 args [KprobeArgument]
        8 tags [string]
        9 ancestors [Process]
        10 offset uint64
        11 ref_ctr_offset uint64
        12 action KprobeAction
        13 data [KprobeArgument]
    """),
    "ProcessLsm": _rows("""
        1 process Process
        2 parent Process
        3 function_name string
        5 policy_name string
        6 message string
        7 args [KprobeArgument]
        8 action KprobeAction
        9 tags [string]
        10 ancestors [Process]
        11 ima_hash string
    """),
    "ProcessUsdt": _rows("""
        1 process Process
        2 parent Process
        3 path string
        4 provider string
        5 name string
        6 policy_name string
        7 message string
        8 args [KprobeArgument]
        9 tags [string]
        10 ancestors [Process]
        11 action KprobeAction
        12 flags string
    """),
    "Test": _rows("""
        1 arg0 uint64
        2 arg1 uint64
        3 arg2 uint64
        4 arg3 uint64
    """),
}
