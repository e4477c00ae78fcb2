# SPDX-License-Identifier: Apache-2.0
"""Where settings come from, from the strongest: flags, variables, --config-dir, /etc, /usr."""

from __future__ import annotations

from typing import Any, List, Mapping, Tuple

from tetrapy.config import flags as command_line
from tetrapy.config.checks import check
from tetrapy.config.dropins import read_directory, read_named_directory, read_text
from tetrapy.config.given import Given
from tetrapy.config.settings import Settings, defaults
from tetrapy.config.table import BY_NAME, OWN_NAMES
from tetrapy.config.values import parse

# From the weakest. The working directory is none of them: a daemon must not trust it.
PACKAGED = ("/usr/lib/tetrapy/tetrapy.conf.d", "/usr/local/lib/tetrapy/tetrapy.conf.d")
YAML = "/etc/tetrapy/tetrapy.yaml"
ADMINISTRATOR = "/etc/tetrapy/tetrapy.conf.d"

_PREFIX = "TETRAPY_"


def read(arguments: List[str], environment: Mapping[str, str], root: str = "/") -> Settings:
    """The settings in force; `root` is put in front of the paths above.

    Raises SettingsError for an unknown flag, a value that does not parse, a --config-dir that is
    none, and values that do not go together.
    """
    values, _asked = command_line.parse(arguments)
    return combine(values, environment, root)


def combine(flags: Mapping[str, Any], environment: Mapping[str, str], root: str = "/") -> Settings:
    """The settings in force, with a command line that was parsed already: name -> value."""
    given = Given()
    base = root.rstrip("/")
    for directory in PACKAGED:
        read_directory(base + directory, given)
    _read_yaml(base + YAML, given)
    read_directory(base + ADMINISTRATOR, given)
    stronger = Given()
    _read_variables(environment, stronger)
    for name, value in flags.items():
        stronger.set(BY_NAME[name], value, "--" + name)
    values = {**given.values, **stronger.values}
    if values.get("config-dir"):
        set_by = {**given.set_by, **stronger.set_by}
        read_named_directory(values["config-dir"], set_by["config-dir"], given)
    given.overlay(stronger)
    values = {**defaults(), **given.values}
    given.notes.extend(check(values, given.set_by))
    return Settings(values, given.set_by, given.notes)


def _read_yaml(path: str, given: Given) -> None:
    try:
        text = read_text(path)
    except FileNotFoundError:
        return
    except OSError as err:
        given.unreadable(path, err)
        return
    from tetrapy.config.yaml_file import read_yaml  # a start without the file needs no YAML

    read_yaml(text, path, given)


def _read_variables(environment: Mapping[str, str], given: Given) -> None:
    found: List[Tuple[bool, str, str]] = []
    for variable, text in environment.items():
        if variable.startswith(_PREFIX) and text:  # an empty one counts as unset
            name = variable[len(_PREFIX) :].lower().replace("_", "-")
            found.append((name in OWN_NAMES, variable, name))
    for _own, variable, name in sorted(found):  # an alias is overlaid by the setting's own name
        setting = BY_NAME.get(name)
        if setting is None or variable != variable.upper():
            given.mistyped(name, variable)  # others' variables may have the prefix too
        else:
            given.set(setting, parse(setting, environment[variable], variable), variable)
