# SPDX-License-Identifier: Apache-2.0
"""Expressions as operations: carried out as the kernel side does, they say what the model says."""

from __future__ import annotations

import random
from types import SimpleNamespace
from typing import cast

import pytest

from tests.support.expressions import NUMBERS, TYPES, expression
from tetrapy.errors import PolicyUnsupportedError
from tetrapy.policy.conditions import Condition
from tetrapy.policy.expression import Expression
from tetrapy.policy.model import holds
from tetrapy.sensors.policy.operations import Operations
from tetrapy.sensors.policy.tables import HookWriter

U64 = (1 << 64) - 1
CODES = {
    f"OPERATION_{name}": code
    for code, name in enumerate(
        "COPY ADD SUBTRACT AND OR XOR AND_NOT EQUAL LESS BELOW INT32".split()
    )
}


WRITER = SimpleNamespace(  # of the numbers of bpf/hook.h those that operations are made of
    numbers={"NUMBER_MADE": 48, "CALL_NUMBERS": 64, "NUMBER_FILE_TYPES": 30},
    operations=CODES,
    limits={"HOOK_OPERATIONS": 48},
)


def made() -> Operations:
    """Those of a new hook."""
    return Operations(cast(HookWriter, WRITER))


def signed(number: int) -> int:
    return number - (1 << 64) if number >> 63 else number


def carried_out(operations: Operations, values: dict[int, int]) -> list[int]:
    """The numbers of a call after bpf/call_operations.h."""
    numbers = [values.get(at, 0) & U64 for at in range(64)]
    names = {code: name[len("OPERATION_") :] for name, code in CODES.items()}
    for one in operations.rows:
        left = numbers[one.left]
        right = numbers[one.right] & ~one.constant_mask | one.constant
        results = {
            "COPY": right,
            "ADD": left + right,
            "SUBTRACT": left - right,
            "AND": left & right,
            "OR": left | right,
            "XOR": left ^ right,
            "AND_NOT": left & ~right,
            "EQUAL": int(left == right),
            "LESS": int(signed(left) < signed(right)),
            "BELOW": int(left < right),
            "INT32": ((right & 0xFFFFFFFF) ^ 1 << 31) - (1 << 31),
        }
        numbers[one.to] = results[names[one.operation]] & U64
    return numbers


@pytest.mark.slow
def test_expressions_are_what_the_model_says() -> None:
    """Random ones, of numbers at the ends of their types; two in one hook do not meet."""
    rng = random.Random(11)
    for _ in range(1500):
        trees = [Expression(expression(rng), TYPES) for _ in range(2)]
        operations = made()
        try:
            numbers = [operations.expression(one.tree, lambda place: place) for one in trees]
        except PolicyUnsupportedError:
            continue
        values = {
            0: rng.choice([number for number in NUMBERS if -(1 << 31) <= number < 1 << 31]),
            2: rng.choice(NUMBERS),
            4: abs(rng.choice(NUMBERS)),
        }
        after = carried_out(operations, values)
        for one, number in zip(trees, numbers, strict=True):
            found = Condition(one.arguments, "", "CelExpr", one)
            assert after[number] == holds(found, *[values[at] for at in one.arguments]), one.text


def test_deep_expressions_need_little_room() -> None:
    """The side that needs more comes first, so that the results of a long sum fit."""
    text = "arg2 == 1"
    for _ in range(14):
        text = f"arg2 == 2 && ({text})"
    operations = made()
    number = operations.expression(Expression(text, TYPES).tree, lambda place: place)
    assert carried_out(operations, {2: 1})[number] == 0


def test_too_much_is_refused() -> None:
    """By a sentence, not by a broken table."""
    tree = Expression(" && ".join(["arg2 == 1"] * 40), TYPES).tree
    with pytest.raises(PolicyUnsupportedError, match="more than 48 operations"):
        made().expression(tree, lambda place: place)
    operations = made()
    tree = Expression("arg2 == 1", TYPES).tree
    for _ in range(16):
        operations.expression(tree, lambda place: place)
    with pytest.raises(PolicyUnsupportedError, match="so many"):
        operations.expression(tree, lambda place: place)


def test_gained_capabilities_and_types_of_files() -> None:
    """The new set's bits that the old one has not; the type of one file is read once."""
    operations = made()
    number = operations.gained(new=1, old=0)
    assert carried_out(operations, {0: 0b1010, 1: 0b0110})[number] == 0b0100
    assert [operations.file_type(3), operations.file_type(1), operations.file_type(3)] == [
        30,
        31,
        30,
    ]
    assert operations.files == [3, 1]
