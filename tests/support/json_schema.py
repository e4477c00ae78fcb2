# SPDX-License-Identifier: Apache-2.0
"""A check of values against a JSON Schema, of as much as docs/events.schema.json uses."""

from __future__ import annotations

import re
from typing import Any

_TYPES = {"object": dict, "array": list, "string": str, "integer": int, "boolean": bool}
_KNOWN = frozenset(
    "$schema $defs $ref title description type properties required oneOf items enum pattern"
    " minimum maximum additionalProperties contentEncoding".split()
)


def mistakes(value: Any, schema: dict[str, Any], strict: bool = False) -> list[str]:
    """What the schema has against a value; `strict` refuses fields that it does not name."""
    return list(_mistakes(value, schema, schema, "line", strict))


def _mistakes(value: Any, rule: dict[str, Any], root: dict[str, Any], at: str, strict: bool) -> Any:
    assert set(rule) <= _KNOWN, f"{at}: this check does not know {sorted(set(rule) - _KNOWN)}"
    if "$ref" in rule:
        target = root["$defs"][rule["$ref"].removeprefix("#/$defs/")]
        yield from _mistakes(value, target, root, at, strict)
    kind = rule.get("type")
    is_bool = isinstance(value, bool)
    if kind and (not isinstance(value, _TYPES[kind]) or is_bool != (kind == "boolean")):
        yield f"{at}: {value!r} is no {kind}"
        return
    if "enum" in rule and value not in rule["enum"]:
        yield f"{at}: {value!r} is none of the enum"
    if "pattern" in rule and not re.search(rule["pattern"], value):
        yield f"{at}: {value!r} does not match {rule['pattern']}"
    if kind == "integer" and not rule["minimum"] <= value <= rule["maximum"]:
        yield f"{at}: {value} is out of range"
    yield from (f"{at}: no {name}" for name in rule.get("required", ()) if name not in value)
    if "oneOf" in rule:
        fitting = [one for one in rule["oneOf"] if not list(_mistakes(value, one, root, at, False))]
        if len(fitting) != 1:
            yield f"{at}: {len(fitting)} of the forms fit"
    for name, content in value.items() if kind == "object" else ():
        if name in rule.get("properties", {}):
            inner = rule["properties"][name]
        elif "additionalProperties" in rule:
            inner = rule["additionalProperties"]
        elif strict:
            yield f"{at}: no field {name} in the schema"
            continue
        else:
            continue
        yield from _mistakes(content, inner, root, f"{at}.{name}", strict)
    for number, one in enumerate(value if kind == "array" else ()):
        yield from _mistakes(one, rule.get("items", {}), root, f"{at}[{number}]", strict)
