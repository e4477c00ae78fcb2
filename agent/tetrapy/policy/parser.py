# SPDX-License-Identifier: Apache-2.0
"""YAML -> the classes of `types`, as the schema says; nothing that the schema does not know."""

from __future__ import annotations

import re
from typing import Any, Dict, Iterator, List, Optional, Tuple

import yaml

from tetrapy.config.yaml_nodes import compose_all
from tetrapy.errors import YamlError
from tetrapy.policy import scalars, types
from tetrapy.policy.names import KINDS
from tetrapy.policy.part import Part
from tetrapy.policy.problems import Problem, Problems, expected, joined, quoted
from tetrapy.policy.schema.field import (
    ANYTHING,
    FLAG,
    LIST,
    MAP,
    NUMBERS,
    ONE,
    TEXT,
    Field,
    ObjectType,
)
from tetrapy.policy.schema.policy import POLICY

_STR, _MERGE = "tag:yaml.org,2002:str", "tag:yaml.org,2002:merge"
_DEEPEST_MERGE = 8
_RESOLVER = yaml.resolver.Resolver()


def parse(text: str, problems: Problems) -> types.Policy:
    """The policy in a text. Raises PolicyError with every mistake, up to a bound."""
    roots: List[yaml.Node] = []
    try:
        roots = compose_all(text)
    except YamlError as err:
        problems.add(Problem("", err.line, err.column, f"no YAML: {err.problem}"))
    problems.give_up()
    reader = _Reader(problems)
    root = reader.policy_among(roots)
    policy = reader.mapping(root, POLICY, "") if root is not None else None
    problems.give_up()
    assert isinstance(policy, types.Policy)
    return policy


class _Reader:
    """Walks the nodes beside the schema; None stands for what was refused."""

    def __init__(self, problems: Problems) -> None:
        self._problems = problems

    def policy_among(self, roots: List[yaml.Node]) -> Optional[yaml.Node]:
        """The policy of several documents, as kubectl takes them; None if that was refused."""
        roots = [root for root in roots if self.scalar(root) != scalars.NOTHING]
        policies = [root for root in roots if getattr(_kind(root), "value", "") in KINDS]
        if not roots:
            self._problems.error("", "the document is empty; a TracingPolicy is expected")
            return None
        if len(policies) > 1:
            self._add(policies[1], "", "a second policy begins; one is expected in a file")
            return None
        chosen: yaml.Node = (policies or roots)[0]
        if len(roots) > 1:
            self._problems.warn("", "documents that are no TracingPolicy are left out")
        kind = _kind(chosen)
        if kind is not None and kind.value not in KINDS:
            # All else would be of the other kind, too.
            what = f"is {quoted(str(kind.value))}; {expected(str(kind.value), KINDS)}"
            self._add(kind, "kind", what)
            return None
        return chosen

    def mapping(self, node: yaml.Node, kind: ObjectType, path: str) -> Optional[Part]:
        """A mapping whose keys the schema knows."""
        self._visit(node, path)
        if not isinstance(node, yaml.MappingNode):
            self._refuse(node, path, "a mapping of names to values is expected")
            return None
        values: Dict[str, Any] = {}
        given = set()
        for name, key, value in self._entries(node, path):
            field = kind.by_name.get(name)
            inner = joined(path, name)
            if field is None:
                what = f"{quoted(name)} is no field of {path or 'the document'}"
                self._add(key, inner, f"{what}; {expected(name, kind.by_name)}")
            elif self.scalar(value) != scalars.NOTHING:
                given.add(name)
                if field.kind != ANYTHING:
                    values[field.attribute] = self._field(value, field, inner)
        for field in kind.fields:
            if field.required and field.name not in given:
                self._problems.error(joined(path, field.name), f"is missing: {field.meaning}")
            elif field.kind != ANYTHING:
                values.setdefault(field.attribute, field.default)
        if len(values) < sum(field.kind != ANYTHING for field in kind.fields):
            return None  # a required field is missing
        made: Part = getattr(types, kind.name)(**values)
        return made

    def _field(self, node: yaml.Node, field: Field, path: str) -> Any:
        if field.many == ONE:
            return self._value(node, field, path)
        self._visit(node, path)
        if field.many == MAP:
            return self._map(node, field, path)
        assert field.many == LIST
        if not isinstance(node, yaml.SequenceNode):
            return self._refuse(node, path, "a list is expected")
        if field.most and len(node.value) > field.most:
            self._problems.error(
                path, f"has {len(node.value)} elements; at most {field.most} are supported"
            )
        inner = enumerate(node.value)
        return tuple(self._value(one, field, f"{path}[{number}]") for number, one in inner)

    def _map(self, node: yaml.Node, field: Field, path: str) -> Any:
        if not isinstance(node, yaml.MappingNode):
            return self._refuse(node, path, "a mapping of names to values is expected")
        return {
            name: self._value(value, field, joined(path, name))
            for name, _key, value in self._entries(node, path)
        }

    def _value(self, node: yaml.Node, field: Field, path: str) -> Any:
        if isinstance(field.kind, ObjectType):
            return self.mapping(node, field.kind, path)
        self._visit(node, path)
        kind = self.scalar(node)
        if field.kind == TEXT:
            return self._text(node, kind, field, path)
        if field.kind == FLAG:
            if kind == scalars.BOOLEAN:
                return node.value in scalars.TRUE
            return self._refuse(node, path, "true or false is expected")
        least, largest = NUMBERS[field.kind]
        if kind == scalars.NUMBER:
            number = scalars.integer(node.value)
            if number is not None and least <= number <= largest:
                return number
        return self._refuse(node, path, f"a whole number from {least} to {largest} is expected")

    def _text(self, node: yaml.Node, kind: str, field: Field, path: str) -> Any:
        if kind != scalars.TEXT:
            hint = ""
            if isinstance(node, yaml.ScalarNode) and node.value and '"' not in node.value:
                hint = f': write it in quotes, "{node.value[:60]}"'
            return self._refuse(node, path, f"a text is expected{hint}")
        text: str = node.value
        if field.choices and text not in field.choices:
            self._problems.error(path, f"is {quoted(text)}; {expected(text, field.choices)}")
        elif field.pattern and not re.search(field.pattern, text):
            self._problems.error(path, f"is {quoted(text)}, which is no such name: {field.meaning}")
        return text

    def _entries(self, node: yaml.MappingNode, path: str) -> Iterator[Tuple[str, Any, Any]]:
        """Name, key and value of each entry; a name that is there twice is a mistake."""
        seen: Dict[str, Any] = {}
        for key, value, merged in self._pairs(node, path, 0):
            if self.scalar(key) != scalars.TEXT and not isinstance(key, yaml.ScalarNode):
                self._add(key, path, "a key must be a text, not a list or mapping")
                continue
            name = str(key.value)
            if name in seen and not merged:
                line = seen[name].start_mark.line + 1
                what = f"{quoted(name)} is there a second time, first in line {line}; remove one"
                self._add(key, joined(path, name), what)
            if name not in seen:
                seen[name] = key
                yield name, key, value

    def _pairs(
        self, node: yaml.MappingNode, path: str, depth: int
    ) -> Iterator[Tuple[Any, Any, bool]]:
        """Key, value, and whether they come of `<<`, which what is written itself overrides."""
        merges = []
        for key, value in node.value:
            if key.tag == _MERGE and key.style is None:
                merges.append(value)
            else:
                yield key, value, depth > 0
        for value in merges:
            sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
            for source in sources:
                self._visit(source, path)
                if depth > _DEEPEST_MERGE or not isinstance(source, yaml.MappingNode):
                    self._add(source, path, "<< takes mappings, which do not hold themselves")
                    return
                yield from self._pairs(source, path, depth + 1)

    def scalar(self, node: yaml.Node) -> str:
        """What a node is, as words for an operator."""
        if not isinstance(node, yaml.ScalarNode):
            return "list" if isinstance(node, yaml.SequenceNode) else "mapping"
        if node.style is not None or len(node.value) > scalars.MAX_NUMBER:
            return scalars.TEXT
        kind = scalars.kind_of(node.value)
        if kind != scalars.TEXT and node.tag == _STR:
            # The stubs leave the method out.
            resolve: Any = _RESOLVER.resolve
            implied = resolve(yaml.ScalarNode, node.value, (True, False))
            return kind if implied == _STR else scalars.TEXT  # !!str was written in front
        return kind

    def _visit(self, node: yaml.Node, path: str) -> None:
        mark = node.start_mark
        self._problems.marks.setdefault(path, (mark.line + 1, mark.column + 1))
        self._problems.spend(path)
        if not node.tag.startswith("tag:yaml.org,2002:"):
            self._add(node, path, f"the tag {quoted(node.tag)} is not known; leave it out")
        if isinstance(node, yaml.ScalarNode) and not node.value.isascii():
            try:
                node.value.encode()
            except UnicodeEncodeError:
                self._add(node, path, "holds half of a surrogate pair, which is no character")

    def _refuse(self, node: yaml.Node, path: str, wanted: str) -> Any:
        kind = self.scalar(node)
        scalar = isinstance(node, yaml.ScalarNode)
        if kind == scalars.NOTHING:
            found = kind
        else:
            found = f"the {kind} {quoted(node.value)}" if scalar else f"a {kind}"
        self._add(node, path, f"is {found}; {wanted}")
        return None

    def _add(self, node: yaml.Node, path: str, message: str) -> None:
        mark = node.start_mark
        self._problems.add(Problem(path, mark.line + 1, mark.column + 1, message))


def _kind(root: yaml.Node) -> Optional[yaml.Node]:
    """The node that says what a document is; None if it does not say."""
    pairs = root.value if isinstance(root, yaml.MappingNode) else []
    return next((value for key, value in pairs if key.value == "kind"), None)
