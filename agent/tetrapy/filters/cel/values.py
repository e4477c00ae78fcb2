# SPDX-License-Identifier: Apache-2.0
"""Events as values of CEL: messages that know their fields' types and defaults."""

from __future__ import annotations

from base64 import b64decode
from typing import Any, Callable, Dict

from celpy.celtypes import (
    BoolType,
    BytesType,
    IntType,
    ListType,
    MapType,
    MessageType,
    StringType,
    TimestampType,
    UintType,
)

from tetrapy.events.schema import ENUMS, FIELDS

_SCALARS: Dict[str, Callable[[Any], Any]] = {
    "string": StringType,
    "bytes": lambda content: BytesType(b64decode(content)),
    "int32": IntType,
    "int64": lambda content: IntType(int(content)),
    "uint32": UintType,
    "uint64": lambda content: UintType(int(content)),
    "bool": BoolType,
    "UInt32Value": UintType,
    "Int32Value": IntType,
    "BoolValue": BoolType,
    "Timestamp": TimestampType,
}

_DEFAULTS: Dict[str, Callable[[], Any]] = {
    "string": lambda: StringType(""),
    "bytes": lambda: BytesType(b""),
    "int32": lambda: IntType(0),
    "int64": lambda: IntType(0),
    "uint32": lambda: UintType(0),
    "uint64": lambda: UintType(0),
    "bool": lambda: BoolType(False),
    # Unset wrappers are null.
    "UInt32Value": lambda: None,
    "Int32Value": lambda: None,
    "BoolValue": lambda: None,
    "Timestamp": lambda: TimestampType("1970-01-01T00:00:00Z"),
    "map": lambda: MapType({}),
}


class Message(MessageType):
    """A message; `in` tells whether a field is set, `get` knows defaults."""

    def __init__(self, kind: str, body: Dict[str, Any]) -> None:
        """Make it of a message's JSON form; `kind` names its table."""
        self._rows = FIELDS.get(kind, {})
        fields: Any = {name: value_of(self._rows[name].type, body[name]) for name in body}
        super().__init__(fields)

    def get(self, field: Any, default: Any = None) -> Any:
        """The value of a field, set or not."""
        if field in self:
            return self[field]
        kind = self._rows[field].type if field in self._rows else "map"
        if kind.startswith("["):
            return ListType([])
        if kind in ENUMS:
            return IntType(0)
        return _DEFAULTS[kind]() if kind in _DEFAULTS else Message(kind, {})


def value_of(kind: str, content: Any) -> Any:
    """The value of a field of this type, out of its JSON form."""
    if kind.startswith("["):
        return ListType([value_of(kind.strip("[]"), one) for one in content])
    if kind == "map":
        return MapType({StringType(name): StringType(text) for name, text in content.items()})
    if kind in ENUMS:
        return IntType(ENUMS[kind][content])
    convert = _SCALARS.get(kind)
    return Message(kind, content) if convert is None else convert(content)
