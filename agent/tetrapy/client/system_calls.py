# SPDX-License-Identifier: Apache-2.0
"""System calls in compact lines: name and arguments, as raw_syscalls/sys_enter tells them."""

from __future__ import annotations

import os
from functools import lru_cache
from typing import Any, Dict, List, Tuple

from tetrapy.policy.functions import MACHINES, numbers
from tetrapy.policy.syscall_numbers import ABIS

_UNKNOWN = "unknown"


def entered(args: List[Dict[str, Any]], machine: str = "") -> str:
    """`name(type argument=value, ...)` of the tracepoint's arguments.

    The first of them says which system call it is; where only its number is known, it is one of
    `machine`, as uname(2) names it (this one, unless given).
    """
    abis = MACHINES.get(machine or os.uname().machine)
    if abis is None:
        return _UNKNOWN
    own = abis[0]
    number, abi = -1, own
    if args and "long_arg" in args[0]:
        number = int(args[0]["long_arg"])
    elif args and "syscall_id" in args[0]:
        number, abi = args[0]["syscall_id"].get("id", 0), args[0]["syscall_id"].get("abi", "")
    name = _names(abi).get(number)
    if name is None:
        return _UNKNOWN
    if abi != own:
        return f"{abi}/{name}"
    parameters = _parameters().get(name)
    if parameters is None:
        return name
    shown = [_argument(args, at, *one) for at, one in enumerate(parameters, 1)]
    return f"{name}({', '.join(shown)})"


def _argument(args: List[Dict[str, Any]], at: int, kind: str, name: str) -> str:
    if at >= len(args) or "size_arg" not in args[at]:
        return f"{kind} {name}=?"
    value = int(args[at]["size_arg"])
    return f"{kind}{name}=0x{value:x}" if kind.endswith("*") else f"{kind} {name}={value}"


@lru_cache(maxsize=None)
def _names(abi: str) -> Dict[int, str]:
    """Number -> name; none of an ABI that is not known."""
    return {number: name for name, number in numbers(abi).items()} if abi in ABIS else {}


@lru_cache(maxsize=1)
def _parameters() -> Dict[str, List[Tuple[str, str]]]:
    """Name of a system call -> type and name of each of its arguments."""
    from tetrapy.client.system_call_arguments import TEXT

    out = {}
    for entry in TEXT.split(";"):
        name, _, arguments = " ".join(entry.split()).partition(": ")
        pairs = [one.rpartition(" ") for one in arguments.split(", ")]
        out[name] = [(kind, argument) for kind, _, argument in pairs]
    return out
