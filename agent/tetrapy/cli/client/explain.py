# SPDX-License-Identifier: Apache-2.0
"""`explain`: the fields of policies, as `kubectl explain` shows them.

Forms and errors are those of Tetragon's client; what fields mean is said in tetrapy's words.
"""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Optional, Tuple

from tetrapy.cli.client.arguments import Values
from tetrapy.cli.config import write
from tetrapy.errors import SettingsError, TetrapyError
from tetrapy.json_codec import dumps
from tetrapy.policy.schema.field import ANYTHING, FLAG, LIST, MAP, ONE, TEXT, Field, ObjectType
from tetrapy.policy.schema.policy import POLICY

_VERSION = "v1alpha1"
_RESOURCES = {"TracingPolicy": "tgtp", "TracingPolicyNamespaced": "tgtpn"}
_KUBERNETES = {"PodInfo": "tgpi"}  # no file holds one: an operator in a cluster makes them
_KINDS = {TEXT: "string", FLAG: "boolean", ANYTHING: "object"}
_BRACKETS = re.compile(r"([a-zA-Z_][a-zA-Z0-9_]*)\[([^\]]*)\]", re.ASCII)
_DEEPEST = 5  # fields of fields


def run(options: Values, arguments: List[str]) -> int:
    """`explain RESOURCE[.FIELD...]`"""
    if options["list"]:
        rows = [("NAME", "SHORTNAMES"), *_RESOURCES.items()]
        width = max(len(name) for name, _ in rows) + 2
        return write("".join(f"{name:{width}}{short}\n" for name, short in rows))
    if len(arguments) != 1:
        raise SettingsError(f"accepts 1 arg(s), received {len(arguments)}")
    if options["api-version"] not in ("", _VERSION):
        raise TetrapyError(f"version {options['api-version']} not found")
    parts = _parts(arguments[0])
    kind = _resource(parts[0])
    field = _found(kind, parts)
    if options["output"] == "json":
        return write(dumps(_schema(field)).decode() + "\n")
    if options["output"] == "yaml":
        from tetrapy.policy.generate import text_of  # late: YAML is large, and asked for here alone

        return write(text_of(_schema(field)))
    return write("".join(_lines(kind, parts, field, recursive=options["recursive"])))


def _parts(path: str) -> List[str]:
    """`a.b`, `a[b]` and `a[0].b` are the same. Raises TetrapyError."""

    def dotted(match: re.Match[str]) -> str:
        name, inside = match[1], match[2].strip()
        return name if not inside or inside.isdigit() else f"{name}.{inside}"

    parts = [part.strip() for part in _BRACKETS.sub(dotted, path.replace("][", ".")).split(".")]
    if not path:
        raise TetrapyError("empty path")
    if not parts[0] or not parts[-1]:
        raise TetrapyError("invalid path: cannot start or end with '.'")
    return [part for part in parts if part]


def _resource(name: str) -> str:
    """Raises TetrapyError."""
    for kind, short in {**_RESOURCES, **_KUBERNETES}.items():
        if name.lower() in {kind.lower(), short}:
            if kind in _KUBERNETES:
                raise TetrapyError(
                    f"{kind} is kept by an operator in a Kubernetes cluster; tetrapy has none"
                )
            return kind
    known = sorted(word for pair in _RESOURCES.items() for word in pair)
    raise TetrapyError(
        f"unsupported resource: {name.lower()} (supported resources: {', '.join(known)})"
    )


def _found(kind: str, parts: List[str]) -> Field:
    """The field at a path; the document itself is one, too. Raises TetrapyError."""
    field = Field(kind, POLICY, POLICY.meaning)
    shown = kind
    for at, part in enumerate(parts[1:], 1):
        shown = f"{shown}.{part}"
        of: Optional[ObjectType] = field.object_type
        if field.many == MAP:  # the part is a key, whatever it is
            field = Field(part, field.kind, of.meaning if of else "")
            continue
        if of is None:
            raise TetrapyError(f'field "{shown}" does not have properties')
        found = of.by_name.get(part)
        if found is None:
            known = ", ".join(sorted(of.by_name))
            raise TetrapyError(
                f'field "{part}" not found in "{".".join(parts[: at + 1])}" (available fields:'
                f" {known})"
            )
        field = found
    return field


def _type(field: Field) -> str:
    kind = "object" if field.object_type else _KINDS.get(str(field.kind), "integer")
    return {ONE: "", LIST: "[]", MAP: "map[string]"}[field.many] + kind


def _lines(kind: str, parts: List[str], field: Field, *, recursive: bool) -> Iterator[str]:
    yield f"KIND:     {kind}\nVERSION:  {_VERSION}\n\n"
    if len(parts) > 1:
        yield f"FIELD:    {parts[-1]} <{_type(field)}>\n\n"
    if field.meaning:
        yield f"DESCRIPTION:\n     {field.meaning}\n\n"
    if field.many == MAP:
        inner = _type(Field("", field.kind, ""))
        yield f"FIELDS:\n   <map[string]{inner}>\n"
        if field.object_type:
            yield f"     {field.object_type.meaning}\n"
        yield "\n"
    elif field.object_type:
        yield "FIELDS:\n"
        yield from _fields(field.object_type, 0, _DEEPEST if recursive else 0)


def _fields(of: ObjectType, depth: int, deepest: int) -> Iterator[str]:
    indent = "  " * depth
    for one in sorted(of.fields, key=lambda field: field.name):
        required = " -required-" if one.required else ""
        yield f"{indent}   {one.name}\t<{_type(one)}>{required}\n{indent}     {one.meaning}\n"
        if one.object_type and one.many != MAP and depth < deepest:
            yield from _fields(one.object_type, depth + 1, deepest)
        yield "\n"


def _schema(field: Field, seen: Tuple[ObjectType, ...] = ()) -> Dict[str, Any]:
    """As a schema of OpenAPI, which custom resources have."""
    inner = _one(field, seen)
    if field.many == LIST:
        return {"description": field.meaning, "type": "array", "items": inner}
    if field.many == MAP:
        return {"description": field.meaning, "type": "object", "additionalProperties": inner}
    return {**inner, "description": field.meaning}


def _one(field: Field, seen: Tuple[ObjectType, ...]) -> Dict[str, Any]:
    of: Optional[ObjectType] = field.object_type
    if of is None:
        found: Dict[str, Any] = {"type": _type(Field("", field.kind, ""))}
        return {**found, "enum": list(field.choices)} if field.choices else found
    out: Dict[str, Any] = {"description": of.meaning, "type": "object"}
    if of not in seen:
        out["properties"] = {one.name: _schema(one, (*seen, of)) for one in of.fields}
        required = [one.name for one in of.fields if one.required]
        out.update({"required": required} if required else {})
    return out
