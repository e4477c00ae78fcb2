"""cel-python, set up for events. Imported only when there is an expression."""

from __future__ import annotations

import pkgutil
import re
from functools import lru_cache
from typing import Any, Callable, Dict

from celpy.celparser import CELParseError, CELParser
from celpy.celtypes import BoolType, TimestampType
from celpy.evaluation import Activation, Evaluator, base_functions
from lark import Lark

from tetrapy.errors import SettingsError
from tetrapy.pipeline.cel.addresses import FUNCTIONS as ADDRESS_FUNCTIONS
from tetrapy.pipeline.cel.values import Message
from tetrapy.pipeline.regex.regex import Regex


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


def evaluate(tree: Any, variables: Dict[str, Any]) -> bool:
    """Whether the expression holds.

    For values that it cannot be evaluated for it raises any Exception: cel-python's own, and
    those of what it calls, such as time zones of the host.
    """
    value = _Evaluator(tree, Activation(vars=variables), _functions()).evaluate()
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
    """cel-python's evaluator with the meaning of has() for messages."""

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
        return _Evaluator(ast, self.activation, self.functions)


@lru_cache(maxsize=64)
def _regex(pattern: str) -> Regex:
    return Regex(pattern)


def _with_null(operator: Callable[[Any, Any], Any], equal: bool) -> Callable[[Any, Any], Any]:
    """Unset wrappers are null, which equals null only; cel-python refuses to compare them."""

    def compare(left: Any, right: Any) -> Any:
        if left is None or right is None:
            return BoolType((left is right) == equal)
        return operator(left, right)

    return compare


@lru_cache(maxsize=1)
def _functions() -> Dict[str, Any]:
    operators: Any = base_functions
    return {
        **operators,
        **ADDRESS_FUNCTIONS,
        "_==_": _with_null(operators["_==_"], equal=True),
        "_!=_": _with_null(operators["_!=_"], equal=False),
        "matches": lambda text, pattern: BoolType(_regex(str(pattern)).search(str(text))),
    }
