# SPDX-License-Identifier: Apache-2.0
"""Allow and deny lists: out of text or objects, into one predicate."""

from __future__ import annotations

from typing import Any, Dict, FrozenSet, Iterable, List, Optional

from tetrapy.events.schema import EVENTS, FIELDS
from tetrapy.filters import conditions
from tetrapy.filters.binaries import Belief
from tetrapy.filters.filter import Condition, Filter, FilterList, TextTest
from tetrapy.filters.json_objects import Place, objects_of
from tetrapy.filters.label_selectors import any_selects
from tetrapy.filters.message import parse
from tetrapy.filters.texts import any_matches, remembered
from tetrapy.named import NamedTuple

WITH_ANCESTORS = [
    name.upper() for name, message in EVENTS.items() if "ancestors" in FIELDS[message]
]
"""The types of events that can show ancestors."""

# Which fields only user space can decide, cheap ones first; pid_set wants to see every event.
_LATE = (
    "pid_set in_init_tree namespace namespace_regex pod_regex container_name_regex labels"
    " capabilities ancestor_binary_regex arguments_regex parent_arguments_regex cel_expression"
).split()


_POD = ("namespace_regex", "pod_regex", "container_name_regex")


class Abilities(NamedTuple):
    """What the other settings let filters ask."""

    credentials: bool = False  # enable-process-cred
    ancestors: FrozenSet[str] = frozenset()  # enable-ancestors: types of events that show them
    pid_sets: bool = False  # enable-pid-set-filter


def parse_list(
    text: str, setting: str, abilities: Abilities, in_doubt: bool = False
) -> Optional[FilterList]:
    """The list in the value of a setting; None for an empty one. Raises SettingsError.

    `in_doubt`: whether a pattern matches where telling would cost too much. It does for an allow
    list and does not for a deny list, so that no event is lost by it.
    """
    found = [
        _filter(value, place, abilities, in_doubt) for place, value in objects_of(text, setting)
    ]
    return _list(found)


def list_of(
    objects: Iterable[Dict[str, Any]], source: str, abilities: Abilities, in_doubt: bool = False
) -> Optional[FilterList]:
    """The list that a subscriber sent as messages; None for an empty one. Raises SettingsError."""
    return _list([_filter(value, Place(source, 0), abilities, in_doubt) for value in objects])


def predicate(allow: Optional[FilterList], deny: Optional[FilterList]) -> Optional[Condition]:
    """Whether an event passes; None when all do."""
    if deny is None:
        return None if allow is None else allow.matches
    denied = deny.matches
    if allow is None:
        return lambda event: not denied(event)
    allowed = allow.matches
    return lambda event: not denied(event) and allowed(event)


def _list(filters: List[Filter]) -> Optional[FilterList]:
    if not filters:
        return None
    return FilterList(filters, conditions.any_of([one.matches for one in filters]))


def _filter(value: Dict[str, Any], place: Place, abilities: Abilities, in_doubt: bool) -> Filter:
    fields = parse(value, place)
    _check(fields, place, abilities)

    def test(name: str) -> Optional[TextTest]:
        if name not in fields:
            return None
        return remembered(any_matches(fields[name], name, place, in_doubt))

    belief = Belief(in_doubt, fields.get("written_path", False), "container_id" in fields)
    found: List[Condition] = []
    binary, parent_binary = test("binary_regex"), test("parent_binary_regex")
    container = test("container_id")
    types = fields.get("event_set")
    pids = frozenset(fields["pid"]) if "pid" in fields else None
    never = fields.get("health_check", False)
    if never:
        found.append(conditions.never)
    if types is not None:
        found.append(conditions.type_in(types))
    if pids is not None:
        found.append(conditions.pid_in(pids))
    if binary is not None:
        found.append(conditions.binary(belief.test(binary)))
    if parent_binary is not None:
        found.append(conditions.parent_binary(belief.test(parent_binary)))
    if container is not None:
        found.append(conditions.container(container))
    if "policy_names" in fields:
        found.append(conditions.policy_in(frozenset(fields["policy_names"])))
    others = tuple(name for name in _LATE if name in fields)
    late = [_late(name, fields[name], place, belief) for name in others]
    if "pid_set" in fields:
        found.insert(0, late.pop(0))
    return Filter(
        matches=conditions.all_of(found + late),
        types=types,
        binary=binary,
        parent_binary=parent_binary,
        container=container,
        pids=pids,
        never=never or "policy_names" in fields,
        others=others,
    )


def _late(name: str, content: Any, place: Place, belief: Belief) -> Condition:
    """A condition that depends on more than the kernel knows."""
    in_doubt = belief.allows
    if name == "in_init_tree":
        return conditions.in_init_tree(content)
    if name == "capabilities":
        return conditions.capabilities(content)
    if name == "pid_set":
        from tetrapy.filters.pid_set import descends_from

        return descends_from(frozenset(content))
    if name == "cel_expression":
        from tetrapy.filters.cel.expression import any_holds

        return any_holds(content, place, belief)
    if name == "namespace":
        return conditions.namespace(frozenset(content))
    if name == "labels":
        return conditions.labels(any_selects(content, place))
    test = remembered(any_matches(content, name, place, in_doubt))
    if name in _POD:
        return conditions.of_pod(name, test)
    if name == "ancestor_binary_regex":
        return conditions.ancestor_binary(belief.test(test))
    if name == "arguments_regex":
        return conditions.arguments(test)
    return conditions.parent_arguments(test)


def _check(fields: Dict[str, Any], place: Place, abilities: Abilities) -> None:
    if "capabilities" in fields and not abilities.credentials:
        raise place.error('"capabilities" needs enable-process-cred')
    if "pid_set" in fields and not abilities.pid_sets:
        raise place.error(
            '"pid_set" follows processes as well as it can, for tests rather than production;'
            " enable-pid-set-filter allows it"
        )
    if "ancestor_binary_regex" in fields:
        missing = [
            kind
            for kind in sorted(fields.get("event_set", WITH_ANCESTORS))
            if kind not in abilities.ancestors
        ]
        if missing:
            raise place.error(
                f'"ancestor_binary_regex" needs enable-ancestors for {", ".join(missing)};'
                ' "event_set" can name fewer types of events'
            )
