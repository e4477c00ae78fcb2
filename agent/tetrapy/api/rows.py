# SPDX-License-Identifier: Apache-2.0
"""The rows of messages (events/schema/field.py), as text.

A line is `number name type`; a type in brackets is repeated, `map<key,value>` is a map. `optional`
before the type says that an empty value is distinguished from none; of the fields marked
`one` a message has one.
"""

from __future__ import annotations

from typing import Dict, Tuple

from tetrapy.events.schema.field import NOWHERE, ONE, SET, Field, field

OPTIONAL = "optional"  # presence of a field whose empty value is distinguished from none

Rows = Tuple[Field, ...]

_PRESENCE = {"one": ONE, OPTIONAL: OPTIONAL}


def _rows_of(text: str) -> Rows:
    rows = []
    for line in text.strip().splitlines():
        number, name, *kind = line.split()
        presence = _PRESENCE.get(kind[0], SET)
        rows.append(field(int(number), name, kind[-1], presence=presence, source=NOWHERE))
    return tuple(rows)


def messages_of(text: str) -> Dict[str, Rows]:
    """`Name:` and its rows below, for each message; an empty line between two."""
    found: Dict[str, Rows] = {}
    for block in text.strip().split("\n\n"):
        name, _, rows = block.partition(":")
        found[name.strip()] = _rows_of(rows)
    return found


def enum_of(prefix: str, names: str) -> Dict[str, int]:
    """An enum of these names, numbered from 0."""
    return {f"{prefix}{name}": number for number, name in enumerate(names.split())}
