# SPDX-License-Identifier: Apache-2.0
"""Settings that hold JSON objects one after the other, as Go's decoder reads them."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Tuple

from tetrapy.errors import SettingsError
from tetrapy.json_codec import json_text, object_at
from tetrapy.named import NamedTuple

_SPACE = " \t\r\n"


class Place(NamedTuple):
    """Where an object stands, for error texts."""

    setting: str
    line: int

    def __str__(self) -> str:
        """`export-denylist, line 3`; a list without lines has its name only."""
        return f"{self.setting}, line {self.line}" if self.line else self.setting

    def error(self, text: str) -> SettingsError:
        """The error to raise for what stands here."""
        return SettingsError(f"{self}: {text}")


def objects_of(text: str, setting: str) -> Iterator[Tuple[Place, Dict[str, Any]]]:
    """Each object in the value of a setting, with its place.

    Line ends between objects are usual but not needed. Raises SettingsError.
    """
    at, line = _skip(text, 0), 1
    counted = 0
    while at < len(text):
        line += text.count("\n", counted, at)
        counted = at
        place = Place(setting, line)
        if text[at] != "{":
            raise place.error(
                f"{text[at : at + 20]!r} is not the start of a JSON object; each filter is {{...}},"
                " usually on a line of its own"
            )
        try:
            value, at = object_at(text, at)
        except ValueError as err:
            raise place.error(f"this is not JSON: {err}") from None
        yield place, value
        at = _skip(text, at)


def _skip(text: str, at: int) -> int:
    while at < len(text) and text[at] in _SPACE:
        at += 1
    return at


def snake_case(name: str) -> str:
    """`binaryRegex` as the .proto file spells it: `binary_regex`."""
    return "".join("_" + char.lower() if char.isupper() else char for char in name)


def fields_of(value: Dict[str, Any], known: Any, place: Place) -> Dict[str, Any]:
    """The object's fields by their .proto names; fields that are null are left out.

    Raises SettingsError for a name that is not in `known` or is given in both spellings.
    """
    out: Dict[str, Any] = {}
    for key, content in value.items():
        name = key if key in known else snake_case(key)
        if name not in known:
            raise place.error(f'there is no field "{key}"; there are {", ".join(sorted(known))}')
        if name in out:
            raise place.error(f'"{name}" is given twice, as "{key}" too')
        if content is not None:
            out[name] = content
    return out


def list_of_texts(content: Any, name: str, place: Place) -> List[str]:
    """A list of strings, checked."""
    if not isinstance(content, list) or not all(isinstance(one, str) for one in content):
        raise place.error(f'"{name}" is a list of strings, not {shown(content)}')
    return content


def shown(content: Any) -> str:
    """A value as JSON spells it, cut if it is long."""
    text = json_text(content)
    return text if len(text) <= 60 else text[:57] + "..."
