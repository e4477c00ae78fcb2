# SPDX-License-Identifier: Apache-2.0
"""Override of a uprobe: which registers its selectors change, as the kernel side reads it."""

from __future__ import annotations

import os
from typing import Callable, Dict, Sequence, Tuple

from tetrapy.abi.btf import Btf
from tetrapy.abi.layout import enum_values, struct_layout, unpacker
from tetrapy.errors import PolicyUnsupportedError
from tetrapy.policy.registers import MOST, REGISTERS, Assignment, assignments_of
from tetrapy.policy.types import Action, Selector
from tetrapy.sensors.policy.plan import PlaceError

_FIELDS = ("number", "source", "to", "from")


def assignments(
    selectors: Sequence[Selector], machine: str, distance: Callable[[Action], int]
) -> Tuple[Tuple[Assignment, ...], ...]:
    """By selector. Raises PlaceError for a register that the machine does not have, and
    PolicyUnsupportedError for too many.

    `distance`: bytes from the probe to where an action has the process go on.
    """
    found = tuple(
        tuple(
            one
            for action in selector.match_actions
            if action.action == "Override"
            for one in assignments_of(action, machine, distance(action))
        )
        for selector in selectors
    )
    if any(len(row) > MOST for row in found):
        raise PolicyUnsupportedError(f"Override: more than {MOST} registers of a selector")
    registers = REGISTERS[machine]
    for one in (one for row in found for one in row):
        for name in filter(None, (one.to, one.source)):
            if name not in registers:
                raise PlaceError(f"argRegs: {machine} has no register {name}")
    return found


def expect_changes(*, returns: bool) -> None:
    """Raise PlaceError or PolicyUnsupportedError where registers cannot be changed."""
    if returns:
        raise PolicyUnsupportedError(
            "Override of a uprobe with return: the kernel would look for the return where the"
            " stack was before"
        )
    from tetrapy.kernel.trials import Trials  # late: few policies change registers

    trials = Trials()
    try:
        if not trials.has("uprobe_regs_change"):
            raise PlaceError(
                "Override: this kernel lets no uprobe change registers: it is older than Linux"
                " 6.18; use a kprobe, or Sigkill"
            )
    finally:
        trials.close()


def constants_of(rows: Sequence[Sequence[Assignment]], btf: Btf) -> Dict[str, int]:
    """The constant of bpf/call_registers.h, its bytes as a number; none where `rows` is empty."""
    if not rows:
        return {}
    layout = unpacker(struct_layout(btf, "register_write"), _FIELDS)
    sources = enum_values(btf, "register_source")
    most = enum_values(btf, "hook_limit")["HOOK_REGISTERS"]
    places = REGISTERS[_machine()]
    data = b""
    for row in rows:
        made = b"".join(
            layout.pack(_signed(one.number), sources[_source(one)], places[one.to],
                        places.get(one.source, 0))
            for one in row
        )  # fmt: skip
        data += made.ljust(most * layout.size, b"\0")
    return {"register_writes": int.from_bytes(data, "little")}


def _machine() -> str:
    return os.uname().machine


def _signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 > 0 else number


def _source(one: Assignment) -> str:
    if one.in_memory:
        return "WRITE_MEMORY"
    return "WRITE_REGISTER" if one.source else "WRITE_NUMBER"
