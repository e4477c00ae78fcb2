# SPDX-License-Identifier: Apache-2.0
"""Enums in the JSON of filters: names, or numbers as protojson takes them too."""

from __future__ import annotations

from typing import Any, FrozenSet, List, Mapping

from tetrapy.events.schema import EVENT_TYPES
from tetrapy.filters.json_objects import Place, shown


def enum_values(
    content: Any, known: Mapping[str, int], name: str, what: str, place: Place
) -> List[str]:
    """A list of an enum's names, checked; `what` says what one of them is.

    Raises SettingsError.
    """
    if not isinstance(content, list):
        raise place.error(f'"{name}" is a list, not {shown(content)}')
    names = {number: one for one, number in known.items()}
    out = []
    for one in content:
        if isinstance(one, str) and one in known:
            out.append(one)
        elif isinstance(one, int) and not isinstance(one, bool) and one in names:
            out.append(names[one])
        else:
            raise place.error(f'"{name}": {shown(one)} is no {what}, such as {_some(known)}')
    return out


def event_types(content: Any, place: Place) -> FrozenSet[str]:
    """The field `event_set`, checked."""
    return frozenset(enum_values(content, EVENT_TYPES, "event_set", "event type", place))


def _some(known: Mapping[str, int]) -> str:
    some = [one for one in known if one != "UNDEF"]
    return ", ".join(some if len(some) < 15 else some[:3])
