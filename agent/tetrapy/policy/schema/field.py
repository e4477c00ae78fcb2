# SPDX-License-Identifier: Apache-2.0
"""What a row of the schema says about a field."""

from __future__ import annotations

import re
from typing import Any, Optional, Sequence, Tuple, Union

TEXT, FLAG, ANYTHING = "string", "boolean", "anything"
UINT32, INT32, UINT64, INT64 = "uint32", "int32", "uint64", "int64"
NUMBERS = {
    UINT32: (0, (1 << 32) - 1),
    INT32: (-(1 << 31), (1 << 31) - 1),
    UINT64: (0, (1 << 64) - 1),
    INT64: (-(1 << 63), (1 << 63) - 1),
}
"""Kind -> the least and the largest number."""

ONE, LIST, MAP = "one", "list", "map"

_HUMP = re.compile(r"([a-z0-9])([A-Z])")
_ZEROES = {TEXT: "", FLAG: False}


class ObjectType:
    """A mapping with known keys; `name` is the class in `types`."""

    def __init__(self, name: str, meaning: str, fields: Sequence[Field]) -> None:
        self.name = name
        self.meaning = meaning
        self.fields = tuple(fields)
        self.by_name = {field.name: field for field in fields}


class Field:
    """One key: its kind, whether there may be several, its default and its limits."""

    def __init__(
        self,
        name: str,
        kind: Union[str, ObjectType],
        meaning: str,
        *,
        many: str = ONE,
        required: bool = False,
        default: Any = None,
        choices: Tuple[str, ...] = (),
        most: int = 0,
        pattern: str = "",
        attribute: str = "",
    ) -> None:
        self.name = name
        self.kind = kind
        self.meaning = meaning
        self.many = many
        self.required = required
        self.default = self._zero() if default is None else default
        self.choices = choices
        self.most = most  # elements of a list, 0 for any number
        self.pattern = pattern  # of a text; the same to Python and to JSON Schema
        self.attribute = attribute or _HUMP.sub(r"\1_\2", name).lower()

    def _zero(self) -> Any:
        if self.many == LIST:
            return ()
        if self.many == MAP:
            return {}
        if isinstance(self.kind, ObjectType) or self.kind == ANYTHING:
            return None
        return _ZEROES.get(self.kind, 0)

    @property
    def object_type(self) -> Optional[ObjectType]:
        """What its values are, if they are mappings with known keys."""
        return self.kind if isinstance(self.kind, ObjectType) else None
