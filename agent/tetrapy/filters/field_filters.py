# SPDX-License-Identifier: Apache-2.0
"""Field filters: which fields of an event its line shows (Tetragon's message `FieldFilter`).

They concern the event's own message; node_name, time and the like are always shown.
"""

from __future__ import annotations

from typing import Any, Callable, Dict, FrozenSet, List, Optional

from tetrapy.events.schema import EVENT_TYPES, EVENTS, FIELDS
from tetrapy.events.schema.field import Field
from tetrapy.filters.enums import enum_values, event_types
from tetrapy.filters.json_objects import Place, fields_of, objects_of, shown, snake_case
from tetrapy.filters.message import boolean
from tetrapy.named import NamedTuple

Body = Dict[str, Any]
Change = Callable[[Body], Body]
Mask = Dict[str, Any]  # name -> mask of the field's own fields; an empty one stands for all of it

_FIELDS = ("event_set", "fields", "action", "invert_event_set")
_ACTIONS = {"INCLUDE": 0, "EXCLUDE": 1}


class _Filter(NamedTuple):
    types: FrozenSet[str]  # empty: all
    inverted: bool
    change: Optional[Change]  # None: it names no fields and changes nothing

    def applies_to(self, kind: str) -> bool:
        return not self.types or (kind in self.types) != self.inverted


class FieldFilters:
    """All field filters of a list, to be applied in their order."""

    def __init__(self, filters: List[_Filter]) -> None:
        self._filters = filters
        self._by_type: Dict[str, Optional[Change]] = {}

    def of_type(self, kind: str) -> Optional[Change]:
        """What becomes of the body of an event of this type; None when it stays as it is."""
        if kind not in self._by_type:
            changes = [
                one.change
                for one in self._filters
                if one.change is not None and one.applies_to(kind)
            ]
            self._by_type[kind] = _in_turn(changes) if changes else None
        return self._by_type[kind]


def parse_field_filters(text: str, setting: str) -> Optional[FieldFilters]:
    """The filters in the value of a setting; None when there are none. Raises SettingsError."""
    filters = [_filter(value, place) for place, value in objects_of(text, setting)]
    return FieldFilters(filters) if filters else None


def field_filters_of(objects: List[Dict[str, Any]], source: str) -> Optional[FieldFilters]:
    """The filters that a subscriber sent as messages; None when there are none."""
    filters = [_filter(value, Place(source, 0)) for value in objects]
    return FieldFilters(filters) if filters else None


def _filter(value: Dict[str, Any], place: Place) -> _Filter:
    fields = fields_of(value, _FIELDS, place)
    types = event_types(fields.get("event_set", []), place)
    inverted = boolean(fields.get("invert_event_set", False), "invert_event_set", place)
    actions = enum_values([fields.get("action", 0)], _ACTIONS, "action", "action", place)
    text = fields.get("fields", "")
    if not isinstance(text, str):
        raise place.error(f'"fields" is a string of paths with commas, not {shown(text)}')
    kinds = [kind for kind in EVENT_TYPES if not types or (kind in types) != inverted]
    mask: Mask = {}
    for path in text.split(",") if text.strip() else []:
        names = path.strip().split(".")
        node = mask
        for name in _checked(names, kinds, place):
            node = node.setdefault(name, {})
    change: Optional[Change] = None
    if mask:
        keep = _included if actions == ["INCLUDE"] else _remaining
        change = lambda body: keep(body, mask)  # noqa: E731 - it is kept as a value
    return _Filter(types, inverted, change)


def _checked(names: List[str], kinds: List[str], place: Place) -> List[str]:
    """The path's names as the .proto files spell them.

    Raises SettingsError unless events of one of the types `kinds` have such a field.
    """
    for name, message in EVENTS.items():
        out = _path_in(FIELDS[message], names) if name.upper() in kinds else None
        if out is not None:
            return out
    raise place.error(f'"fields": there is no field {".".join(names)}')


def _path_in(table: Dict[str, Field], names: List[str]) -> Optional[List[str]]:
    """The path, if it is one in a message with these fields."""
    name = names[0] if names[0] in table else snake_case(names[0])
    if name not in table:
        return None
    if len(names) == 1:
        return [name]
    rest = _path_in(FIELDS.get(table[name].element, {}), names[1:])
    return None if rest is None else [name, *rest]


def _in_turn(changes: List[Change]) -> Change:
    if len(changes) == 1:
        return changes[0]

    def change(body: Body) -> Body:
        for one in changes:
            body = one(body)
        return body

    return change


def _included(value: Any, mask: Mask) -> Any:
    """What the mask names."""
    if not mask or not isinstance(value, (dict, list)):
        return value
    if isinstance(value, list):
        return [_included(one, mask) for one in value]
    return {name: _included(value[name], mask[name]) for name in value if name in mask}


def _remaining(value: Any, mask: Mask) -> Any:
    """What the mask does not name."""
    if isinstance(value, list):
        return [_remaining(one, mask) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        name: _remaining(content, mask[name]) if name in mask else content
        for name, content in value.items()
        if mask.get(name) != {}
    }
