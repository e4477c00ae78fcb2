# SPDX-License-Identifier: Apache-2.0
"""Numbers that the kernel side makes of others: of expressions, of two values that are compared.

Operations run in their order before the filters, which then compare their results.
"""

from __future__ import annotations

from typing import Callable, List, Mapping, Sequence, Tuple, Union

from tetrapy.errors import PolicyUnsupportedError
from tetrapy.policy.expression import BOOL, INT32, UINT32, Node
from tetrapy.sensors.policy.tables import HookWriter, Operation

_U64 = (1 << 64) - 1
_LOWER = (1 << 32) - 1


class _Number(int):
    """An enum call_number: of a value, or of what was made. Other operands are constants."""


_Operand = Union[_Number, int]

# Operator -> operation, whether the operands are turned round, and whether the result is.
_RELATIONS: Mapping[str, Tuple[str, bool, bool]] = {
    "==": ("EQUAL", False, False),
    "!=": ("EQUAL", False, True),
    "<": ("LESS", False, False),
    ">": ("LESS", True, False),
    ">=": ("LESS", False, True),
    "<=": ("LESS", True, True),
}
_OPERATORS: Mapping[str, str] = {
    "+": "ADD",
    "-": "SUBTRACT",
    "and": "AND",
    "or": "OR",
    "xor": "XOR",
    "&&": "AND",
    "||": "OR",
}


class Operations:
    """The operations of one hook."""

    def __init__(self, writer: HookWriter) -> None:
        self._numbers = writer.numbers
        self._codes = writer.operations
        self._limit = writer.limits["HOOK_OPERATIONS"]
        self._free = list(range(writer.numbers["NUMBER_MADE"], writer.numbers["CALL_NUMBERS"]))
        self.rows: List[Operation] = []
        self.files: List[int] = []  # values whose type is asked for
        self.of_return = False  # some are about what the function returns

    def gained(self, new: int, old: int) -> int:
        """The number that has the bits of one value which another one has not."""
        return self._result("AND_NOT", _Number(new), _Number(old))

    def file_type(self, value: int) -> int:
        """The number with the type of the file that a value points to; 0 where there is none."""
        if value not in self.files:
            self.files.append(value)
        return self._numbers["NUMBER_FILE_TYPES"] + self.files.index(value)

    def expression(self, tree: Node, number: Callable[[int], int]) -> int:
        """The number that is 1 where a condition holds, else 0.

        `number`: position of an argument -> number of its value. Raises PolicyUnsupportedError.
        """
        made = self._node(tree, number)
        return made if isinstance(made, _Number) else self._result("COPY", _Number(0), made)

    def _node(self, node: Node, number: Callable[[int], int]) -> _Operand:
        if node.operator == "number":
            return node.value & _U64
        if node.operator == "argument":
            return _Number(number(node.value))
        # The operand that needs the most room first: half of the others' room is enough then.
        order = sorted(range(len(node.operands)), key=lambda at: -_depth(node.operands[at]))
        made = {at: self._node(node.operands[at], number) for at in order}
        operands = [made[at] for at in range(len(node.operands))]
        if node.operator in {"int32", "uint32"}:
            return self._narrowed(operands[0], node.type)
        if node.operator == "!":
            return self._result("XOR", operands[0], 1)
        if node.operator == "not":
            return self._narrowed(self._result("XOR", operands[0], _U64), node.type)
        left, right = operands
        if node.operator in _RELATIONS:
            name, is_turned, is_opposite = _RELATIONS[node.operator]
            if name == "LESS" and node.operands[0].type.startswith("u"):
                name = "BELOW"
            if is_turned:
                left, right = right, left
            result = self._result(name, left, right)
            return self._result("XOR", result, 1) if is_opposite else result
        result = self._result(_OPERATORS[node.operator], left, right)
        return result if node.type == BOOL else self._narrowed(result, node.type)

    def _narrowed(self, operand: _Operand, kind: str) -> _Operand:
        if kind == INT32 and isinstance(operand, _Number):
            return self._result("INT32", operand, operand)
        if kind == INT32:
            return ((operand & _LOWER ^ 1 << 31) - (1 << 31)) & _U64
        if kind == UINT32 and isinstance(operand, _Number):
            return self._result("AND", operand, _LOWER)
        return operand & _LOWER if kind == UINT32 else operand

    def _result(self, name: str, left: _Operand, right: _Operand) -> _Number:
        """Adds an operation; operands that were made are not needed any more."""
        if not isinstance(left, _Number):
            left = self._result("COPY", _Number(0), left)
        to = self._room([left, right])
        is_constant = not isinstance(right, _Number)
        self.rows.append(
            Operation(
                self._codes[f"OPERATION_{name}"],
                to,
                left,
                0 if is_constant else right,
                _U64 if is_constant else 0,
                right if is_constant else 0,
            )
        )
        if len(self.rows) > self._limit:
            raise PolicyUnsupportedError(
                f"a hook with expressions of more than {self._limit} operations"
            )
        return _Number(to)

    def _room(self, operands: Sequence[_Operand]) -> int:
        made = self._numbers["NUMBER_MADE"]
        for one in operands:
            if isinstance(one, _Number) and one >= made and one not in self._free:
                self._free.append(one)
        if not self._free:
            raise PolicyUnsupportedError("a hook with so many, or so deep, expressions")
        return self._free.pop()


def _depth(node: Node) -> int:
    """How many results must be kept at a time to evaluate a node."""
    depths = sorted((_depth(operand) for operand in node.operands), reverse=True)
    return max((depth + at for at, depth in enumerate(depths)), default=0) or bool(depths)
