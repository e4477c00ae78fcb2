# SPDX-License-Identifier: Apache-2.0
"""A copy of a policy that tells every call of its hooks and acts on nobody, for recordings."""

from __future__ import annotations

from typing import FrozenSet, Optional

import yaml

from tetrapy.config.yaml_nodes import compose_all, text_of, value_of
from tetrapy.errors import SettingsError, YamlError
from tetrapy.policy.names import KINDS, SECTIONS
from tetrapy.policy.schema.policy import MAX_NAME

SUFFIX = "-recording"
_OF_HOOKS = frozenset({"selectors", "returnArgAction"})
_OF_SPEC = frozenset(
    "selectorsMacros enforcers options podSelector containerSelector hostSelector".split()
)


def observing(text: str) -> str:
    """The copy of a policy that keeps the rules; nodes, so that all that is kept stays as it is.

    Raises SettingsError for what is no policy.
    """
    try:
        roots = compose_all(text)
    except YamlError as err:
        raise SettingsError(f"line {err.line}: no YAML: {err.problem}") from None
    root = next((one for one in roots if text_of(value_of(one, "kind")) in KINDS), None)
    spec = value_of(root, "spec")
    if not isinstance(root, yaml.MappingNode) or not isinstance(spec, yaml.MappingNode):
        raise SettingsError("is no policy with a spec")
    _drop(spec, _OF_SPEC)
    for section in SECTIONS:
        hooks = value_of(spec, section)
        for hook in hooks.value if isinstance(hooks, yaml.SequenceNode) else ():
            _drop(hook, _OF_HOOKS)
    name = value_of(value_of(root, "metadata"), "name")
    if isinstance(name, yaml.ScalarNode):
        name.value = name.value[: MAX_NAME - len(SUFFIX)].rstrip("-.") + SUFFIX
    return str(yaml.serialize(root, Dumper=yaml.SafeDumper, allow_unicode=True))


def _drop(node: Optional[yaml.Node], names: FrozenSet[str]) -> None:
    if isinstance(node, yaml.MappingNode):
        node.value = [(key, value) for key, value in node.value if text_of(key) not in names]
