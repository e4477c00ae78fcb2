# SPDX-License-Identifier: Apache-2.0
"""cel-python, set up for events. Imported only when there is an expression."""

from __future__ import annotations

import pkgutil
import re
from functools import lru_cache
from typing import Any, Callable, Dict, Optional

from celpy.celparser import CELParseError, CELParser
from celpy.celtypes import BoolType, TimestampType
from celpy.evaluation import Activation, CELEvalError, Evaluator, base_functions
from lark import Lark

from tetrapy.errors import SettingsError
from tetrapy.filters.cel.addresses import FUNCTIONS as ADDRESS_FUNCTIONS
from tetrapy.filters.cel.values import Message
from tetrapy.filters.regex.budget import Budget, OverBudgetError
from tetrapy.filters.regex.regex import Regex

STEPS = 4_000_000
"""Of all expressions that are asked about one event: some 20 ms."""

_NODE_STEPS = 2_000  # to evaluate a node of the tree once
_COPY_SHARE = 8  # characters that are copied in one step
_MAX_NUMBER = 64  # characters of a text that is to be a number or a time
_MAX_PATTERN = 256  # characters of a pattern that is put together of texts of an event


def parse(expression: str) -> Any:
    """The tree of an expression; raises SettingsError."""
    if CELParser.CEL_PARSER is None:
        # As cel-python does, but its grammar may be inside the packed file.
        grammar = pkgutil.get_data("celpy", "cel.lark")
        CELParser.CEL_PARSER = Lark(
            (grammar or b"").decode(),
            parser="lalr",
            start="expr",
            g_regex_flags=re.MULTILINE,
            lexer_callbacks={"IDENT": CELParser.ambiguous_literals},
            propagate_positions=True,
            maybe_placeholders=False,
        )
    try:
        return CELParser().parse(expression)
    except CELParseError as err:
        where = "at the end" if err.column is None or err.column < 0 else f"at column {err.column}"
        raise SettingsError(f"it does not parse {where}") from None
    except RecursionError:
        raise SettingsError("it is nested too deep") from None


def evaluate(tree: Any, variables: Dict[str, Any], budget: Optional[Budget] = None) -> bool:
    """Whether the expression holds.

    For values that it cannot be evaluated for it raises any Exception: cel-python's own, and
    those of what it calls, such as time zones of the host. Raises OverBudgetError where it would
    cost more than the budget has.
    """
    budget = Budget(STEPS) if budget is None else budget
    functions = {**_functions(), **_costly(budget)}
    value = _Evaluator(tree, Activation(vars=variables), functions, budget).evaluate()
    return isinstance(value, BoolType) and bool(value)


def check_zone(name: str) -> None:
    """Raise SettingsError for a time zone that this host does not know."""
    try:
        TimestampType.tz_parse(name)
    except Exception as err:
        raise SettingsError(
            f'the time zone "{name}" is not known on this host: write an offset such as "+02:00",'
            " or install the package tzdata"
        ) from err


class _Evaluator(Evaluator):
    """cel-python's evaluator with the meaning of has() for messages, and a budget.

    An expression is an operator's, so what is outside of macros is not counted. How often a macro
    turns is up to who made the list.
    """

    def __init__(self, ast: Any, activation: Any, functions: Any, budget: Budget) -> None:
        super().__init__(ast, activation, functions)
        self._budget = budget
        self._turn = 0  # steps of one turn of the macro whose body this is

    def set_activation(self, values: Any) -> Evaluator:
        """Of one turn of a macro."""
        self._budget.spend(self._turn)
        return super().set_activation(values)

    def macro_has_eval(self, exprlist: Any) -> BoolType:
        """Whether a field is set, though an unset one has a default."""
        node = exprlist.children[0]
        while len(node.children) == 1:
            node = node.children[0]
        if node.data == "member_dot":
            message = self.visit(node.children[0])
            if isinstance(message, Message):
                return BoolType(str(node.children[1]) in message)
        return super().macro_has_eval(exprlist)

    def sub_evaluator(self, ast: Any) -> Evaluator:
        """For the body of a macro."""
        inner = _Evaluator(ast, self.activation, self.functions, self._budget)
        inner._turn = sum(_NODE_STEPS for _ in ast.iter_subtrees())
        return inner


_patterns: Dict[str, Regex] = {}


def compile_pattern(pattern: str) -> None:
    """Get a pattern ready that stands in an expression; raises SettingsError."""
    if pattern not in _patterns:
        _patterns[pattern] = Regex(pattern)


@lru_cache(maxsize=64)
def _made_pattern(pattern: str) -> Regex:
    return Regex(pattern)


def _pattern(pattern: str) -> Regex:
    """One that is put together of texts of an event must be cheap to compile."""
    known = _patterns.get(pattern)
    if known is not None:
        return known
    if len(pattern) > _MAX_PATTERN or not pattern.isascii() or "{" in pattern:
        raise OverBudgetError
    return _made_pattern(pattern)


def _costly(budget: Budget) -> Dict[str, Any]:
    """The functions whose cost grows with texts by more than a look at them."""
    add = base_functions["_+_"]

    def sum_of(left: Any, right: Any) -> Any:
        out = add(left, right)
        if isinstance(out, (str, bytes, list)):
            budget.spend(len(out) // _COPY_SHARE)
        return out

    def matches(text: Any, pattern: Any) -> BoolType:
        return BoolType(_pattern(str(pattern)).search(str(text), budget))

    return {"_+_": sum_of, "matches": matches}


def _of_short_texts(convert: Callable[..., Any]) -> Callable[..., Any]:
    """A conversion that refuses a text too long for a number: some take the square of it."""

    def converted(value: Any) -> Any:
        if isinstance(value, (str, bytes)) and len(value) > _MAX_NUMBER:
            raise ValueError("too long")
        return convert(value)

    return converted


def _with_null(operator: Callable[[Any, Any], Any], equal: bool) -> Callable[[Any, Any], Any]:
    """Unset wrappers are null, which equals null only; cel-python refuses to compare them."""

    def compare(left: Any, right: Any) -> Any:
        for one in (left, right):
            if isinstance(one, CELEvalError):
                return one  # two failures are not equal
        if left is None or right is None:
            return BoolType((left is right) == equal)
        return operator(left, right)

    return compare


@lru_cache(maxsize=1)
def _functions() -> Dict[str, Any]:
    operators: Any = base_functions
    conversions = ("int", "uint", "double", "timestamp", "duration")
    return {
        **operators,
        **ADDRESS_FUNCTIONS,
        **{name: _of_short_texts(operators[name]) for name in conversions},
        "_==_": _with_null(operators["_==_"], equal=True),
        "_!=_": _with_null(operators["_!=_"], equal=False),
    }
