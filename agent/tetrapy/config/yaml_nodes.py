# SPDX-License-Identifier: Apache-2.0
"""YAML texts as nodes that know where they stand, within bounds.

Nodes, not values: PyYAML would take `0640` for an octal number and drop a key that is there twice.
"""

from __future__ import annotations

from typing import Any, List, Optional

import yaml

from tetrapy.errors import YamlError

MAX_NODES = 50_000  # some 40 MB, and a few seconds
DEEPEST = 64
NULL = "tag:yaml.org,2002:null"
_UNDECODED = range(0xDC80, 0xDD00)  # stand for bytes that are no UTF-8 (surrogateescape)


def compose(text: str) -> Optional[yaml.Node]:
    """The root node of a text, or None for a text without one. Raises YamlError as compose_all."""
    documents = compose_all(text)
    if len(documents) > 1:
        mark = documents[1].start_mark
        raise YamlError("a second document begins", mark.line + 1, mark.column + 1)
    return documents[0] if documents else None


def value_of(node: Optional[yaml.Node], key: str) -> Optional[yaml.Node]:
    """What a mapping has under a key; None for what is no mapping, or has no such key."""
    pairs = node.value if isinstance(node, yaml.MappingNode) else []
    return next((value for name, value in pairs if text_of(name) == key), None)


def text_of(node: Optional[yaml.Node]) -> str:
    """A scalar as it is written; nothing for what is none."""
    return str(node.value) if isinstance(node, yaml.ScalarNode) else ""


def compose_all(text: str) -> List[yaml.Node]:
    """The root node of each document of a text.

    Raises YamlError for what is no YAML, is nested deeper than DEEPEST, or has more than MOST_NODES
    nodes.
    """
    found: List[yaml.Node] = []
    try:
        loader = _Loader(text)
        while loader.check_node():
            node = loader.get_node()
            assert node is not None
            found.append(node)
    except yaml.MarkedYAMLError as err:
        mark = err.problem_mark or err.context_mark
        line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
        problem = err.problem or err.context or "it does not parse"
        raise YamlError(problem, line, column) from None
    except yaml.reader.ReaderError as err:
        before = text[: err.position]
        column = err.position - before.rfind("\n")
        what = f"a character that YAML does not allow, {chr(err.character)!a}"
        if err.character in _UNDECODED:
            what = f"the byte {err.character & 0xFF:#04x}, which is no UTF-8"
        raise YamlError(what, before.count("\n") + 1, column) from None
    except (yaml.YAMLError, ValueError, OverflowError) as err:
        # Such as an escape beyond Unicode, of which PyYAML does not tell the place.
        raise YamlError(str(err).splitlines()[0], 1, 1) from None
    return found


class _Loader(yaml.SafeLoader):
    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._nodes = 0
        self._depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        self._nodes += 1
        self._depth += 1
        if self._nodes > MAX_NODES or self._depth > DEEPEST:
            mark = self.peek_event().start_mark  # type: ignore[no-untyped-call] # a gap of the stubs
            what = f"nested deeper than {DEEPEST} levels"
            if self._nodes > MAX_NODES:
                what = f"more than {MAX_NODES} values"
            raise YamlError(what, mark.line + 1, mark.column + 1)
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node
