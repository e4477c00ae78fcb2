# SPDX-License-Identifier: Apache-2.0
"""The expressions of the encoders: how the value of a field becomes text."""

from __future__ import annotations

import builtins
import keyword
from collections.abc import Iterator

from tetrapy.events.schema import (
    ENUMS,
    MESSAGES,
    PROCESS,
    REPEATED,
)
from tetrapy.events.schema.field import ALWAYS, BEGUN, KNOWN, SELF, SET, Field

_WRAPPERS = frozenset({"UInt32Value", "Int32Value", "BoolValue"})


_NUMBERS = frozenset({"int32", "uint32", "UInt32Value", "Int32Value"})
_LONG = frozenset({"int64", "uint64"})


def nested_name(message: str) -> str:
    """BinaryProperties -> _binary_properties: fields, whose names are variables, have no _."""
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in message)


def is_sure(row: Field) -> bool:
    """Whether each event has the field."""
    return row.presence in {ALWAYS, BEGUN, KNOWN}


def shown(row: Field) -> str:
    """The name of the function that shows a kept value."""
    return f"shown_{row.name.lower()}"


def value_of(row: Field) -> str:
    """The value of a field, out of the object `it`."""
    if row.source == SELF:
        value = "it"
    elif row.source.startswith("["):
        value = f"it{row.source}"
    else:
        value = f"it.{row.source}"
    return f"{row.through}({value})" if row.through and row.type != PROCESS else value


def locals_of(rows: list[Field]) -> Iterator[tuple[str, str]]:
    """Values that are asked for more than once, with the names of variables."""
    values = [value_of(row) for row in rows]
    for row, value in zip(rows, values, strict=True):
        if value != "it" and (not is_sure(row) or values.count(value) > 1):
            yield value, variable(row.name if values.count(value) == 1 else row.source)


def variable(name: str) -> str:
    """The name of a variable for a field."""
    name = name.lower()
    return f"{name}_" if keyword.iskeyword(name) or hasattr(builtins, name) else name


def optional(row: Field, value: str) -> str:
    """A statement: the text of a field that may be missing."""
    test = f"{value} is not None" if row.type in _WRAPPERS else value
    text = f"',\"{row.name}\":{inner(row, value)}'"
    if "{" in text:
        text = "f" + text
    return f'{shown(row)} = {text} if {test} else ""'


def kept_name(message: str) -> str:
    """The JSON of a message that is repeated, by the object that it is of."""
    return f"_kept{nested_name(message)}"


def _writer_of(message: str) -> str:
    """What makes a message text."""
    return kept_name(message) if message in REPEATED else nested_name(message)


def inner(row: Field, value: str) -> str:
    """What stands in a format string for the value of a field."""
    if row.is_repeated:
        if row.element in ENUMS:
            return f'["{{_BETWEEN.join({value})}}"]'
        return f'[{{",".join(map({_writer_of(row.element)}, {value}))}}]'
    if row.type == "map":
        return f"{{_map({value})}}"
    if row.type in MESSAGES:
        return f"{{{_writer_of(row.type)}({value})}}"
    if row.type == "bool" and row.presence == SET:
        return "true"
    if row.type in {"bool", "BoolValue"}:
        return f'{{"true" if {value} else "false"}}'
    if row.type in _NUMBERS:
        return f"{{{value}}}"
    if row.plain or row.type in ENUMS or row.type in _LONG:
        return f'"{{{value}}}"'
    return f"{{quoted({value})}}"
