# SPDX-License-Identifier: Apache-2.0
"""docs/events.schema.json: a JSON Schema (draft 2020-12) of a line.

It says nothing against fields that it does not know, so that a line of a later release is valid.
"""

from __future__ import annotations

import json
from typing import Any

from tetrapy.events.schema import COMMON_ROWS, ENUMS, EVENT_ROWS, MADE, MESSAGES
from tetrapy.events.schema.field import ALWAYS, Field

_UINT32: dict[str, Any] = {"type": "integer", "minimum": 0, "maximum": 2**32 - 1}
_INT32: dict[str, Any] = {"type": "integer", "minimum": -(2**31), "maximum": 2**31 - 1}

_SCALARS: dict[str, dict[str, Any]] = {
    "string": {"type": "string"},
    "bytes": {"type": "string", "contentEncoding": "base64"},
    "bool": {"type": "boolean"},
    "BoolValue": {"type": "boolean"},
    "uint32": _UINT32,
    "UInt32Value": _UINT32,
    "int32": _INT32,
    "Int32Value": _INT32,
    # protojson writes 64-bit numbers as texts.
    "uint64": {"type": "string", "pattern": "^[0-9]{1,20}$"},
    "int64": {"type": "string", "pattern": "^-?[0-9]{1,19}$"},
    "Timestamp": {
        "type": "string",
        "pattern": r"^[0-9]{4}(-[0-9]{2}){2}T[0-9]{2}(:[0-9]{2}){2}(\.([0-9]{3}){1,3})?Z$",
    },
    "map": {"type": "object", "additionalProperties": {"type": "string"}},
}


def document() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2) + "\n"


def schema() -> dict[str, Any]:
    """The schema of a line."""
    line = _object([row for row in EVENT_ROWS if row.is_filled] + list(COMMON_ROWS))
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A line of tetrapy's export",
        "description": "Written by python3 -m tools.event_docs from the schema of events.",
        **line,
        "oneOf": [{"required": [name]} for name in MADE],
        "$defs": {name: _message(name) for name in _reached()},
    }


def _reached() -> list[str]:
    """The messages that a line may have, and fields that come later."""
    found: dict[str, None] = {}

    def visit(rows: list[Field]) -> None:
        for row in rows:
            if row.element in MESSAGES and row.element not in found:
                found[row.element] = None
                visit(list(MESSAGES[row.element]))

    visit([row for row in EVENT_ROWS if row.is_filled] + list(COMMON_ROWS))
    return sorted(found)


def _message(name: str) -> dict[str, Any]:
    return _object(list(MESSAGES[name]))


def _object(rows: list[Field]) -> dict[str, Any]:
    """Fields that a field filter can leave out are not required."""
    out: dict[str, Any] = {
        "type": "object",
        "properties": {row.name: _field(row) for row in rows},
    }
    required = [row.name for row in rows if row.presence == ALWAYS and row in COMMON_ROWS]
    if required:
        out["required"] = required
    return out


def _field(row: Field) -> dict[str, Any]:
    kind: dict[str, Any]
    if row.element in ENUMS:
        kind = {"enum": list(ENUMS[row.element])}
    elif row.element in MESSAGES:
        kind = {"$ref": f"#/$defs/{row.element}"}
    else:
        kind = dict(_SCALARS[row.element])
    if row.is_repeated:
        kind = {"type": "array", "items": kind}
    if row.help:
        kind["description"] = row.help.replace("`", "").replace("*", "")
    return kind
