"""`cel_expression`: expressions -> a condition on events."""

from __future__ import annotations

import json
from typing import Any, Callable, Dict, List, Optional, Tuple

from tetrapy.errors import SettingsError
from tetrapy.events.json import Event, body_of
from tetrapy.pipeline.json_objects import Place
from tetrapy.pipeline.messages import EVENTS

# Processes choose what is remembered, so it must have bounds: a few megabytes.
_REMEMBERED = 4096
_LONGEST = 1024


def any_holds(expressions: List[str], place: Place) -> Callable[[Event], bool]:
    """Whether one of the expressions holds for an event that it mentions.

    One that cannot be evaluated ends the search, and does not hold. Raises SettingsError for what
    is no condition on events.
    """
    compiled = [_Expression(expression, place) for expression in expressions]

    def test(event: Event) -> bool:
        for one in compiled:
            if event.name in one.events:
                holds = one.holds(event)
                if holds or holds is None:
                    return bool(holds)
        return False

    return test


class _Expression:
    def __init__(self, expression: str, place: Place) -> None:
        try:
            from tetrapy.pipeline.cel import library
            from tetrapy.pipeline.cel.checker import check
            from tetrapy.pipeline.cel.values import Message
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
        self.events = checked.events
        self._paths = {
            name: [path[1:] for path in sorted(checked.paths) if path[0] == name]
            for name in checked.events
        }
        self._evaluate = library.evaluate
        self._message = Message
        # A variable whose event did not happen is a message without fields.
        self._variables: Dict[str, Any] = {
            name: Message(EVENTS.get(name.upper(), ""), {}) for name in checked.events
        }
        self._known: Dict[Tuple[Any, ...], Optional[bool]] = {}

    def holds(self, event: Event) -> Optional[bool]:
        """Whether it holds for an event that it mentions; None if it cannot be evaluated.

        The result depends on nothing but the fields that are read, so it is remembered by them.
        """
        body = body_of(event)
        key = (event.name, *(_value_at(body, path) for path in self._paths[event.name]))
        if key in self._known:
            return self._known[key]
        result: Optional[bool]
        try:
            message = self._message(EVENTS[event.type], body)
            result = self._evaluate(self._tree, {**self._variables, event.name: message})
        except Exception:  # noqa: BLE001 - of any kind, see `library`; the next event may do
            result = None
        if sum(len(value) for value in key if isinstance(value, str)) <= _LONGEST:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[key] = result
        return result


def _value_at(body: Any, path: Tuple[str, ...]) -> Any:
    """The value of a field as something that can be compared; None if it is not set."""
    for name in path:
        body = body.get(name) if isinstance(body, dict) else None
    return json.dumps(body) if isinstance(body, (dict, list)) else body
