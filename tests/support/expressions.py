# SPDX-License-Identifier: Apache-2.0
"""Random conditions in the language of CelExpr, on arguments of the types in TYPES."""

from __future__ import annotations

import random

TYPES = ["int", "uint8", "int64", "string", "uint64"]
NUMBERS = [0, 1, 2, 7, 255, 127, 128, -1, -2, 1 << 31, -(1 << 31), (1 << 63) - 1, -(1 << 63), 4000]
OF_TYPE = {"int32": ["arg0"], "int": ["arg2"], "uint": ["arg4"], "uint32": []}


def operand(rng: random.Random, kind: str, depth: int) -> str:
    """A part of an expression, of this type."""
    choice = rng.randrange(6) if depth else 0
    if choice < 3:
        number = rng.choice(NUMBERS)
        if kind == "uint":
            numbers = [f"{abs(number)}u"]
        elif kind == "uint32":
            numbers = [f"uint32({abs(number)}u)"]
        else:
            numbers = [str(number) if kind == "int" else f"int32({number})"]
        return rng.choice(numbers + 3 * OF_TYPE[kind])
    left, right = operand(rng, kind, depth - 1), operand(rng, kind, depth - 1)
    if choice == 3:
        return f"({left} {rng.choice('+-')} {right})"
    if choice == 4:
        return f"{rng.choice(['and', 'or', 'xor'])}({left}, {right})"
    if kind.endswith("32"):
        wide = kind[:-2]
        return f"{kind}({operand(rng, wide, depth - 1)})"
    return f"not({left})"


def expression(rng: random.Random, depth: int = 3) -> str:
    """A condition on the numbers among the arguments."""
    if depth and rng.random() < 0.6:
        joined = rng.choice(["&&", "||"])
        text = f"({expression(rng, depth - 1)} {joined} {expression(rng, depth - 1)})"
        return f"!{text}" if rng.random() < 0.3 else text
    kind = rng.choice(list(OF_TYPE))
    relation = rng.choice(["==", "!=", "<", "<=", ">", ">="])
    return f"{operand(rng, kind, 2)} {relation} {operand(rng, kind, 2)}"
