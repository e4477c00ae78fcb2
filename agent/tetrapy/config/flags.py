# SPDX-License-Identifier: Apache-2.0
"""The command line: flags in the syntax of Go's pflag, which Tetragon uses."""

from __future__ import annotations

from typing import Any, Dict, Iterator, List, Mapping, Optional, Tuple

from tetrapy.config.setting import BOOL, FILES, LIST, Setting
from tetrapy.config.table import BY_NAME
from tetrapy.config.values import parse as parse_value
from tetrapy.errors import SettingsError

HELP, VERSION = "help", "version"
_BOOLEANS = frozenset({"true", "false"})


def parse(words: List[str], table: Mapping[str, Setting] = BY_NAME) -> Tuple[Dict[str, Any], str]:
    """Name -> value of the settings given, and what is asked for: HELP, VERSION or nothing.

    The words are `--name value`, `--name=value`, and of a BOOL `--name` alone.

    A flag that is given again replaces what it said before; that of a LIST or FILES adds to it.
    Nothing after --help or --version is looked at.

    Raises SettingsError for what is no flag, and for a value that does not parse.
    """
    values: Dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if word in {"--help", "-h"}:
            return values, HELP
        if word == "--version":
            return values, VERSION
        if not word.startswith("-") or word in {"-", "--"}:
            raise SettingsError(f"unknown argument: {word}{_advice(word)}")
        name, equals, text = word.partition("=")
        setting = _setting(name, table)
        if setting is None:
            raise SettingsError(f"unknown flag: {word}{_guess(name, table)}")
        if not equals:
            text = "true" if setting.kind == BOOL else _next(rest, name)
        value = parse_value(setting, text, "--" + setting.name)
        if setting.kind in {LIST, FILES}:
            value = values.get(setting.name, ()) + value
        values[setting.name] = value
    return values, ""


def _setting(name: str, table: Mapping[str, Setting]) -> Optional[Setting]:
    if name.startswith("--"):
        return table.get(name[2:])
    short = name[1:]
    return next((setting for setting in table.values() if short and setting.short == short), None)


def _next(rest: Iterator[str], name: str) -> str:
    for word in rest:
        return word
    raise SettingsError(f"flag needs an argument: {name}")


def _advice(word: str) -> str:
    if word in _BOOLEANS:
        return f"; to turn a flag on or off, write --debug={word}"
    return ""


def _guess(name: str, table: Mapping[str, Setting]) -> str:
    from tetrapy.config.suggestions import nearest  # only for what is wrong

    known = nearest(name.lstrip("-"), table)
    return f"; did you mean --{known}?" if known else ""
