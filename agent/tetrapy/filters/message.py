# SPDX-License-Identifier: Apache-2.0
"""The message `Filter`: its fields and their types."""

from __future__ import annotations

from typing import Any, Callable, Dict, List

from tetrapy.events.schema import ENUMS, MESSAGES
from tetrapy.filters.enums import enum_values, event_types
from tetrapy.filters.json_objects import Place, fields_of, list_of_texts, shown

_CAPABILITIES = ENUMS["CapabilitiesType"]
_SETS = tuple(row.name for row in MESSAGES["Capabilities"])
_RULES = ("any", "all", "exactly", "none")
_MAX_PID = 0xFFFFFFFF
_DIGITS = 10  # of the largest

Parse = Callable[[Any, str, Place], Any]


def _number(content: Any, name: str, place: Place) -> int:
    """A uint32; protojson takes it as a string and as 5.0 too."""
    number = content
    text = isinstance(content, str) and content.isascii() and content.isdigit()
    if (text and len(content) <= _DIGITS) or (isinstance(content, float) and content.is_integer()):
        number = int(content)
    if not isinstance(number, int) or isinstance(number, bool) or not 0 <= number <= _MAX_PID:
        raise place.error(f'"{name}": {shown(content)} is no process id')
    return number


def _numbers(content: Any, name: str, place: Place) -> List[int]:
    if not isinstance(content, list):
        raise place.error(f'"{name}" is a list of process ids, not {shown(content)}')
    return [_number(one, name, place) for one in content]


def boolean(content: Any, name: str, place: Place) -> bool:
    """true or false, checked."""
    if not isinstance(content, bool):
        raise place.error(f'"{name}" is true or false, not {shown(content)}')
    return content


def _object(content: Any, name: str, place: Place) -> Dict[str, Any]:
    if not isinstance(content, dict):
        raise place.error(f'"{name}" is an object, not {shown(content)}')
    return content


def _capabilities(content: Any, name: str, place: Place) -> Dict[str, Any]:
    """Set -> (rule, bits of the capabilities)."""
    out = {}
    for which, rules in fields_of(_object(content, name, place), _SETS, place).items():
        where = f"{name}.{which}"
        given = {
            rule: enum_values(values, _CAPABILITIES, f"{where}.{rule}", "capability", place)
            for rule, values in fields_of(_object(rules, where, place), _RULES, place).items()
        }
        given = {rule: values for rule, values in given.items() if values}
        if len(given) != 1:
            raise place.error(
                f'"{where}" has exactly one of any, all, exactly and none,'
                f" not {', '.join(given) or 'nothing'}"
            )
        ((rule, values),) = given.items()
        out[which] = (rule, sum(1 << _CAPABILITIES[value] for value in set(values)))
    return out


def _types(content: Any, name: str, place: Place) -> Any:
    return event_types(content, place)


FIELDS: Dict[str, Parse] = {
    "binary_regex": list_of_texts,
    "namespace": list_of_texts,
    "health_check": boolean,
    "pid": _numbers,
    "pid_set": _numbers,
    "event_set": _types,
    "pod_regex": list_of_texts,
    "arguments_regex": list_of_texts,
    "labels": list_of_texts,
    "policy_names": list_of_texts,
    "capabilities": _capabilities,
    "parent_binary_regex": list_of_texts,
    "cel_expression": list_of_texts,
    "parent_arguments_regex": list_of_texts,
    "container_id": list_of_texts,
    "in_init_tree": boolean,
    "ancestor_binary_regex": list_of_texts,
    "container_name_regex": list_of_texts,
    "namespace_regex": list_of_texts,
    "written_path": boolean,  # tetrapy's own: binaries.py
}


def parse(value: Dict[str, Any], place: Place) -> Dict[str, Any]:
    """The object's fields by name, checked; empty lists are as good as absent.

    Raises SettingsError.
    """
    parsed = {
        name: FIELDS[name](content, name, place)
        for name, content in fields_of(value, FIELDS, place).items()
    }
    return {
        name: content
        for name, content in parsed.items()
        if isinstance(content, bool) or content or name == "capabilities"
    }
