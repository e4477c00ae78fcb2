# SPDX-License-Identifier: Apache-2.0
"""The schema of policies as a JSON Schema (draft 7), for editors: docs/tracingpolicy.schema.json.

`# yaml-language-server: $schema=PATH` in the first line of a policy has editors complete and check
it. Rules that tie fields together are `tetrapy policy check`'s.
"""

from __future__ import annotations

from typing import Any, Dict

from tetrapy.json_codec import dumps
from tetrapy.policy.schema.field import (
    ANYTHING,
    FLAG,
    LIST,
    MAP,
    NUMBERS,
    ONE,
    TEXT,
    Field,
    ObjectType,
)
from tetrapy.policy.schema.policy import POLICY, object_types

DRAFT = "http://json-schema.org/draft-07/schema#"


def schema() -> Dict[str, Any]:
    """The document as Python values."""
    return {
        "$schema": DRAFT,
        "title": "TracingPolicy",
        **_object(POLICY),
        "definitions": {one.name: _object(one) for one in object_types() if one is not POLICY},
    }


def text() -> str:
    """The document as JSON with a line for each value."""
    return dumps(schema(), indent=True).decode() + "\n"


def _object(kind: ObjectType) -> Dict[str, Any]:
    out: Dict[str, Any] = {
        "description": kind.meaning,
        "type": "object",
        "additionalProperties": False,
        "properties": {field.name: _field(field) for field in kind.fields},
    }
    required = [field.name for field in kind.fields if field.required]
    if required:
        out["required"] = required
    return out


def _field(field: Field) -> Dict[str, Any]:
    if field.many == ONE and field.object_type:
        # Beside $ref draft 7 reads nothing; nothing at all is as good as leaving the field out.
        choices = [_value(field)] + [{"type": "null"}] * (not field.required)
        return {"description": field.meaning, "anyOf": choices}
    out = {"description": field.meaning, **_value(field)}
    if field.many == LIST:
        out = {"description": field.meaning, "type": ["array", "null"], "items": _value(field)}
        if field.required:
            out["type"] = "array"
        if field.most:
            out["maxItems"] = field.most
    elif field.many == MAP:
        out = {
            "description": field.meaning,
            "type": ["object", "null"],
            "additionalProperties": _value(field),
        }
    elif not field.required and field.default:
        out["default"] = field.default
    return out


def _value(field: Field) -> Dict[str, Any]:
    if isinstance(field.kind, ObjectType):
        return {"$ref": f"#/definitions/{field.kind.name}"}
    if field.kind == ANYTHING:
        return {}
    if field.kind == FLAG:
        return {"type": "boolean"}
    if field.kind == TEXT:
        out: Dict[str, Any] = {"type": "string"}
        if field.choices:
            out["enum"] = list(field.choices)
        if field.pattern:
            out["pattern"] = field.pattern
        return out
    least, largest = NUMBERS[field.kind]
    return {"type": "integer", "minimum": least, "maximum": largest}
