# SPDX-License-Identifier: Apache-2.0
"""A policy's text with the option that sets its mode; all else in it stays."""

from __future__ import annotations

import yaml

from tetrapy.config.yaml_nodes import compose, text_of, value_of
from tetrapy.errors import SettingsError, YamlError

_OPTION = "policy-mode"
_TEXT = "tag:yaml.org,2002:str"
_LIST, _MAPPING = "tag:yaml.org,2002:seq", "tag:yaml.org,2002:map"


def with_mode(text: str, mode: str) -> str:
    """The text with this mode. Raises SettingsError for what is no policy's YAML."""
    try:
        root = compose(text)
    except YamlError as err:
        raise SettingsError(f"line {err.line}: no YAML: {err.problem}") from None
    spec = value_of(root, "spec")
    if spec is None:
        raise SettingsError("yaml does not include spec section")
    if not isinstance(spec, yaml.MappingNode):
        raise SettingsError("spec is no mapping")
    options = value_of(spec, "options")
    if options is None:
        options = yaml.SequenceNode(_LIST, [], flow_style=False)
        spec.value.append((_scalar("options"), options))
    if not isinstance(options, yaml.SequenceNode):
        raise SettingsError("spec.options is no list of options")
    kept = [one for one in options.value if text_of(value_of(one, "name")) != _OPTION]
    pairs = [(_scalar("name"), _scalar(_OPTION)), (_scalar("value"), _scalar(mode))]
    options.value = [*kept, yaml.MappingNode(_MAPPING, pairs, flow_style=options.flow_style)]
    return str(yaml.serialize(root, Dumper=yaml.SafeDumper, allow_unicode=True))


def _scalar(text: str) -> yaml.ScalarNode:
    return yaml.ScalarNode(_TEXT, text)
