# SPDX-License-Identifier: Apache-2.0
"""The events of tracing policies (Tetragon's tetragon.proto).

Nothing fills `test`, but filters may name it.
"""

from __future__ import annotations

from typing import Dict, Tuple

from tetrapy.events.schema.field import ALWAYS, Field, field, unfilled

_STACK = "[StackTraceEntry]"
_ARGUMENTS = "[KprobeArgument]"


def _rows(text: str) -> Tuple[Field, ...]:
    """`number name type` in each line."""
    rows = (line.split() for line in text.strip().splitlines())
    return tuple(unfilled(int(number), name, kind) for number, name, kind in rows)


def _process(number: int = 1) -> Field:
    return field(number, "process", "Process", "the process, and the thread that called", ALWAYS,
                 through="caller_json")  # fmt: skip


def _parent(number: int = 2) -> Field:
    return field(number, "parent", "Process", "the process that started it")


def _ancestors(number: int) -> Field:
    return field(number, "ancestors", "[Process]",
                 "those beyond the parent, from the grandparent to the first", identity=True,
                 setting="enable-ancestors")  # fmt: skip


def _of_probe(number: int, name: str, help_: str, type_: str = "string") -> Field:
    """What all events of a hook have in common."""
    return field(number, name, type_, help_, source=f"probe.{name}", few=True)


def _policy_name(number: int) -> Field:
    return _of_probe(number, "policy_name", "name of the policy")


def _message(number: int) -> Field:
    return _of_probe(number, "message", "the hook's message, as the policy has it")


def _tags(number: int) -> Field:
    return _of_probe(number, "tags", "the hook's tags", "[string]")


def _action(number: int) -> Field:
    return field(number, "action", "KprobeAction", "what was done when the call began", few=True)


def _args(number: int) -> Field:
    return field(number, "args", _ARGUMENTS, "the arguments that the policy asks for")


def _data(number: int) -> Field:
    return field(number, "data", _ARGUMENTS, "what the policy asks for beside the arguments")


POLICY_MESSAGES: Dict[str, Tuple[Field, ...]] = {
    "ProcessKprobe": (
        _process(),
        _parent(),
        _of_probe(3, "function_name", "the function, or the system call's"),
        _args(4),
        field(5, "return", "KprobeArgument", "what the function returned", source="returned"),
        _action(6),
        field(7, "kernel_stack_trace", _STACK, "the kernel's stack", source="kernel_stack"),
        _policy_name(8),
        field(9, "return_action", "KprobeAction", "what was done when it returned", few=True),
        _message(10),
        _tags(11),
        field(12, "user_stack_trace", _STACK, "the process's stack", source="user_stack"),
        _ancestors(13),
        _data(14),
    ),
    "ProcessTracepoint": (
        _process(),
        _parent(),
        _of_probe(4, "subsys", "subsystem of the tracepoint"),
        _of_probe(5, "event", "its name"),
        _args(6),
        _policy_name(7),
        _action(8),
        _message(9),
        _tags(10),
        _ancestors(11),
    ),
    "ProcessLoader": (
        _process(),
        field(2, "path", "string", "the file that was mapped"),
        field(3, "buildid", "bytes", "its build id", through="base64_text", plain=True),
        _parent(4),
        _ancestors(5),
    ),
    "ProcessUprobe": (
        _process(),
        _parent(),
        _of_probe(3, "path", "the program or library"),
        _of_probe(4, "symbol", "the function in it"),
        _policy_name(5),
        _message(6),
        _args(7),
        _tags(8),
        _ancestors(9),
        field(10, "offset", "uint64", "where in the file, for a hook without symbol",
              source="probe.offset"),
        field(11, "ref_ctr_offset", "uint64", "where in the file its reference counter is",
              source="probe.ref_ctr_offset"),
        _action(12),
        _data(13),
    ),
    "ProcessLsm": (
        _process(),
        _parent(),
        _of_probe(3, "function_name", "the LSM hook"),
        _policy_name(5),
        _message(6),
        _args(7),
        _action(8),
        _tags(9),
        _ancestors(10),
        field(11, "ima_hash", "string", "the file's hash, by IMA", plain=True),
    ),
    "ProcessUsdt": (
        _process(),
        _parent(),
        _of_probe(3, "path", "the program or library"),
        _of_probe(4, "provider", "provider of the probe"),
        _of_probe(5, "name", "its name"),
        _policy_name(6),
        _message(7),
        _args(8),
        _tags(9),
        _ancestors(10),
        _action(11),
        unfilled(12, "flags", "string"),
    ),
    "Test": _rows("""
        1 arg0 uint64
        2 arg1 uint64
        3 arg2 uint64
        4 arg3 uint64
    """),
}  # fmt: skip
