# SPDX-License-Identifier: Apache-2.0
"""Kinds of records -> Tetragon's decimal opcodes, which are values of labels."""

from __future__ import annotations

from typing import Dict, Mapping

OPCODES: Dict[str, str] = {
    "exec": "5",
    "exit": "7",
    "fork": "23",
    "args": "24",
    "throttle": "27",
}
UNKNOWN = ""  # a record whose kind is none of these
UNKNOWN_OPCODE = "0"


def by_opcode(figures: Mapping[str, int]) -> Dict[str, int]:
    """Opcode -> figure of every kind; 0 for a kind that is not among the figures."""
    return {opcode: figures.get(kind, 0) for kind, opcode in OPCODES.items()}
