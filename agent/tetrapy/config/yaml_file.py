# SPDX-License-Identifier: Apache-2.0
"""The YAML file of settings: a flat mapping from names to values."""

from __future__ import annotations

from typing import Any, List, Tuple

import yaml

from tetrapy.config.dropins import parse_file
from tetrapy.config.given import Given
from tetrapy.config.setting import BOOL, FILES, LINES, LIST, Setting
from tetrapy.config.table import BY_NAME, OWN_NAMES
from tetrapy.config.values import parse_elements
from tetrapy.config.yaml_nodes import NULL, compose
from tetrapy.errors import SettingsError, YamlError

_BOOLEAN = "tag:yaml.org,2002:bool"
_TRUE = frozenset({"yes", "true", "on"})


def read_yaml(text: str, path: str, given: Given) -> None:
    """Add what a YAML text sets; null sets nothing.

    Raises SettingsError, naming file, line and key, for what is no YAML or no value.
    """
    entries = []
    seen = set()
    for key, value in _entries(text, path):
        source = f"{path}:{key.start_mark.line + 1}"
        if not isinstance(key, yaml.ScalarNode):
            raise SettingsError(f"{source}: the name of a setting is expected, not a collection")
        name = key.value.lower()
        if name in seen:
            raise SettingsError(f"{source}: {name} is set a second time; remove one")
        seen.add(name)
        if name not in BY_NAME:
            given.unknown(key.value, source)
        elif value.tag != NULL:
            entries.append((BY_NAME[name], name, value, source))
    # An alias is overlaid by the setting's own name.
    entries.sort(key=lambda entry: entry[1] in OWN_NAMES)
    for setting, _name, value, source in entries:
        given.set(setting, _value(setting, value, source), source)


def _entries(text: str, path: str) -> List[Tuple[yaml.Node, yaml.Node]]:
    try:
        root = compose(text)
    except YamlError as err:
        raise SettingsError(f"{path}:{err.line}: no YAML: {err.problem}") from err
    if root is None or root.tag == NULL:
        return []
    if not isinstance(root, yaml.MappingNode):
        raise SettingsError(
            f"{path}:{root.start_mark.line + 1}: a mapping of names to values is"
            " expected, such as debug: true"
        )
    return list(root.value)


def _value(setting: Setting, node: yaml.Node, source: str) -> Any:
    if isinstance(node, yaml.ScalarNode):
        return parse_file(setting, _text(setting, node), source)
    elements = node.value if isinstance(node, yaml.SequenceNode) else None
    if elements is None:
        raise SettingsError(f"{source}: {setting.name} is a mapping, not a value")
    if setting.kind not in {LIST, FILES, LINES}:
        raise SettingsError(f"{source}: {setting.name} is a list, not a value")
    if not all(isinstance(element, yaml.ScalarNode) for element in elements):
        raise SettingsError(f"{source}: {setting.name} has an element that is no text")
    texts = tuple(str(element.value) for element in elements)
    if setting.kind == LIST:
        return parse_elements(setting, texts, source)
    return parse_file(setting, "\n".join(texts).strip(), source)


def _text(setting: Setting, node: yaml.ScalarNode) -> str:
    # As it stands, but for YAML's many ways to say true: 0600 is octal for a mode, off is a choice.
    if setting.kind == BOOL and node.tag == _BOOLEAN:
        return "true" if node.value.lower() in _TRUE else "false"
    return str(node.value).strip()
