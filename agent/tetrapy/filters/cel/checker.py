# SPDX-License-Identifier: Apache-2.0
"""Types in an expression, found before it is evaluated.

A type is the name of a message, a scalar type, `[type]` for a list, or "" for what is not known.
"""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, List, Optional, Set, Tuple

from celpy.evaluation import celstr

from tetrapy.errors import SettingsError
from tetrapy.events.schema import ENUMS, EVENTS, FIELDS, SCALARS
from tetrapy.events.schema.field import Field
from tetrapy.filters.cel.functions import FUNCTIONS, LITERALS, MACROS, METHODS, TIME
from tetrapy.filters.cel.library import check_zone, compile_pattern
from tetrapy.named import NamedTuple

Path = Tuple[str, ...]

_ALIASES = {
    "UInt32Value": "uint",
    "int32": "int",
    "int64": "int",
    "uint32": "uint",
    "uint64": "uint",
    "Int32Value": "int",
    "BoolValue": "bool",
    "Timestamp": "timestamp",
}
_COMPARED = {"int", "uint", "double", "string", "bytes", "bool", "timestamp", "duration"}


class Checked(NamedTuple):
    """What an expression is about."""

    events: FrozenSet[str]  # names of events that it mentions
    paths: FrozenSet[Path]  # the fields that it reads: name of the event, then of the fields


def check(tree: Any) -> Checked:
    """Check that an expression is a condition on events.

    Raises SettingsError, which says what is wrong.
    """
    checker = _Checker()
    kind = checker.type_of(tree)
    if kind not in {"bool", ""}:
        raise SettingsError(f"it gives {kind or 'something else'}, not true or false")
    return Checked(frozenset(path[0] for path in checker.paths), frozenset(checker.paths))


class _Checker:
    def __init__(self) -> None:
        self.paths: Set[Path] = set()
        self._scope: Dict[str, str] = {}  # variables of macros

    def type_of(self, node: Any) -> str:
        """The type of a part of the expression."""
        while len(node.children) == 1 and node.data in _WRAPPERS:
            node = node.children[0]
        path = self._path(node)
        if path is not None:
            self.paths.add(path)
            return self._type_of_path(path)
        method = getattr(self, "_" + node.data, None)
        if method is None:
            raise SettingsError(f"{node.data} is not supported")
        return str(method(node.children))

    def _path(self, node: Any) -> Optional[Path]:
        """The fields that are selected, if it is a variable or a field of one."""
        names: List[str] = []
        while True:
            while len(node.children) == 1 and node.data in _WRAPPERS:
                node = node.children[0]
            if node.data != "member_dot":
                break
            names.append(str(node.children[1]))
            node = node.children[0]
        if node.data != "ident":
            return None
        name = str(node.children[0])
        return (name, *names[::-1]) if name in EVENTS and name not in self._scope else None

    def _type_of_path(self, path: Path) -> str:
        kind = EVENTS[path[0]]
        for name in path[1:]:
            kind = self._field(kind, name)
        return kind

    def _field(self, kind: str, name: str) -> str:
        if kind in {"", "map"}:
            return ""
        if kind not in FIELDS:
            raise SettingsError(f"a value of type {kind} has no field {name}")
        if name not in FIELDS[kind]:
            raise SettingsError(f"{kind} has no field {name}")
        return _type_of_field(FIELDS[kind][name])

    def _ident(self, children: Any) -> str:
        name = str(children[0])
        if name not in self._scope:
            raise SettingsError(f"{name} is not known; events are {', '.join(EVENTS)}")
        return self._scope[name]

    def _member_dot(self, children: Any) -> str:
        return self._field(self.type_of(children[0]), str(children[1]))

    def _member_index(self, children: Any) -> str:
        kind, index = self.type_of(children[0]), self.type_of(children[1])
        if kind.startswith("["):
            if index not in {"int", "uint", ""}:
                raise SettingsError(f"a list has no index of type {index}")
            return kind[1:-1]
        return "string" if kind == "map" else ""

    def _member_dot_arg(self, children: Any) -> str:
        name = str(children[1])
        arguments = children[2].children if len(children) > 2 else []
        if name in MACROS:
            return self._macro(name, children[0], arguments)
        if name not in METHODS:
            raise SettingsError(f"there is no method {name}()")
        kind = self.type_of(children[0])
        wanted, given = METHODS[name]
        if wanted and kind and kind != wanted and not (wanted == "list" and kind[0] == "["):
            raise SettingsError(f"{name}() is for a {wanted}, not for a {kind}")
        for argument in arguments:
            self.type_of(argument)
        if name == "matches" and len(arguments) == 1:
            self._pattern(arguments[0])
        if name in TIME and len(arguments) == 1:
            zone = _string(arguments[0])
            if zone is not None:
                check_zone(zone)
        return given

    def _macro(self, name: str, over: Any, arguments: Any) -> str:
        kind = self.type_of(over)
        if kind and not kind.startswith("[") and kind != "map":
            raise SettingsError(f"{name}() goes through a list, not a {kind}")
        if len(arguments) != 2:
            raise SettingsError(f"{name}() takes a variable and an expression")
        variable = arguments[0]
        while len(variable.children) == 1 and variable.data in _WRAPPERS:
            variable = variable.children[0]
        if variable.data != "ident":
            raise SettingsError(f"the first argument of {name}() is a variable's name")
        outer = dict(self._scope)
        self._scope[str(variable.children[0])] = kind[1:-1] if kind.startswith("[") else ""
        inner = self.type_of(arguments[1])
        self._scope = outer
        if name != "map" and inner not in {"bool", ""}:
            raise SettingsError(f"{name}() takes a condition, not a {inner}")
        return {"map": f"[{inner}]", "filter": kind}.get(name, "bool")

    def _ident_arg(self, children: Any) -> str:
        name = str(children[0])
        arguments = children[1].children if len(children) > 1 else []
        if name not in FUNCTIONS:
            raise SettingsError(f"there is no function {name}()")
        for argument in arguments:
            self.type_of(argument)
        if name == "matches" and len(arguments) == 2:
            self._pattern(arguments[1])
        return FUNCTIONS[name]

    def _pattern(self, node: Any) -> None:
        """A pattern that stands in the expression is checked at once."""
        pattern = _string(node)
        if pattern is not None:
            compile_pattern(pattern)

    def _both(self, children: Any, what: str) -> str:
        """The one type of two operands."""
        operator, right = children
        left_kind, right_kind = self.type_of(operator.children[0]), self.type_of(right)
        if {left_kind, right_kind} <= _COMPARED and left_kind != right_kind:
            raise SettingsError(
                f"it {what} a {left_kind} and a {right_kind};"
                " 1u is a uint, and uint(), int() and string() convert"
            )
        return left_kind or right_kind

    def _relation(self, children: Any) -> str:
        if children[0].data == "relation_in":
            self.type_of(children[0].children[0])
            self.type_of(children[1])
        else:
            self._both(children, "compares")
        return "bool"

    def _addition(self, children: Any) -> str:
        kinds = {self.type_of(children[0].children[0]), self.type_of(children[1])}
        if kinds & {"timestamp", "duration"}:
            return "timestamp" if kinds == {"timestamp", "duration"} else "duration"
        return self._both(children, "adds")

    def _multiplication(self, children: Any) -> str:
        return self._both(children, "multiplies")

    def _conditionalor(self, children: Any) -> str:
        for child in children:
            kind = self.type_of(child)
            if kind not in {"bool", ""}:
                raise SettingsError(f"|| and && are for conditions, not for a {kind}")
        return "bool"

    _conditionaland = _conditionalor

    def _expr(self, children: Any) -> str:
        self._conditionalor(children[:1])
        return self.type_of(children[1]) or self.type_of(children[2])

    def _unary(self, children: Any) -> str:
        kind = self.type_of(children[1])
        if children[0].data == "unary_not":
            if kind not in {"bool", ""}:
                raise SettingsError(f"! is for a condition, not for a {kind}")
            return "bool"
        return kind

    def _literal(self, children: Any) -> str:
        return LITERALS[children[0].type]

    def _list_lit(self, children: Any) -> str:
        kinds = {self.type_of(one) for child in children for one in child.children}
        return f"[{kinds.pop() if len(kinds) == 1 else ''}]"

    def _map_lit(self, children: Any) -> str:
        for child in children:
            for one in child.children:
                self.type_of(one)
        return ""


def _type_of_field(row: Field) -> str:
    kind = row.element
    if kind in ENUMS:
        kind = "int"
    elif kind in SCALARS:
        kind = _ALIASES.get(kind, kind)
    return f"[{kind}]" if row.is_repeated else kind


def _string(node: Any) -> Optional[str]:
    """The text of a string that stands in the expression; None for anything else."""
    while len(node.children) == 1 and hasattr(node.children[0], "children"):
        node = node.children[0]
    if node.data == "literal" and node.children[0].type == "STRING_LIT":
        return str(celstr(node.children[0]))
    return None


_WRAPPERS = frozenset(
    "expr conditionalor conditionaland relation addition multiplication unary member primary"
    " paren_expr".split()
)
