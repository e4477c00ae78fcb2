# SPDX-License-Identifier: Apache-2.0
"""Which hooks are served by the programs that leave out what most do not need."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from tetrapy.sensors.policy.simple import is_simple
from tetrapy.sensors.policy.tables import Filter, HookTable, Operation, Value

WRITER: Any = SimpleNamespace(
    limits={"SIMPLE_FILTERS": 3, "SIMPLE_VALUES": 2},
    comparisons={"COMPARE_RANGES": 0, "COMPARE_MASK": 1, "COMPARE_SET": 2},
    kinds={"VALUE_NUMBER": 1, "VALUE_POINTED": 2},
    sources={"SOURCE_MEMORY": 6},
    value_flags={"VALUE_RESOLVED": 4},
)
NUMBER = Value(kind=1, source=0)
RANGE, MASK, SET = (Filter(comparison, 0, 1) for comparison in range(3))
PLAIN = HookTable((NUMBER,), (RANGE, MASK, RANGE), (SET,), (), returns=(MASK,))


def test_numbers_and_texts() -> None:
    """As many filters of numbers as there is room for; of texts any, in whichever set."""
    assert is_simple(PLAIN, WRITER)
    assert is_simple(PLAIN._replace(texts=(SET,) * 20, return_texts=(SET,)), WRITER)


@pytest.mark.parametrize(
    "more",
    [
        {"plain": (RANGE,) * 4},
        {"plain": (SET,)},
        {"returns": (SET,)},
        {"returns": (RANGE,) * 4},
        {"values": (NUMBER, Value(kind=1, source=6))},
        {"values": (NUMBER,) * 3},
        {"values": (Value(kind=2, source=0),)},
        {"values": (Value(kind=1, source=0, flags=5),)},
        {"context": 1},
        {"workloads": True},
        {"file_types": (0,)},
        {"operations": (Operation(0, 0, 0),)},
        {"return_operations": True},
        {"sockets": (0,)},
    ],
)
def test_what_is_left_out(more: dict[str, Any]) -> None:
    """A hook that needs any of it is not simple."""
    assert not is_simple(PLAIN._replace(**more), WRITER)
