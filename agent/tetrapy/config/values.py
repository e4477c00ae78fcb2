# SPDX-License-Identifier: Apache-2.0
"""Texts of values: what they mean, and how a value is written."""

from __future__ import annotations

from typing import Any, Callable, Dict, Tuple

from tetrapy.config.setting import (
    ADDRESS,
    BOOL,
    CGROUP_RATE,
    DIRECTORY,
    DURATION,
    FILE,
    FILES,
    INT,
    LINES,
    LIST,
    MODE,
    SIZE,
    STRING,
    UINT,
    Setting,
)
from tetrapy.errors import SettingsError
from tetrapy.visible import printable

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
_FALSE = frozenset({"0", "f", "F", "FALSE", "false", "False"})
_UNITS = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}

_DIGITS = 18  # more are no number of anything
_MAX_SIZE = 2 << 30  # bytes: the largest power of two that a map's 32-bit size can hold

# Tetragon's rule: nobody but the owner may ever write or execute the export file, and the owner
# reads and writes it.
_NEVER, _ALWAYS = 0o113, 0o600
_MAX_SHOWN = 60  # characters of a wrong value that an error shows


def parse(setting: Setting, text: str, source: str) -> Any:
    """The value that `text` means; `source` names where it stands.

    Raises SettingsError, naming source, setting and what would be right.
    """
    try:
        if setting.choices:
            return _chosen(setting, text)
        return _PARSERS[setting.kind](text)
    except _Unfit as err:
        raise SettingsError(f"{source}: {setting.name} is {_quoted(text)}, not {err}") from None


def parse_elements(setting: Setting, elements: Tuple[str, ...], source: str) -> Any:
    """The value of a LIST that is given element by element. Raises SettingsError as `parse`."""
    given = (parse(setting, element, source) for element in elements) if setting.choices else ()
    return tuple(element for value in given for element in value) or elements


def zero(setting: Setting) -> Any:
    """What an empty file sets: the zero value, which need not be the default."""
    if setting.kind == MODE:
        return _ALWAYS
    if setting.kind in _ZEROES:
        return _ZEROES[setting.kind]
    return ""


def show(setting: Setting, value: Any) -> str:
    """A text that `parse` reads as this value."""
    if setting.kind == BOOL:
        return "true" if value else "false"
    if setting.kind == LIST:
        return ",".join(value)
    if setting.kind == FILES:
        return "\n".join(value)
    if setting.kind == MODE:
        return f"{value:o}"
    if setting.kind == DURATION:
        return show_duration(value)
    if setting.kind == CGROUP_RATE:
        return str(value) if value else ""
    return str(value)


def show_duration(nanoseconds: int) -> str:
    """A duration as Go writes it, without the parts that are zero: 1h30m, 15s, 100ms."""
    from tetrapy.config.duration import show as show_it  # most starts have none to show

    return show_it(nanoseconds)


class _Unfit(Exception):
    """Says what would be right."""


def _quoted(text: str) -> str:
    shown = text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "..."
    return f'"{printable(shown)}"'


def _chosen(setting: Setting, text: str) -> Any:
    words = _list(text) if setting.kind == LIST else (text,)
    chosen = tuple(word.lower() for word in words)
    if not set(chosen) <= set(setting.choices):
        raise _Unfit("one of " + ", ".join(setting.choices))
    return chosen if setting.kind == LIST else chosen[0]


def _bool(text: str) -> bool:
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise _Unfit("true or false")


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit()


def _uint(text: str) -> int:
    if not _is_number(text):
        raise _Unfit("a number")
    if len(text) > _DIGITS:
        raise _Unfit(f"a number of at most {_DIGITS} digits")
    return int(text)


def _int(text: str) -> int:
    if text[:1] in {"-", "+"}:
        number = _uint(text[1:])
        return -number if text[0] == "-" else number
    return _uint(text)


def _size(text: str) -> int:
    unit = _UNITS.get(text[-1:], 1)
    number = text[:-1] if unit > 1 else text
    if not _is_number(number):
        raise _Unfit("a number, with K, M or G")
    if len(number) > _DIGITS or int(number) * unit > _MAX_SIZE:
        raise _Unfit("at most 2G")
    return int(number) * unit


def _mode(text: str) -> int:
    if not _is_number(text) or len(text) > 5 or not set(text) <= set("01234567"):  # 0o600: 5 digits
        raise _Unfit("permissions in octal, such as 600 or 640")
    mode = int(text, 8)
    if mode > 0o777:
        raise _Unfit("permissions in octal, at most 777")
    return mode & ~_NEVER | _ALWAYS


def _string(text: str) -> str:
    if "\0" in text:
        raise _Unfit("a text without zero bytes")
    return text


def _list(text: str) -> Tuple[str, ...]:
    return tuple(_string(text).replace(",", " ").split())


def _files(text: str) -> Tuple[str, ...]:
    return tuple(line for line in map(str.strip, _string(text).split("\n")) if line)


def _duration(text: str) -> int:
    from tetrapy.config import duration  # most starts have none to read

    try:
        return duration.parse(text)
    except ValueError:
        raise _Unfit("a duration such as 15s, 1h30m or 100ms") from None


def _cgroup_rate(text: str) -> Any:
    from tetrapy.config.cgroup_rate import CgroupRate  # most starts have none

    try:
        return CgroupRate.parse(text)
    except ValueError:
        raise _Unfit("events,interval such as 1000,1s") from None


def _address(text: str) -> str:
    if text:
        from tetrapy.config.address import Address  # no part of a start that has none

        try:
            Address.parse(text)
        except ValueError:
            raise _Unfit("an address such as :2112 or localhost:2112") from None
    return text


_PARSERS: Dict[str, Callable[[str], Any]] = {
    STRING: _string,
    FILE: _string,
    DIRECTORY: _string,
    LINES: _string,
    ADDRESS: _address,
    BOOL: _bool,
    INT: _int,
    UINT: _uint,
    SIZE: _size,
    DURATION: _duration,
    LIST: _list,
    FILES: _files,
    MODE: _mode,
    CGROUP_RATE: _cgroup_rate,
}
_ZEROES: Dict[str, Any] = {
    BOOL: False,
    INT: 0,
    UINT: 0,
    SIZE: 0,
    DURATION: 0,
    LIST: (),
    FILES: (),
    CGROUP_RATE: None,
}
