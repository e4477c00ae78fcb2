# SPDX-License-Identifier: Apache-2.0
"""`cel_expression`: expressions -> a condition on events."""

from __future__ import annotations

from typing import Any, Callable, Dict, List, Optional, Tuple

from tetrapy.errors import SettingsError
from tetrapy.events.event import Event
from tetrapy.events.executed import ExecutedFile
from tetrapy.events.json import body_of
from tetrapy.events.process import Process
from tetrapy.events.schema import EVENTS
from tetrapy.filters.binaries import WRITTEN, Belief
from tetrapy.filters.excess import excess
from tetrapy.filters.json_objects import Place
from tetrapy.filters.regex.budget import Budget, OverBudgetError
from tetrapy.filters.texts import brief
from tetrapy.json_codec import json_text

# Processes choose what is remembered, so it must have bounds: a few megabytes.
_REMEMBERED = 4096
_MAX_LENGTH = 256  # characters of a value that is remembered as it is
_ELEMENT_STEPS = 2_000  # to make a value of an element of a list


def any_holds(
    expressions: List[str], place: Place, belief: Belief = WRITTEN
) -> Callable[[Event], bool]:
    """Whether one of the expressions holds for an event that it mentions.

    One that cannot be evaluated ends the search, and does not hold. Where one would cost too much
    the answer is whether the filter allows. Raises SettingsError for what is no condition on
    events.
    """
    any_one = _any_one(expressions, place, belief.allows)
    return lambda event: any_one(event.name, lambda one, budget: one.holds(event, budget, belief))


def any_holds_of_body(
    expressions: List[str], place: Place
) -> Callable[[str, Dict[str, Any]], bool]:
    """As `any_holds`, of an event's name and the JSON form of its message."""
    any_one = _any_one(expressions, place, in_doubt=False)
    return lambda name, body: any_one(
        name, lambda one, budget: one.holds_of_body(name, body, budget)
    )


_Ask = Callable[["_Expression", Budget], Optional[bool]]


def _any_one(expressions: List[str], place: Place, in_doubt: bool) -> Callable[[str, _Ask], bool]:
    """Whether one of those that mention the event of a name holds, by what `ask` says."""
    compiled = [_Expression(expression, place) for expression in expressions]

    def test(name: str, ask: _Ask) -> bool:
        budget: Optional[Budget] = None
        for one in compiled:
            if name in one.events:
                if budget is None:
                    budget = one.new_budget()
                try:
                    holds = ask(one, budget)
                except OverBudgetError:
                    excess.note(place.setting, one.text)
                    return in_doubt
                if holds or holds is None:
                    return bool(holds)
        return False

    return test


class _Expression:
    def __init__(self, expression: str, place: Place) -> None:
        try:
            from tetrapy.filters.cel import library
            from tetrapy.filters.cel.checker import check
            from tetrapy.filters.cel.values import Message
        except ImportError as err:
            raise place.error(f'"cel_expression" needs cel-python: {err}') from None
        try:
            self._tree = library.parse(expression)
            checked = check(self._tree)
        except SettingsError as err:
            raise place.error(f'"cel_expression": {expression}: {err}') from None
        except Exception as err:
            what = f"it is not understood ({type(err).__name__}: {err})"
            raise place.error(f'"cel_expression": {expression}: {what}') from err
        self.text = expression
        self.events = checked.events
        self._paths = {
            name: [path[1:] for path in sorted(checked.paths) if path[0] == name]
            for name in checked.events
        }
        self._used = {name: _tree_of(paths) for name, paths in self._paths.items()}
        self._evaluate = library.evaluate
        self._steps = library.STEPS
        self._message = Message
        # A variable whose event did not happen is a message without fields.
        self._variables: Dict[str, Any] = {
            name: Message(EVENTS[name], {}) for name in checked.events
        }
        self._known: Dict[Tuple[Any, ...], Optional[bool]] = {}

    def new_budget(self) -> Budget:
        """For all expressions that are asked about one event."""
        return Budget(self._steps)

    def holds(self, event: Event, budget: Budget, belief: Belief = WRITTEN) -> Optional[bool]:
        """Whether it holds for an event that it mentions; None if it cannot be evaluated.

        Where a binary may not be what it says, it is asked about the file too, see `Belief`.
        Raises OverBudgetError.
        """
        body = _used_of(body_of(event), self._used[event.name])
        doubted = [] if belief.written else _doubted(event, body)
        if not doubted:
            return self._holds_for(event.name, body, budget)
        if not all(belief.knows(file) for _, file in doubted):
            return belief.allows
        answers = [self._holds_for(event.name, body, budget)]
        for shown, file in doubted:
            shown["binary"] = file.path
        answers.append(self._holds_for(event.name, body, budget))
        if None in answers:
            return None
        return any(answers) if belief.allows else all(answers)

    def holds_of_body(self, name: str, body: Any, budget: Budget) -> Optional[bool]:
        """Whether it holds for an event of which only the message is there, as `holds`."""
        return self._holds_for(name, _used_of(body, self._used[name]), budget)

    def _holds_for(self, name: str, body: Any, budget: Budget) -> Optional[bool]:
        """The result depends on nothing but the fields that are read: it is remembered by them."""
        budget.spend(_elements(body) * _ELEMENT_STEPS)
        key = (name, *(_value_at(body, path) for path in self._paths[name]))
        if key in self._known:
            return self._known[key]
        result: Optional[bool]
        try:
            message = self._message(EVENTS[name], body)
            result = self._evaluate(self._tree, {**self._variables, name: message}, budget)
        except OverBudgetError:
            raise
        except Exception:  # noqa: BLE001 - of any kind, see `library`; the next event may do
            result = None
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[key] = result
        return result


def _doubted(event: Event, body: Dict[str, Any]) -> List[Tuple[Dict[str, Any], ExecutedFile]]:
    """The processes in a body whose binary is asked for, and may not be what it says."""
    found: List[Tuple[Any, Optional[Process]]] = [
        (body.get("process"), event.process),
        (body.get("parent"), event.parent),
        *zip(body.get("ancestors", ()), event.ancestors),
    ]
    return [
        (shown, process.executed)
        for shown, process in found
        if shown and "binary" in shown and process is not None and process.executed is not None
    ]


def _tree_of(paths: List[Tuple[str, ...]]) -> Dict[str, Any]:
    """Field -> the same of the fields in it that are read; an empty one stands for all of it."""
    tree: Dict[str, Any] = {}
    for path in sorted(paths, key=len, reverse=True):
        node = tree
        for name in path[:-1]:
            node = node.setdefault(name, {})
        if path:
            node[path[-1]] = {}
    return {} if () in paths else tree


def _used_of(body: Any, tree: Dict[str, Any]) -> Any:
    """The fields of a body that are read: the others need not be made values of."""
    if not tree or not isinstance(body, dict):
        return body
    return {name: _used_of(body[name], inner) for name, inner in tree.items() if name in body}


def _elements(body: Any) -> int:
    """How many elements its lists have."""
    if isinstance(body, dict):
        return sum(map(_elements, body.values()))
    return len(body) + sum(map(_elements, body[:1])) if isinstance(body, list) else 0


def _value_at(body: Any, path: Tuple[str, ...]) -> Any:
    """The value of a field as something that can be compared; None if it is not set."""
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    text = json_text(body) if isinstance(body, (dict, list)) else body
    return brief(text) if isinstance(text, str) and len(text) > _MAX_LENGTH else text
