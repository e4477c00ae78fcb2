# SPDX-License-Identifier: Apache-2.0
"""Expressions of CelExpr: the part of CEL that Tetragon compiles to BPF, parsed and typed.

Operands are arg0 to argN, by their positions in the policy's list args, numbers and true, false.
Operators: + - && || ! == != < <= > >=; functions: int32(int), uint32(uint), and, or, xor, not.
Both sides have one type; nothing is converted by itself.
"""

from __future__ import annotations

import re
from typing import List, Mapping, Sequence, Set, Tuple

from tetrapy.named import NamedTuple
from tetrapy.policy.values import UnfitError

MAX_EXPRESSIONS = 8
"""In a policy."""
MAX_LENGTH = 4096  # characters
_DEEPEST = 32

BOOL, INT, UINT, INT32, UINT32 = "bool", "int", "uint", "int32", "uint32"
_NUMBERS = frozenset({INT, UINT, INT32, UINT32})
_OF_ARGUMENTS: Mapping[str, str] = {
    "int": INT32,
    "int32": INT32,
    "sint32": INT32,
    "uint32": UINT32,
    "int64": INT,
    "sint64": INT,
    "long": INT,
    "uint64": UINT,
    "ulong": UINT,
}
_BITWISE = frozenset({"and", "or", "xor"})
_CASTS = {"int32": (INT, INT32), "uint32": (UINT, UINT32)}
_RELATIONS = frozenset({"==", "!=", "<", "<=", ">", ">="})

_WORD = (
    r"\s*(?:(?P<number>(?:0[xX][0-9a-fA-F]+|[0-9]+)[uU]?(?![\w.]))|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<operator>&&|\|\||[<>=!]=|[-+!<>(),])|(?P<end>\Z))"
)


class Node(NamedTuple):
    """A node of the tree: `number` (`value`), `argument` (its position), or an operator's name."""

    operator: str
    type: str
    value: int
    operands: Tuple[Node, ...]


class Expression:
    """A condition on arguments; `arguments` are the positions of those that it reads."""

    def __init__(self, text: str, types: Sequence[str]) -> None:
        """Raises UnfitError, a sentence on the text, for what is no such condition."""
        if len(text) > MAX_LENGTH:
            raise UnfitError(f"has {len(text)} characters; at most {MAX_LENGTH} are read")
        parser = _Parser(_tokens(text), types)
        self.text = text
        self.tree = parser.whole()
        self.arguments = tuple(sorted(parser.arguments))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Expression) and self.tree == other.tree

    def __hash__(self) -> int:
        return hash(self.tree)


def _tokens(text: str) -> List[Tuple[str, str]]:
    found = []
    at = 0
    token = re.compile(_WORD, re.ASCII)
    while True:
        match = token.match(text, at)
        if match is None:
            at = len(text) - len(text[at:].lstrip())
            raise UnfitError(f"is not understood at column {at + 1}")
        kind = str(match.lastgroup)
        found.append((kind, match[kind]))
        at = match.end()
        if kind == "end":
            return found


class _Parser:
    """By recursive descent, from the weakest operator to the strongest, as in CEL's grammar."""

    def __init__(self, tokens: List[Tuple[str, str]], types: Sequence[str]) -> None:
        self._tokens = tokens
        self._types = types
        self._at = 0
        self._depth = 0
        self.arguments: Set[int] = set()

    def whole(self) -> Node:
        node = self._either()
        if self._tokens[self._at][0] != "end":
            raise UnfitError(f"is not understood at {self._tokens[self._at][1]}")
        if node.type != BOOL:
            raise UnfitError(f"is of type {node.type}; a condition is expected, true or false")
        return node

    def _either(self) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise UnfitError(f"is nested deeper than {_DEEPEST} levels")
        node = self._both()
        while self._take("||"):
            node = self._binary("||", node, self._both())
        self._depth -= 1
        return node

    def _both(self) -> Node:
        node = self._relation()
        while self._take("&&"):
            node = self._binary("&&", node, self._relation())
        return node

    def _relation(self) -> Node:
        node = self._sum()
        while self._tokens[self._at][1] in _RELATIONS:
            operator = self._next()
            node = self._binary(operator, node, self._sum())
        return node

    def _sum(self) -> Node:
        node = self._unary()
        while self._tokens[self._at] in {("operator", "+"), ("operator", "-")}:
            operator = self._next()
            node = self._binary(operator, node, self._unary())
        return node

    def _unary(self) -> Node:
        turned = 0
        while self._take("!"):
            turned += 1
        if turned:
            node = self._operand()
            if node.type != BOOL:
                raise UnfitError(f"has ! in front of a {node.type}; it is for conditions")
            return Node("!", BOOL, 0, (node,)) if turned % 2 else node
        if self._take("-"):
            kind, text = self._tokens[self._at]
            if kind != "number" or text[-1] in "uU":
                raise UnfitError("has - in front of something that is no number")
            self._at += 1
            return _literal("-" + text)
        return self._operand()

    def _operand(self) -> Node:
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return _literal(text)
        if text == "(":
            node = self._either()
            self._expect(")")
            return node
        if kind != "name":
            raise UnfitError("ends too early" if kind == "end" else f"is not understood at {text}")
        if text in {"true", "false"}:
            return Node("number", BOOL, int(text == "true"), ())
        if self._take("("):
            return self._call(text)
        return self._argument(text)

    def _argument(self, name: str) -> Node:
        digits = name[3:]
        if not (name.startswith("arg") and digits.isdigit() and len(digits) <= 2):
            raise UnfitError(f"names {name}; only arg0, arg1 and so on are known")
        place = int(digits)
        if place >= len(self._types):
            raise UnfitError(f"names {name}, but args has {len(self._types)} elements")
        kind = _OF_ARGUMENTS.get(self._types[place])
        if kind is None:
            raise UnfitError(f"reads {name}, whose type {self._types[place]} it cannot compare")
        self.arguments.add(place)
        return Node("argument", kind, place, ())

    def _call(self, name: str) -> Node:
        operands = [self._either()]
        while self._take(","):
            operands.append(self._either())
        self._expect(")")
        if name in _CASTS and len(operands) == 1:
            source, target = _CASTS[name]
            if operands[0].type != source:
                raise UnfitError(f"gives {name}() a {operands[0].type}; it takes a {source}")
            return Node(name, target, 0, tuple(operands))
        if name == "not" and len(operands) == 1 and operands[0].type in _NUMBERS:
            return Node(name, operands[0].type, 0, tuple(operands))
        if name in _BITWISE and len(operands) == 2:
            return self._binary(name, *operands)
        raise UnfitError(f"has no function {name}() of {len(operands)} such operands")

    def _binary(self, operator: str, left: Node, right: Node) -> Node:
        logical = operator in {"&&", "||"}
        if left.type != right.type or (logical and left.type != BOOL):
            raise UnfitError(f"has {left.type} {operator} {right.type}; both must be of one type")
        if not logical and operator not in {"==", "!="} and left.type not in _NUMBERS:
            raise UnfitError(f"has {operator} between conditions; it is for numbers")
        kind = BOOL if logical or operator in _RELATIONS else left.type
        return Node(operator, kind, 0, (left, right))

    def _take(self, operator: str) -> bool:
        if self._tokens[self._at] != ("operator", operator):
            return False
        self._at += 1
        return True

    def _next(self) -> str:
        self._at += 1
        return self._tokens[self._at - 1][1]

    def _expect(self, operator: str) -> None:
        if not self._take(operator):
            raise UnfitError(f"lacks {operator} at {self._tokens[self._at][1] or 'its end'}")


def _literal(text: str) -> Node:
    unsigned = text[-1] in "uU"
    digits = text.rstrip("uU")
    if len(digits) > 24:
        raise UnfitError("has a number of more than 64 bits")
    value = int(digits, 16 if digits.lstrip("-")[:2] in {"0x", "0X"} else 10)
    if not (0 <= value < 1 << 64 if unsigned else -(1 << 63) <= value < 1 << 63):
        raise UnfitError("has a number of more than 64 bits")
    return Node("number", UINT if unsigned else INT, value, ())
